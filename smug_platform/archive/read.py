"""Reading the archive for a replay: the changes of one table up to a moment, as raw held them.

Of a table with a key only the last change of each row has an effect, and the archive tells which
that is by key and position alone. So these columns are read first, of all objects, and payloads
are taken, opened and decoded of the last changes only. An update that changes nothing has no effect
either: where the last change is one, all changes of that row are given.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import Manifest, Sealed, all_manifests
from smug_platform.archive.moment import NEEDED, Moment
from smug_platform.archive.objects import by_position
from smug_platform.archive.seal import COLUMNS, unseal
from smug_platform.duck import in_memory
from smug_platform.errors import ArchiveError
from smug_platform.lake.images import are_same
from smug_platform.lake.runs import Array
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Table

_LIGHT = ["op", "key", *NEEDED]
_THREADS = 2
_PART = 500_000  # changes that are merged at once


@dataclass(frozen=True)
class Source:
    """An object to read, and the manifest that names it."""

    manifest: Manifest
    sealed: Sealed


class Reading:
    """The archived changes of one table up to a moment.

    manifests: all of the archive's, for who has read them already.
    """

    def __init__(
        self,
        archive: Archive,
        table: Table,
        moment: Moment,
        manifests: Sequence[Manifest] | None = None,
    ) -> None:
        self._archive, self._table, self._moment = archive, table, moment
        manifests = all_manifests(archive.store) if manifests is None else manifests
        every = [
            Source(manifest, one)
            for manifest in manifests
            for one in manifest.objects
            if one.table == table.name
        ]
        self.sources = [one for one in every if moment.may_hold(one.manifest, one.sealed)]
        self._past = [one.manifest for one in every if moment.is_past(one.manifest, one.sealed)]
        self._manifests = manifests

    def resumes_at(self, raw_table: str) -> int:
        """The commit of `raw.deltas` after which all that was left out has landed.

        0 where raw is another table than the one that was archived: then all of it is to be merged.
        """
        ours = [one for one in self._manifests if one.raw.table == raw_table]
        if not ours:
            return 0
        whole: dict[str, int] = {}
        for one in ours:
            if one.raw.complete:
                whole[one.shard] = max(whole.get(one.shard, 0), one.raw.through)
        left_out = [one.raw.after for one in self._past if one.raw.table == raw_table]
        return min([*whole.values(), *left_out], default=0)

    @cached_property
    def control(self) -> list[dict[str, Any]]:
        """Schema changes and truncates."""
        found: list[dict[str, Any]] = []
        for number, light in enumerate(self._light):
            chosen = self._kept[number] & raw.is_control(light).to_numpy()
            if chosen.any():
                found += self._whole(number, chosen).to_pylist()
        return found

    @property
    def size(self) -> int:
        """Changes of rows."""
        return sum(int(changes.sum()) for changes in self._changes)

    def last_changes(self) -> Iterator[pa.Table]:
        """Of each row the last change, some at a time; of some rows all changes."""
        winners = self._winners()
        again: list[pa.Table] = []
        for part in self._parts(winners):
            rows = self._read(part)
            idle = _changes_nothing(rows)
            if idle.any():
                again.append(rows.select(["shard", "key"]).filter(pa.array(idle)))
                rows = rows.filter(pa.array(~idle))
            yield rows
        if again:
            yield from self.all_changes(pa.concat_tables(again))

    def all_changes(self, of: pa.Table | None = None) -> Iterator[pa.Table]:
        """All changes in the order of their positions, shard by shard, some at a time.

        of: only those of these rows (shard and key), all at once.
        """
        if of is not None:
            yield self._read(self._rows_of(of))
            return
        for part in self._parts(self._changes):
            yield by_position(self._read(part))

    @cached_property
    def _light(self) -> list[pa.Table]:
        """What decides, of all objects."""
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(lambda n: self._file(n).read(_LIGHT), range(len(self.sources))))

    @cached_property
    def _kept(self) -> list[Array]:
        """Which rows of each object are of before the moment."""
        return [
            self._moment.counts(light, source.manifest.shard)
            for light, source in zip(self._light, self.sources, strict=True)
        ]

    @cached_property
    def _changes(self) -> list[Array]:
        """Which of those are changes of rows."""
        return [
            kept & ~raw.is_control(light).to_numpy()
            for light, kept in zip(self._light, self._kept, strict=True)
        ]

    def _file(self, number: int) -> pq.ParquetFile:
        name = self.sources[number].sealed.name
        data = self._archive.store.read(name)
        if data is None:
            raise ArchiveError(
                f"the archive's {name} is gone", remedy="run smug archive verify, and bring it back"
            )
        return pq.ParquetFile(pa.BufferReader(data))

    def _ranks(self) -> list[Array]:
        """A number for each row that is larger for a later position of the same shard."""
        found = [np.empty(0, np.int64) for _ in self.sources]
        of_shard: dict[str, list[int]] = {}
        for number, source in enumerate(self.sources):
            of_shard.setdefault(source.manifest.shard, []).append(number)
        for own in of_shard.values():
            parts = zip(*(raw.places(self._light[number]) for number in own), strict=True)
            places = [np.concatenate(part) for part in parts]
            ranks = np.empty(len(places[0]), np.int64)
            ranks[np.lexsort(places[::-1])] = np.arange(len(ranks))
            ends = np.cumsum([self._light[number].num_rows for number in own])
            for number, part in zip(own, np.split(ranks, ends[:-1]), strict=True):
                found[number] = part
        return found

    def _winners(self) -> list[Array]:
        """Which rows of each object are the last change of their row."""
        parts = [
            pa.table(
                {
                    "key": light["key"].filter(pa.array(chosen)),
                    "rank": ranks[chosen],
                    "place": np.flatnonzero(chosen) + (number << 40),
                    "shard": pa.repeat(source.manifest.shard, int(chosen.sum())),
                }
            )
            for number, (light, chosen, ranks, source) in enumerate(
                zip(self._light, self._changes, self._ranks(), self.sources, strict=True)
            )
            if chosen.any()
        ]
        masks = [np.zeros(light.num_rows, dtype=bool) for light in self._light]
        if parts:
            with in_memory() as connection:
                connection.register("light", pa.concat_tables(parts))
                found = connection.sql(
                    "select arg_max(place, rank) as place from light"
                    " group by shard, key, if(key is null, rank, null)"
                ).to_arrow_table()
            places = found["place"].to_numpy()
            for number, mask in enumerate(masks):
                mask[places[places >> 40 == number] & ((1 << 40) - 1)] = True
        return masks

    def _rows_of(self, of: pa.Table) -> list[tuple[int, Array]]:
        """The rows of each object that are changes of these rows."""
        found = []
        for number, (light, changes) in enumerate(zip(self._light, self._changes, strict=True)):
            keys = of["key"].filter(pc.equal(of["shard"], self.sources[number].manifest.shard))
            of_these = pc.is_in(light["key"], value_set=keys.combine_chunks()).to_numpy()
            chosen = changes & of_these
            if chosen.any():
                found.append((number, chosen))
        return found

    def _parts(self, masks: Sequence[Array]) -> Iterator[list[tuple[int, Array]]]:
        """The chosen rows of the objects, as many as are merged at once, in groups of objects whose
        positions overlap.
        """
        order = sorted(range(len(self.sources)), key=self._begin)
        part: list[tuple[int, Array]] = []
        count, last = 0, None
        for number in order:
            source = self.sources[number]
            begins = self._begin(number)
            if count >= _PART and last is not None and begins > last:
                yield part
                part, count = [], 0
            chosen = masks[number]
            end = (source.manifest.shard, source.sealed.last_position)
            last = max(end, last) if last is not None else end
            if chosen.any():
                part.append((number, chosen))
                count += int(chosen.sum())
        if part:
            yield part

    def _begin(self, number: int) -> tuple[str, Any]:
        source = self.sources[number]
        return source.manifest.shard, source.sealed.first_position

    def _read(self, part: list[tuple[int, Array]]) -> pa.Table:
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(lambda one: self._whole(*one), part))
        return pa.concat_tables(found) if found else raw.ARROW.empty_table()

    def _whole(self, number: int, chosen: Array) -> pa.Table:
        """Those rows of an object, opened.

        A row group is read and sifted while it is in the cores' caches: all at once takes twice
        the time.
        """
        file = self._file(number)
        names = [*raw.ARROW.names, *(n for n in COLUMNS if n in file.schema_arrow.names)]
        found, end = [], 0
        for group in range(file.num_row_groups):
            begin, end = end, end + file.metadata.row_group(group).num_rows
            if chosen[begin:end].any():
                rows = file.read_row_group(group, names, use_threads=False)
                found.append(rows.filter(pa.array(chosen[begin:end])))
        rows = pa.concat_tables(found)
        if len(names) > len(raw.ARROW.names):
            rows = unseal(rows, self._table, self._archive.keys)
        return rows.select(raw.ARROW.names).cast(raw.ARROW)


def _changes_nothing(rows: pa.Table) -> Array:
    """Which rows are updates whose images are equal."""
    updates: Array = pc.equal(rows["op"], "u").to_numpy()
    return updates & are_same(rows["payload"])
