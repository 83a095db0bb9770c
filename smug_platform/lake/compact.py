"""Compaction: many small files of a lake table become one, and large ones lose their deleted rows.

Each merge appends a data file and a file of position deletes, so reads slow down with the number
of merges. A step makes the most crowded files one, in one commit, and takes bounded time and
memory; merges go on between two steps. One that lands during a step makes its commit fail: the
step is then planned anew.

Each row of a file that a commit adds is live at that commit, here as in a merge: of several
entries of a row that of the newest file counts, which is what the index goes by. So a step leaves
out deleted rows, and never gives way to a merge by adding what that has deleted. Rows that say
that their row was deleted at the source are rows like others and stay.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile

from smug_platform import iceberg
from smug_platform.errors import LakeError
from smug_platform.iceberg import FILE, ROW, LakeFiles
from smug_platform.lake.index import opened_index
from smug_platform.lake.merge import BUGS, KIND, SEQUENCE, merged_sequence, name_of
from smug_platform.lake.planned import enter
from smug_platform.lake.runs import Array
from smug_platform.lake.target import Target
from smug_platform.lake.tiers import Bounds, File, crowded, untidy

MAX_FILES = 16
"""Files of about one size that a table may have; a scan of that many takes some 1.3 times one's."""
STEP_ROWS = 250_000
"""Rows that a step reads, or a file of up to twice as many: about a third of a second."""
TEND_S = 0.8
"""Seconds that compaction is to take between two merges; a step may take longer than planned."""
GONE_SHARE = 0.25
"""Rows of a large file that may be deleted. At 0.25 three rows are written anew for each one that
is let go; at 0.2 it would be four.
"""
REST_S = 2.0
"""Seconds between two steps of a table beside merges of another process: the largest take less."""
ROUNDS_S = 1_800.0
"""Seconds after which rounds leave what is due to the next time; they are by the hour."""
_ROW_BYTES = 64  # of a row of usual width in a file; wider rows count as more of them
_TRIES = 3


@dataclass(frozen=True)
class Debt:
    """What reads of a table pay for the merges since its last compaction.

    rows: live ones. due: whether there is a step to do.
    """

    data_files: int = 0
    delete_files: int = 0
    rows: int = 0
    deleted_rows: int = 0
    due: bool = False

    @property
    def deleted_share(self) -> float:
        """The share of the rows in the files that are deleted."""
        written = self.rows + self.deleted_rows
        return self.deleted_rows / written if written else 0.0


@dataclass(frozen=True)
class Step:
    """What one step did: data files that became one, delete files that did, rows written."""

    data_files: int
    delete_files: int
    rows: int
    snapshot_id: int
    seconds: float


@dataclass(frozen=True)
class _Plan:
    """Data files to make one and delete files to make one, by number in `files`."""

    files: LakeFiles
    data: list[int]
    deletes: list[int]


def debt(catalog: Catalog, target: Target) -> Debt:
    """The table's debt; all zero for a table that is not there."""
    opened = _open(catalog, target)
    if opened is None:
        return Debt()
    _, files = opened
    return Debt(
        data_files=len(files.data),
        delete_files=len(files.deletes),
        rows=files.rows,
        deleted_rows=sum(files.gone()),
        due=_plan(files) is not None,
    )


def compact(catalog: Catalog, target: Target) -> bool:
    """Make the table tidy: no deleted rows, no small files but one; False if it was so already.

    Raises LakeError as `step` does.
    """
    return len(list(steps(catalog, target, thorough=True))) > 0


def steps(catalog: Catalog, target: Target, *, thorough: bool = False) -> Iterator[Step]:
    """Do step after step until nothing is due. thorough: until the table is tidy."""
    while done := step(catalog, target, thorough=thorough):
        yield done


def tend(catalog: Catalog, target: Target, seconds: float = TEND_S) -> bool:
    """Do a step, and more if they end within so many seconds when each takes as long as the one
    before it; whether there may be more to do. Raises LakeError as `step` does.
    """
    end = time.monotonic() + seconds
    try:
        while done := step(catalog, target):
            if time.monotonic() + done.seconds > end:
                return True
    except Outrun:
        return True
    return False


def rounds(
    catalog: Catalog, targets: Sequence[Target], *, seconds: float = ROUNDS_S
) -> Iterator[tuple[Target, Step | LakeError]]:
    """Step after step of each table until none is due or the time is up, with a rest between two
    rounds in which a merge that a step was before comes through. A table's problem ends its steps.
    """
    end, owing = time.monotonic() + seconds, list(targets)
    while owing:
        round_, owing = owing, []
        for target in round_:
            if time.monotonic() >= end:
                return
            try:
                if done := step(catalog, target):
                    yield target, done
                    owing.append(target)
            except Outrun:
                owing.append(target)
            except LakeError as problem:
                yield target, problem
        if owing:
            time.sleep(REST_S)


class Outrun(LakeError):
    """A step that is due was not done, because merges of its table were first time and again."""


