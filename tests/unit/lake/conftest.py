"""What the tests of random histories share: the lake that they go through."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.unit.lake.histories import Lake

MEMORY = Path("/dev/shm")  # each history makes and removes some sixty files and folders


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    """A lake for one history after the other, in memory where there is such a folder."""
    with TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Lake(Path(folder))
