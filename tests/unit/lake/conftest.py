"""What the tests of random histories share: the lake that they go through."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.unit.lake.histories import Lake

TESTS = 3  # of random histories: with a key, without one, of every change
MEMORY = Path("/dev/shm")  # each history makes and removes some sixty files and folders


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    """A lake for one history after the other, in memory where there is such a folder."""
    with TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        yield Lake(Path(folder))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of random histories is tried with its part of the seeds."""
    if {"lake", "seed"} <= set(metafunc.fixturenames):
        option = metafunc.config.getoption
        first, count = option("--first-history"), -(-option("--histories") // TESTS)
        metafunc.parametrize("seed", range(first, first + count))
