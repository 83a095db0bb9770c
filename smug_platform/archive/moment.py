"""A moment to which the archive is replayed: a time, or a position of each shard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.archive.manifest import Manifest, Sealed
from smug_platform.capture.position import Position
from smug_platform.errors import ArchiveError
from smug_platform.lake.asof import not_after, positions_in
from smug_platform.lake.runs import Array
from smug_platform.raw.deltas import PLACE


@dataclass(frozen=True)
class Moment:
    """What was committed by then. time: of the source's commits. positions: of single shards, the
    last that counts; other shards are not bounded by it. Neither: all there is.
    """

    time: datetime | None = None
    positions: Mapping[str, Position] = field(default_factory=dict)

    def may_hold(self, manifest: Manifest, one: Sealed) -> bool:
        """Whether an object may hold changes of before."""
        if self.time is not None and manifest.hour > f"{self.time:%Y-%m-%dT%H}":
            return False
        bound = self.positions.get(manifest.shard)
        return bound is None or one.first_position <= bound

    def is_past(self, manifest: Manifest, one: Sealed) -> bool:
        """Whether an object may hold changes of after."""
        if self.time is not None and manifest.hour >= f"{self.time:%Y-%m-%dT%H}":
            return True
        bound = self.positions.get(manifest.shard)
        return bound is not None and one.last_position > bound

    def counts(self, rows: pa.Table, shard: str) -> Array:
        """Which changes of a shard are of before. rows: with the columns that `NEEDED` names."""
        found = np.ones(rows.num_rows, dtype=bool)
        if self.time is not None:
            when = pc.coalesce(rows["committed_at"], rows["captured_at"])
            bound = pa.scalar(self.time, pa.timestamp("us", "UTC"))
            found &= pc.fill_null(pc.less_equal(when.cast(bound.type), bound), True).to_numpy()
        if (place := self.positions.get(shard)) is not None:
            found &= not_after(rows, place)
        return found


NEEDED = (*PLACE, "committed_at", "captured_at")


def parse_moment(text: str) -> Moment:
    """The moment that a person writes. Raises ArchiveError.

    >>> parse_moment("2026-01-31T12:00").time.isoformat()
    '2026-01-31T12:00:00+00:00'
    >>> str(parse_moment("shard_0=1/3:12345#2").positions["shard_0"])
    '1/3:12345#2'
    """
    if text == "now":
        return Moment()
    try:
        if "=" in text:
            return Moment(positions=positions_in(text))
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ArchiveError(
            f"{text!r} is no moment",
            remedy="write a time (2026-01-31T12:00:00, UTC), or shard_0=1/3:12345#0,shard_1=...",
        ) from None
    return Moment(time=when if when.tzinfo else when.replace(tzinfo=UTC))
