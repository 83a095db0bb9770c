"""Merging: the deltas of one table that have landed since its last merge become one commit.

One snapshot appends the net changes and deletes the rows they replace; which raw commit has been
merged, and the schemas in force, are in that same commit. A concurrent commit makes this one fail,
and it is planned anew. The work looks up the changed keys in the index and writes what changed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

import duckdb
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table as Iceberg
from pyiceberg.table.snapshots import Snapshot

from smug_platform import iceberg
from smug_platform.duck import in_memory
from smug_platform.errors import LakeError
from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake.anew import is_read_anew
from smug_platform.lake.apply import apply
from smug_platform.lake.batch import Batch, allowed, next_batch
from smug_platform.lake.columns import fitted, plan
from smug_platform.lake.conflicts import conflicts, without
from smug_platform.lake.control import Halted, follow
from smug_platform.lake.index import StaleIndex, index_of
from smug_platform.lake.merged import COUNTS, Merged
from smug_platform.lake.parts import decoded
from smug_platform.lake.planned import Planned
from smug_platform.lake.recast import recast
from smug_platform.lake.rekey import KEY, key_of, rekey
from smug_platform.lake.schema import evolve_schema, new_schema
from smug_platform.lake.state import State
from smug_platform.lake.step import Step
from smug_platform.lake.stored import fit
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from smug_platform.raw.quarantine import quarantine

BUGS = (duckdb.Error, ArithmeticError, LookupError, TypeError, ValueError)
_EXAMINED: dict[tuple[UUID, UUID], int] = {}
"""Up to which raw commit a lake table was found to lack nothing, by both tables' ids."""

_ATTEMPTS = 5  # plans of one commit, where other writers keep coming first
SEQUENCE, STATE, KIND = "smug.raw.sequence", "smug.state", "smug.kind"
REPLACED = "replaced"  # the kind of a commit that puts other rows in the place of all
CONTROL = "smug.raw.control"  # the raw commit whose schema changes were merged ahead of its rows


def name_of(target: Target) -> str:
    """The target's identifier in the catalog."""
    return f"lake.{target.name}"


def kind_of(snapshot: Snapshot | None) -> str | None:
    """What kind of commit a snapshot of a lake table is: `merge`, `compact` or `replaced`."""
    summary = snapshot.summary if snapshot else None
    return summary.additional_properties.get(KIND) if summary else None


def merged_sequence(table: Iceberg | None) -> int:
    """The sequence number of the last raw commit that is merged; 0 for none."""
    return int(table.properties.get(SEQUENCE, "0")) if table is not None else 0


def state_of(table: Iceberg | None) -> State:
    """What a lake table knows beside its rows; an empty state before its first merge."""
    held = table.properties.get(STATE) if table else None
    return State.from_json(held) if held else State()


def pending(catalog: Catalog, targets: Sequence[Target]) -> dict[str, int]:
    """Deltas that have landed and are not merged, by target; those with none are left out."""
    tables = iceberg.load_all(catalog, [name_of(target) for target in targets])
    deltas = raw.open_deltas(catalog)
    after = {target: _examined(deltas, tables.get(name_of(target))) for target in targets}
    found: dict[str, int] = {}
    if not after:
        return found
    for file in raw.delta_files(deltas, min(after.values())):
        for target, sequence in after.items():
            if file.table == target.table.name and file.sequence > sequence:
                found[target.name] = found.get(target.name, 0) + file.rows
    for target in targets:
        table = tables.get(name_of(target))
        if table and target.name not in found:
            _EXAMINED[deltas.metadata.table_uuid, table.metadata.table_uuid] = raw.sequence(deltas)
    return found


def _examined(deltas: Iceberg, table: Iceberg | None) -> int:
    """The last raw commit up to which everything is merged: a quiet table's lags far behind."""
    if table is None:
        return 0
    known = _EXAMINED.get((deltas.metadata.table_uuid, table.metadata.table_uuid), 0)
    return max(known, merged_sequence(table))


def merge(catalog: Catalog, target: Target, *, max_deltas: int = 500_000) -> Merged:
    """Merge all that has landed for the target, at most about `max_deltas` deltas a commit.

    Raises LakeError when a schema change can't be followed; the table then stays as it is, and
    the others go on. One that was read anew after that goes on, by all that has landed at once.
    """

    def landed(table: Iceberg | None, most: int | None = max_deltas) -> Batch | None:
        deltas = raw.open_deltas(catalog)
        after = _examined(deltas, table)
        return next_batch(deltas, target, after, most=most, memory=allowed(catalog))

    def attempt() -> Merged | None:
        try:
            return _attempt(catalog, target, landed)
        except LakeError as error:
            after = merged_sequence(iceberg.load(catalog, name_of(target)))
            shards = error.shards if isinstance(error, Halted) else ()
            if not is_read_anew(raw.open_deltas(catalog), target.table.name, after, shards):
                raise
            return _attempt(catalog, target, partial(landed, most=None))

    started = time.perf_counter()
    total = Merged(target.name)
    while (step := attempt()) is not None:
        total += step
    if not total.commits:
        table = iceberg.load(catalog, name_of(target))
        snapshot = table.current_snapshot() if table else None
        if table and snapshot:
            rows = LakeFiles(table.io, table.schema(), snapshot).rows
            total = replace(total, rows=rows, snapshot_id=snapshot.snapshot_id)
    return replace(total, seconds=time.perf_counter() - started)