def step(catalog: Catalog, target: Target, *, thorough: bool = False) -> Step | None:
    """Do the next step; None when nothing is due.

    Raises Outrun when merges were first time and again, LakeError when the table's files can't be
    read or written.
    """
    for _ in range(_TRIES):
        opened = _open(catalog, target)
        plan = _plan(opened[1], thorough=thorough) if opened else None
        if opened is None or plan is None:
            return None
        try:
            return _do(catalog, target, opened[0], plan)
        except CommitFailedException:
            continue
        except (*BUGS, OSError) as error:
            raise LakeError(
                f"{name_of(target)} can't be compacted ({' '.join(str(error).split())})",
                remedy="its merges go on; if this comes again, report it with this line",
                passes=True,
            ) from error
    raise Outrun(
        f"merges of {name_of(target)} were before its compaction {_TRIES} times",
        remedy="it is tried again by the hour and between merges",
        passes=True,
    )


def _open(catalog: Catalog, target: Target) -> tuple[iceberg.Table, LakeFiles] | None:
    """The table and its files; None for one that is not there, or holds nothing yet."""
    table = iceberg.load(catalog, name_of(target))
    if table is None or table.current_snapshot() is None:
        return None
    return table, LakeFiles(table.io, table.schema(), table.current_snapshot())


def _plan(files: LakeFiles, *, thorough: bool = False) -> _Plan | None:
    """What the next step is; None when nothing is due."""
    data = [
        File(number, file.record_count, gone, _size(file))
        for number, (file, gone) in enumerate(zip(files.data, files.gone(), strict=True))
    ]
    deletes = [
        File(number, file.record_count, unused, file.record_count)
        for number, (file, unused) in enumerate(zip(files.deletes, files.unused(), strict=True))
    ]
    bounds = Bounds(MAX_FILES, STEP_ROWS, GONE_SHARE)
    if thorough:  # once there are no deleted rows, no delete file is of use
        found = untidy(data, bounds)
        rest = [] if found else untidy(deletes, bounds)
    else:
        found, rest = crowded(data, bounds), crowded(deletes, bounds)
    if not found and not rest:
        return None
    return _Plan(files, [file.number for file in found], [file.number for file in rest])


def _size(file: DataFile) -> int:
    return max(file.record_count, file.file_size_in_bytes // _ROW_BYTES)


def _do(catalog: Catalog, target: Target, table: iceberg.Table, plan: _Plan) -> Step:
    started = time.perf_counter()
    files = plan.files
    rows, moved = _rows(target, table, plan)
    whole = [number for number in plan.data if number not in moved[FILE].unique().to_pylist()]
    kept = files.deleted_by(plan.deletes)
    kept = kept.filter(pa.array(np.isin(kept[FILE].to_numpy(), whole, invert=True)))
    removed = [files.data[n] for n in whole] + [files.deletes[n] for n in plan.deletes]
    change = iceberg.Change(rows, pa.concat_tables([moved, kept]), removed)
    index = opened_index(catalog, target, table)
    is_followed = index is not None and index.holds(files)
    transaction = table.transaction()
    summary = {KIND: "compact", SEQUENCE: str(merged_sequence(table))}
    snapshot_id = iceberg.commit(transaction, files, change, summary=summary)
    transaction.commit_transaction()
    if index is not None and is_followed:  # else the next merge reads the new file
        enter(index, table, files, snapshot_id, rows)
    seconds = time.perf_counter() - started
    return Step(len(plan.data), len(plan.deletes), rows.num_rows, snapshot_id, seconds)


def _rows(target: Target, table: iceberg.Table, plan: _Plan) -> tuple[pa.Table, pa.Table]:
    """The live rows of the plan's data files, sorted by identity, and which of them are deleted by
    their place, not removed with their file: of a file too large for a step the first ones are.
    """
    names = [column.name for column in table.schema().fields]
    files, gone = plan.files, plan.files.gone()
    alive = [n for n in plan.data if gone[n] < files.data[n].record_count]
    if len(alive) == 1 and _size(files.data[alive[0]]) > 2 * STEP_ROWS:
        moved = _first(files, alive[0])
        return files.rows_at(moved).select(names), moved
    rows = files.read(names, alive).select(names)
    if len(alive) > 1:
        order = [(name, "ascending") for name in target.identity]
        rows = rows.take(pc.sort_indices(rows, order))
    return rows, _places(np.empty(0, np.int32), np.empty(0, np.int64))


def _first(files: LakeFiles, number: int) -> pa.Table:
    """The places of the first live rows of a file, as many as make up a step."""
    file = files.data[number]
    is_live = np.ones(file.record_count, dtype=bool)
    is_live[files.deleted([file.file_path]).get(file.file_path, [])] = False
    most = max(file.record_count * STEP_ROWS // _size(file), 1)
    rows = np.flatnonzero(is_live)[:most]
    return _places(np.full(len(rows), number, np.int32), rows)


def _places(numbers: Array, rows: Array) -> pa.Table:
    return pa.table({FILE: numbers, ROW: rows})
