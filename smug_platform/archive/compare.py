"""Does the archive hold what raw holds: the same changes, by position, in each hour."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyiceberg.catalog import Catalog

from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import all_manifests
from smug_platform.archive.objects import hour_text, hours_of, mixed
from smug_platform.iceberg import Table
from smug_platform.raw import deltas as raw

_WHEN = ["committed_at", "captured_at", "landed_at"]
_EARLY = 1  # hours that the source's clock may be ahead of ours

Place = tuple[str, str, str]
"""Shard, hour and table."""


@dataclass(frozen=True)
class Held:
    """How many changes, and a sum over their positions that is another for other positions."""

    rows: int = 0
    positions: int = 0

    def __add__(self, other: "Held") -> "Held":
        return Held(self.rows + other.rows, (self.positions + other.positions) % (1 << 64))


@dataclass(frozen=True)
class Difference:
    """Where the two are not the same."""

    place: Place
    raw: Held
    archive: Held

    def __str__(self) -> str:
        shard, hour, table = self.place
        return f"{table} of {shard} in {hour}: {self.raw.rows} in raw, {self.archive.rows} archived"


@dataclass(frozen=True)
class Compared:
    """What a comparison found. rows: in raw, of those hours."""

    rows: int
    differences: tuple[Difference, ...]


def compare(catalog: Catalog, archive: Archive, hours: Collection[str] | None = None) -> Compared:
    """Compare all that raw has landed in those hours (as manifests name them; all unless given).

    What has landed and is not archived yet is a difference. What raw does not hold any more,
    because it was made anew, is none. Manifests speak for their objects, which `verify` reads.
    """
    deltas = raw.open_deltas(catalog)
    here = dict(_of_raw(deltas, hours))
    there = _of_archive(archive, str(deltas.metadata.table_uuid), hours)
    places = sorted(here.keys() | there.keys())
    found = [Difference(p, here.get(p, Held()), there.get(p, Held())) for p in places]
    differences = tuple(one for one in found if one.raw != one.archive)
    return Compared(sum(one.rows for one in here.values()), differences)


def _of_raw(deltas: Table, hours: Collection[str] | None) -> Iterator[tuple[Place, Held]]:
    wanted = [file for file in raw.delta_files(deltas) if _may_hold(file, hours)]
    for table in sorted({file.table for file in wanted}):
        parts = [
            raw.read_columns(deltas, file, ["shard", *raw.PLACE, *_WHEN])
            for file in wanted
            if file.table == table
        ]
        yield from _sums(pa.concat_tables(parts), table, hours)


def _may_hold(file: raw.DeltaFile, hours: Collection[str] | None) -> bool:
    return hours is None or hour_text(file.hour + _EARLY) >= min(hours)


def _sums(
    rows: pa.Table, table: str, hours: Collection[str] | None
) -> Iterator[tuple[Place, Held]]:
    shards = rows["shard"].combine_chunks().dictionary_encode()
    codes, when, words = shards.indices.to_numpy(), hours_of(rows), mixed(rows)
    for hour in np.unique(when):
        if hours is not None and hour_text(int(hour)) not in hours:
            continue
        for code, shard in enumerate(shards.dictionary.to_pylist()):
            chosen = (when == hour) & (codes == code)
            if count := int(chosen.sum()):
                total = int(words[chosen].sum(dtype=np.uint64))
                yield (shard, hour_text(int(hour)), table), Held(count, total)


def _of_archive(
    archive: Archive, table: str, hours: Collection[str] | None
) -> Mapping[Place, Held]:
    found: dict[Place, Held] = {}
    for manifest in all_manifests(archive.store):
        if manifest.raw.table != table or (hours is not None and manifest.hour not in hours):
            continue
        for one in manifest.objects:
            held = Held(one.rows, int(one.positions, 16))
            place = (manifest.shard, manifest.hour, one.table)
            found[place] = found.get(place, Held()) + held
    return found
