"""Random histories of a table without a key: see `histories`."""

from smug_platform.lake.target import Target
from tests.unit.lake.histories import VIEWS, History, Lake, expected, held


def test_keyless(lake: Lake, seed: int) -> None:
    history = History(seed, VIEWS)
    found = lake.merged(history, Target(VIEWS))
    for shard in history.shards:
        names = [spec["name"] for spec in shard.columns]
        assert held(shard, found, names) == expected(shard, names)
