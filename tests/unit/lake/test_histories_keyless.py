"""Random histories of a table without a key: see `histories`."""

from smug_platform.lake.target import Target
from tests.unit.lake.histories import VIEWS, History, Lake, check_rows


def test_keyless(lake: Lake, seed: int) -> None:
    history = History(seed, VIEWS)
    found = lake.merged(history, Target(VIEWS))
    check_rows(history, found)
