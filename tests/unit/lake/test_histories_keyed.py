"""Random histories of a table with a key: see `histories`."""

from typing import Any

from smug_platform.lake.target import Target
from tests.unit.lake.histories import PHOTOS, History, Lake, check_rows


def test_keyed(lake: Lake, seed: int) -> None:
    history = History(seed, PHOTOS)
    found = lake.merged(history, Target(PHOTOS))
    check_rows(history, found)
    live = sorted((int(row["id"]), row["_shard"]) for row in found if not row["_is_deleted"])
    assert live == winners(history)


def winners(history: History) -> list[tuple[Any, ...]]:
    """Each key and the shard that wrote it last."""
    best: dict[Any, tuple[Any, str]] = {}
    for shard in history.shards:
        for row in shard.rows:
            rank = (row["_at"], shard.name)
            best[row["id"]] = max(rank, best.get(row["id"], rank))
    return sorted((key, shard) for key, (_, shard) in best.items())
