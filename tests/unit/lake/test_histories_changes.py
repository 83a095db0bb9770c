"""Random histories of a table that keeps every change: see `histories`."""

import json

from smug_platform.lake.target import Target
from tests.unit.lake.histories import PHOTOS, History, Lake


def test_history_keeps_each_change_once(lake: Lake, seed: int) -> None:
    history = History(seed, PHOTOS)
    found = lake.merged(history, Target(PHOTOS, history=True))
    made = set()
    for shard in history.shards:
        for delta in shard.deltas:
            payload = json.loads(delta["payload"])
            image = payload.get("after") or payload.get("before")
            if image and payload["before"] != payload["after"]:
                where = delta["binlog_offset"], delta["row_number"]
                made.add((shard.name, image["id"], *where, delta["op"] == "d"))
    got = [
        (row["_shard"], int(row["id"]), *place(int(row["_position"])), row["_is_deleted"])
        for row in found
    ]
    assert sorted(got) == sorted(made)


def place(position: int) -> tuple[int, int]:
    """The binlog offset and the row number of a position."""
    return position // 10**9 % 10**14, position % 10**9
