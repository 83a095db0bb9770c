"""Where in the binlog changes stand."""

from collections.abc import Sequence
from itertools import takewhile

import orjson

from smug_platform.capture.change import Change
from smug_platform.capture.failures import NOTHING_TO_DO, Renumbered
from smug_platform.capture.position import Position, file_number


def changes_before(
    changes: Sequence[Change], limit: tuple[int, int], epoch: int
) -> Sequence[Change]:
    """The changes, in the binlog's order, before a place in it (file's number, offset)."""

    def is_before(change: Change) -> bool:
        at, _ = place_of(change, epoch)
        return (at.file, at.offset) < limit

    if not changes or is_before(changes[-1]):
        return changes
    return list(takewhile(is_before, changes))


def place_of(change: Change, epoch: int) -> tuple[Position, float]:
    """The position of a change, and when the source committed it (seconds since 1970)."""
    source = orjson.loads(change.value)["source"]
    position = Position(epoch, file_number(source["file"]), source["pos"], source.get("row") or 0)
    return position, source["ts_ms"] / 1000


def check_order(shard: str, before: Position | None, position: Position) -> None:
    """Raise Renumbered when a change stands before what came before it."""
    if before and (position.file, position.offset) < (before.file, before.offset):
        raise Renumbered(
            f"{shard}: the binlog went back from {before} to {position}", remedy=NOTHING_TO_DO
        )
