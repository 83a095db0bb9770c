"""The lake at a source position: which snapshot of a table holds all up to it and nothing after.

`raw.deltas` knows which of its commits brought which position, and each snapshot up to which commit
it has merged. A merge may have taken in changes from both sides of a position at once; then no
snapshot ever was at it, and that is said.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.table.snapshots import Snapshot

from smug_platform.capture.position import Position
from smug_platform.errors import QueryError
from smug_platform.iceberg import Table
from smug_platform.lake.merge import REPLACED, SEQUENCE, kind_of
from smug_platform.lake.runs import Array
from smug_platform.raw import deltas as raw

Positions = Mapping[str, Position]


def parse_positions(text: str) -> dict[str, Position]:
    """The positions that a person writes, by shard. Raises QueryError.

    >>> str(parse_positions("shard_0=1/3:12345#2,shard_1=1/7:4#0")["shard_1"])
    '1/7:4#0'
    """
    try:
        return positions_in(text)
    except ValueError:
        raise QueryError(
            f"{text!r} is no source position",
            remedy="write shard_0=1/3:12345#0,shard_1=..., as `smug status` shows them",
        ) from None


def positions_in(text: str) -> dict[str, Position]:
    """The positions in `shard_0=1/3:12345#2,...`, by shard. Raises ValueError."""
    pairs = [part.strip().partition("=") for part in text.split(",")]
    return {name: Position.parse(place) for name, _, place in pairs}


def snapshot_as_of(catalog: Catalog, name: str, table: Table, at: Positions) -> Snapshot | None:
    """The snapshot of a lake table at those positions; None where it held nothing yet.

    Raises QueryError where there is none, or none any more, and says which of the two.
    """
    first, last = _between(raw.open_deltas(catalog), name.removesuffix("_history"), at)
    if not first:
        return None
    place = ", ".join(f"{shard} {position}" for shard, position in at.items())
    instead = f"smug replay --table {name} --to POSITIONS --into NAME makes it from the archive"
    if first > last:
        raise QueryError(
            f"lake.{name} never stood at {place}: one commit brought changes from both sides of it",
            remedy=instead,
        )
    found = [one for one in table.metadata.snapshots if first <= _merged(one) <= last]
    if not found:
        raise QueryError(f"lake.{name} as it was at {place} has expired", remedy=instead)
    return max(found, key=lambda one: one.sequence_number or 0)


def _between(deltas: Table, table: str, at: Positions) -> tuple[int, float]:
    """The raw commit that a snapshot must have merged, and the one that it may have merged at most;
    of the changes of these shards.
    """
    needed, allowed = 0, float("inf")
    for sequence, rows in _rows(deltas, table):
        for shard, bound in at.items():
            own = rows.filter(pc.equal(rows["shard"], shard))
            inside = not_after(own, bound)
            if inside.any():
                needed = max(needed, sequence)
            if not inside.all():
                allowed = min(allowed, sequence - 1)
    return needed, allowed


def _rows(deltas: Table, table: str) -> "list[tuple[int, pa.Table]]":
    """The positions that each raw commit brought first, oldest commit first: copies left out."""
    found: list[tuple[int, pa.Table]] = []
    seen: set[tuple[int, ...]] = set()
    for file in raw.delta_files(deltas):
        if file.table != table:
            continue
        rows = raw.read_columns(deltas, file, ["shard", *raw.PLACE, "op"])
        keys = list(zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True))
        fresh = [key not in seen for key in keys]
        seen.update(keys)
        found.append((file.sequence, rows.filter(pa.array(fresh, pa.bool_()))))
    return found


def not_after(rows: pa.Table, bound: Position) -> Array:
    """Which changes are not after a position. rows: with the columns of a position."""
    found = np.ones(rows.num_rows, dtype=bool)
    limits = (bound.epoch, bound.file, bound.offset, bound.row)
    for place, limit in reversed(list(zip(raw.places(rows), limits, strict=True))):
        found = (place < limit) | ((place == limit) & found)
    return found


def _merged(snapshot: Snapshot) -> int:
    """The raw commit that a snapshot has merged; -1 for one that was put in another's place."""
    summary = snapshot.summary.additional_properties if snapshot.summary else {}
    return -1 if kind_of(snapshot) == REPLACED else int(summary.get(SEQUENCE, -1))
