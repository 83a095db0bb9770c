"""Compaction: many small files of a lake table become one again.

Each merge appends a data file and a file of position deletes, so reads slow down with the number
of merges. Past a bound the live rows, tombstones included, are rewritten in one commit that a
concurrent merge makes fail; it is then simply left for the next time.
"""

from dataclasses import dataclass

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException

from smug_platform import iceberg
from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake.merge import KIND, SEQUENCE, name_of
from smug_platform.lake.target import Target

MAX_FILES = 48  # data files of one table; a scan of that many takes about twice that of one


@dataclass(frozen=True)
class Debt:
    """What reads of a table pay for the merges since its last compaction."""

    data_files: int
    delete_files: int
    rows: int
    deleted_rows: int

    @property
    def due(self) -> bool:
        """Whether the table should be compacted."""
        return self.data_files > MAX_FILES


def debt(catalog: Catalog, target: Target) -> Debt:
    """The table's debt; all zero for a table that is not there."""
    files = _files(catalog, target)
    if files is None:
        return Debt(0, 0, 0, 0)
    gone = sum(file.record_count for file in files.deletes)
    return Debt(len(files.data), len(files.deletes), files.rows, gone)


def compact(catalog: Catalog, target: Target) -> bool:
    """Rewrite the table as one file; False when there was nothing to do or a merge was first."""
    table = iceberg.load(catalog, name_of(target))
    snapshot = table.current_snapshot() if table else None
    if table is None or snapshot is None:
        return False
    files = LakeFiles(table.io, table.schema(), snapshot)
    if len(files.data) < 2 and not files.deletes:
        return False
    names = [field.name for field in table.schema().fields]
    order = [(name, "ascending") for name in target.identity]
    rows = files.read(names).select(names).sort_by(order)
    transaction = table.transaction()
    summary = {KIND: "compact", SEQUENCE: table.properties[SEQUENCE]}
    iceberg.commit(transaction, files, iceberg.Change(rows, rewrite=True), summary=summary)
    try:
        transaction.commit_transaction()
    except CommitFailedException:
        return False
    return True


def _files(catalog: Catalog, target: Target) -> LakeFiles | None:
    table = iceberg.load(catalog, name_of(target))
    if table is None or table.current_snapshot() is None:
        return None
    return LakeFiles(table.io, table.schema(), table.current_snapshot())