def merge_given(catalog: Catalog, target: Target, batch: Batch) -> Merged | None:
    """Merge a batch that does not come from `raw.deltas`; None when there is nothing to do yet.

    The table then says that it is merged up to the batch's sequence. Raises LakeError.
    """
    return _attempt(catalog, target, lambda _: batch)


def _attempt(
    catalog: Catalog, target: Target, batch_for: Callable[[Iceberg | None], Batch | None]
) -> Merged | None:
    """Merge one batch, planned anew when another writer is first. batch_for: what to merge into
    the table as it stands; None for nothing.
    """
    for _ in range(_ATTEMPTS):
        table = iceberg.load(catalog, name_of(target))
        if (batch := batch_for(table)) is None:
            return None
        try:
            return _merge_batch(catalog, target, table, batch)
        except CommitFailedException:
            continue  # another writer was first: plan anew on what it left
        except StaleIndex:
            assert table is not None
            index_of(catalog, target, table, table.schema()).clear()
        except BUGS as error:  # that table stands still, and the others go on
            raise LakeError(
                f"{name_of(target)} can't be merged ({' '.join(str(error).split())})",
                remedy="this is a bug: report it with this line; nothing is lost meanwhile",
            ) from error
    raise LakeError(
        f"another writer keeps changing {name_of(target)}",
        remedy="let only one merge at a time",
        passes=True,
    )


def _merge_batch(
    catalog: Catalog, target: Target, table: Iceberg | None, batch: Batch
) -> Merged | None:
    old = state_of(table)
    state = follow(target, old, batch)
    if not state.schemas and batch.is_empty:
        return None  # the table's CREATE has not landed yet: it all waits for that
    if not state.schemas:
        raise LakeError(
            f"changes of {target.table.name} came without its schema",
            remedy="take a new snapshot of the table",
        )
    in_conflict = conflicts(target, state, table)
    columns = plan(target, without(state, in_conflict))
    if table is None:
        table = iceberg.create(catalog, name_of(target), new_schema(target, columns))
    else:
        summary = {KIND: REPLACED, SEQUENCE: str(merged_sequence(table))}
        is_other = rekey(table, target, batch, summary)
        if is_other or recast(table, target, state, columns, summary):
            return _merge_batch(catalog, target, iceberg.load(catalog, name_of(target)), batch)
        columns = fitted(target, columns, state, table.schema())
    step = Step(target, columns, old, state, batch.floor_times, allowed(catalog), in_conflict)
    return _commit(catalog, table, batch, step)


def _commit(catalog: Catalog, table: Iceberg, batch: Batch, step: Step) -> Merged:
    """Merge a batch in one commit, or of it what has to go first."""
    transaction = table.transaction()
    schema = evolve_schema(transaction, step.target, step.new, step.columns)
    files = LakeFiles(table.io, schema, table.current_snapshot())
    index = index_of(catalog, step.target, table, schema)
    index.sync(files)
    planned, marks = Planned(transaction, index, schema), {}
    in_parts = batch.parts > 1
    # Each part would sink and fill the rows of the whole table, so what does that goes first.
    is_swept = step.concerns_stored and not fit(files, step.memory)
    is_new = bool(batch.control) and table.properties.get(CONTROL) != str(batch.sequence)
    if not batch.is_empty and (is_swept or (in_parts and is_new)):
        marks[CONTROL] = str(batch.sequence)
        batch = batch.without_rows(merged_sequence(table))
    with in_memory() as connection:
        for events, refused in decoded(connection, step, batch):
            planned.quarantined += quarantine(catalog, refused)
            planned.refused += len(refused)
            planned.zero_dates += pc.sum(events["_zeros"]).as_py() or 0
            for found, counts, watermarks in apply(connection, files, index, step, events):
                planned.add(found, counts, is_part=in_parts or is_swept)
                planned.reach(watermarks)
    state = replace(step.new, watermarks=dict(step.new.watermarks) | planned.watermarks)
    summary = {
        KIND: "merge",
        SEQUENCE: str(batch.sequence),
        "smug.raw.snapshot": str(batch.raw_snapshot),
        "smug.deltas": str(batch.size),
        "smug.zero_dates": str(planned.zero_dates),
    }
    summary |= {f"smug.{name}": str(getattr(planned.counts, name)) for name in COUNTS[1:]}
    marks |= {SEQUENCE: str(batch.sequence), STATE: state.to_json(), KEY: key_of(step.target)}
    transaction.set_properties(marks)
    snapshot_id = iceberg.commit(transaction, files, planned.change(), summary=summary)
    transaction.commit_transaction()
    planned.enter(table, files, snapshot_id)
    return _merged(step.target, batch, planned, files, snapshot_id)


def _merged(
    target: Target, batch: Batch, planned: Planned, files: LakeFiles, snapshot_id: int
) -> Merged:
    counts = planned.counts
    return Merged(
        target.name,
        deltas=batch.size,
        duplicates=counts.duplicates,
        identical=counts.identical,
        merged_away=counts.merged_away,
        stale=counts.stale,
        written=planned.written,
        deleted=planned.deleted,
        quarantined=planned.quarantined,
        refused=planned.refused,
        zero_dates=planned.zero_dates,
        rows=files.rows + planned.written - planned.replaced,
        commits=1,
        latest_commit=batch.latest,
        snapshot_id=snapshot_id,
    )
