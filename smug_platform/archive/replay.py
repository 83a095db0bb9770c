"""Replay: a lake table as it was at a moment, from the archive alone, by the merge of every day.

It is built beside the live table, under another name, and is either left there or put in the live
one's place, in one commit. Neither source nor stream nor `raw.deltas` is asked.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.archive.archive import Archive
from smug_platform.archive.clear import clear_lake
from smug_platform.archive.manifest import Manifest
from smug_platform.archive.moment import Moment
from smug_platform.archive.read import Reading
from smug_platform.errors import ArchiveError
from smug_platform.iceberg import LakeFiles
from smug_platform.lake.batch import Batch
from smug_platform.lake.columns import plan
from smug_platform.lake.conflicts import conflicts, without
from smug_platform.lake.merge import (
    KIND,
    REPLACED,
    SEQUENCE,
    STATE,
    merge_given,
    merged_sequence,
    name_of,
)
from smug_platform.lake.recast import recast
from smug_platform.lake.rekey import KEY
from smug_platform.lake.schema import evolve_schema, new_schema, shaped
from smug_platform.lake.state import State
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw


class _Given(Batch):
    """A batch of the archive, with its rows; without, of its schema changes and truncates alone."""

    @property
    def raw_snapshot(self) -> int | None:
        """None: raw is not asked."""
        return None


@dataclass(frozen=True)
class Replayed:
    """What a replay did. changes: up to the moment; applied: whose payloads were merged; written:
    rows of the table that came of it; refused: changes that can't be applied, as in every merge.
    """

    table: str
    changes: int
    applied: int
    written: int
    seconds: float
    refused: int = 0


def replay(
    catalog: Catalog,
    archive: Archive,
    target: Target,
    moment: Moment,
    manifests: Sequence[Manifest] | None = None,
) -> Replayed:
    """Build the target anew under its alias, as it was at that moment but for erased accounts.

    manifests: as `Reading` takes them. Raises ArchiveError when there is a table of that name, or
    nothing to build it of.
    """
    started = time.perf_counter()
    if iceberg.load(catalog, name_of(target)) is not None:
        raise ArchiveError(
            f"there is a table {name_of(target)} already", remedy="drop it, or choose another name"
        )
    reading = Reading(archive, target.table, moment, manifests)
    if not reading.control:
        raise ArchiveError(
            f"the archive holds nothing of {target.table.name} up to that moment",
            remedy="choose a later one",
        )
    sequence = reading.resumes_at(_raw_id(catalog))
    applied, written, refused = _merge(
        catalog, target, reading, sequence, netted=_is_netted(target)
    )
    if _is_netted(target) and refused:  # what can't be read gives way to the change before it
        drop(catalog, target)
        applied, written, refused = _merge(catalog, target, reading, sequence, netted=False)
    clear_lake(catalog, target, archive.keys.destroyed())
    seconds = time.perf_counter() - started
    return Replayed(target.name, reading.size, applied, written, seconds, refused)


def replay_over(
    catalog: Catalog,
    archive: Archive,
    target: Target,
    moment: Moment,
    manifests: Sequence[Manifest] | None = None,
) -> Replayed:
    """Merge what the archive holds into the live table itself, whose gate lets nothing in that it
    has had: what is written is what it lacked.
    """
    started = time.perf_counter()
    table = iceberg.load(catalog, name_of(target))
    if table is None:
        raise ArchiveError(
            f"there is no table {name_of(target)}", remedy="replay it without --over"
        )
    reading = Reading(archive, target.table, moment, manifests)
    applied, written, refused = _merge(
        catalog, target, reading, merged_sequence(table), netted=_is_netted(target)
    )
    clear_lake(catalog, target, archive.keys.destroyed())
    seconds = time.perf_counter() - started
    return Replayed(target.name, reading.size, applied, written, seconds, refused)


def swap(catalog: Catalog, built: Target, live: Target) -> int:
    """Put the rows of a table that was built in the live one's place, in one commit, and drop it.

    The live table's snapshots stay, so that one can go back to them. Raises pyiceberg's
    CommitFailedException, with the live table as it was, when a merge comes first.
    """
    source = iceberg.load(catalog, name_of(built))
    assert source is not None
    state = State.from_json(source.properties[STATE])
    table = iceberg.load(catalog, name_of(live))
    columns = plan(live, without(state, conflicts(live, state, table)))
    if table is None:
        table = iceberg.create(catalog, name_of(live), new_schema(live, columns))
    summary = {KIND: REPLACED, SEQUENCE: str(merged_sequence(table))}
    if recast(table, live, state, columns, summary):
        table = iceberg.load(catalog, name_of(live))
        assert table is not None
    transaction = table.transaction()
    schema = evolve_schema(transaction, live, state, columns)
    files = LakeFiles(table.io, schema, table.current_snapshot())
    given = LakeFiles(source.io, source.schema(), source.current_snapshot())
    names = [column.name for column in source.schema().fields]
    written = [
        file
        for number in range(len(given.data))
        for file in iceberg.write(transaction, shaped(given.read(names, [number]), schema))
    ]
    transaction.set_properties({name: source.properties[name] for name in (SEQUENCE, STATE, KEY)})
    change = iceberg.Change(removed=[*files.data, *files.deletes], written=written)
    summary = {KIND: REPLACED, SEQUENCE: source.properties[SEQUENCE]}
    snapshot_id = iceberg.commit(transaction, files, change, summary=summary)
    transaction.commit_transaction()
    drop(catalog, built)
    return snapshot_id


def drop(catalog: Catalog, target: Target) -> None:
    """Drop a table that was built, with its files."""
    catalog.purge_table(name_of(target))


def _is_netted(target: Target) -> bool:
    """Whether of each row the last change alone is merged."""
    return bool(target.table.key) and not target.history


def _merge(
    catalog: Catalog, target: Target, reading: Reading, sequence: int, *, netted: bool
) -> tuple[int, int, int]:
    """Merge what is read; how many changes that were, rows written, and changes refused."""
    control = _Given(raw.open_deltas(catalog), [], sequence, control=list(reading.control))
    control.size = len(control.control)
    merge_given(catalog, target, control)
    applied = written = refused = 0
    for rows in _ahead(reading.last_changes() if netted else reading.all_changes()):
        if not rows.num_rows:
            continue
        batch = _Given(raw.open_deltas(catalog), [], sequence, size=rows.num_rows, held=rows)
        merged = merge_given(catalog, target, batch)
        applied += rows.num_rows
        written += merged.written if merged else 0
        refused += merged.refused if merged else 0
    return applied, written, refused


def _ahead(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same parts, each read while the one before it is merged."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, parts, None)
        while (rows := following.result()) is not None:
            following = pool.submit(next, parts, None)
            yield rows


def _raw_id(catalog: Catalog) -> str:
    table = iceberg.load(catalog, raw.NAME)
    return str(table.metadata.table_uuid) if table is not None else ""
