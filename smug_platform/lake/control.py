"""What the schema changes and TRUNCATEs of a batch do to a table's state."""

from collections.abc import Collection
from typing import Any

import orjson

from smug_platform.capture.position import Position
from smug_platform.errors import LakeError
from smug_platform.lake.batch import Batch
from smug_platform.lake.state import State, evolve, truncate
from smug_platform.lake.target import Target


class Halted(LakeError):
    """A schema change can't be followed. shards: those whose table has to be read anew."""

    def __init__(self, why: LakeError, shards: Collection[str]) -> None:
        super().__init__(why.problem, remedy=why.remedy)
        self.shards = frozenset(shards)


def follow(target: Target, state: State, batch: Batch) -> State:
    """The state after the batch's schema changes and truncates, in their source order.

    Raises Halted for a schema change that can't be followed, unless the shard's table was read
    anew after it.
    """
    placed = [
        (row["shard"], _position(row).ordinal, number, row)
        for number, row in enumerate(batch.control)
    ]
    failed: dict[str, LakeError] = {}
    for shard, position, _, row in sorted(placed, key=lambda item: item[:3]):
        before = state.floors.get(shard, 0)
        try:
            if row["op"] == "t":
                state = truncate(state, shard, position)
            else:
                state = evolve(state, target.table, shard, position, orjson.loads(row["payload"]))
        except LakeError as error:
            failed[shard] = error
        if state.floors.get(shard, 0) != before:
            batch.floor_times[shard] = row["committed_at"]
            if row["op"] == "ddl":
                failed.pop(shard, None)
                batch.read_anew.add(shard)
    for problem in failed.values():
        raise Halted(problem, failed)
    return state


def _position(row: dict[str, Any]) -> Position:
    # A schema change has no row within its event; all rows of a snapshot stand after it.
    return Position(row["epoch"], row["binlog_file"], row["binlog_offset"], 0)
