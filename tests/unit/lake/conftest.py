"""What the tests of random histories share: the lake that they go through."""

import pytest

from tests.unit.lake.histories import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake for one history after the other."""
    return Lake(tmp_path_factory.mktemp("histories"))
