"""What one commit does to a table: one snapshot that adds and removes rows and files.

pyiceberg reads merge-on-read tables but can't write them yet, so the snapshot is put together
here, of updates that pyiceberg's transactions know. In the same commit old snapshots leave the
metadata, and small manifests are folded, so that the thousandth commit costs what the first did.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log

import numpy as np
import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
)
from pyiceberg.table import Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    RemoveSnapshotsUpdate,
    SetSnapshotRefUpdate,
    TableUpdate,
)

from smug_platform.iceberg.datafiles import FileWriter, OnFile, Rows, writers
from smug_platform.iceberg.files import FILE, ROW, LakeFiles, remember_deletes
from smug_platform.iceberg.held import hold
from smug_platform.iceberg.manifests import NewSnapshot, entries, manifests

_FOLD = 8  # manifests of about one size that become one; a snapshot's list grows by the logarithm
_FULL = 1000  # files of a manifest that is folded no more: writing it takes some 50 ms
KEEP = "history.expire.min-snapshots-to-keep"  # Iceberg's own name of the property
_KEEP = 40  # snapshots kept; a warehouse further behind is loaded whole


@dataclass(frozen=True)
class Change:
    """What one commit does to a table.

    rows: to append, in the table's schema, or None.
    replaced: (file number, row) of the rows that go, as `LakeFiles.read` gave them, or None.
    removed: data and delete files that go as a whole; who lets go of a data file gives its live
    rows again in `rows`, and of a delete file, what it says of files that stay in `replaced`.
    written: files of more rows to append, that `write` made.
    """

    rows: pa.Table | None = None
    replaced: pa.Table | None = None
    removed: Sequence[DataFile] = ()
    written: Sequence[DataFile] = ()


def commit(
    transaction: Transaction, files: LakeFiles, change: Change, *, summary: Mapping[str, str]
) -> int:
    """Stage one snapshot with that change in the transaction; the snapshot's id.

    The transaction may change schema and properties as well: it is all one commit. Raises
    pyiceberg's CommitFailedException, when the transaction commits, if another commit came first,
    and here if `files` are those of another snapshot than the transaction's.
    """
    if files.snapshot_id != transaction.table_metadata.current_snapshot_id:
        raise CommitFailedException(f"planned on snapshot {files.snapshot_id}, which is past")
    writer = _writer(transaction)
    rows, gone = change.rows, _by_path(files.data, change.replaced)
    # The two wait for the disk at the same time.
    deletes = writers().submit(writer.write_deletes, gone) if gone else None
    added = writer.write(rows) if rows is not None and rows.num_rows else []
    added += change.written
    if deletes is not None:
        added.append(deletes.result())
        remember_deletes(added[-1], gone)
    removed = {file.file_path: file for file in change.removed}
    return _stage(transaction, _Plan(Operation.OVERWRITE, added, removed), summary)


def write(transaction: Transaction, rows: pa.Table) -> list[DataFile]:
    """Write rows, in the table's schema, that a commit of this transaction is to append."""
    return _writer(transaction).write(rows)


def append(
    transaction: Transaction,
    rows: pa.Table,
    *,
    summary: Mapping[str, str],
    on_file: OnFile | None = None,
) -> int:
    """Stage one snapshot that appends the rows, a file a partition; the snapshot's id.

    on_file: is called with the location and the rows of each file.
    """
    added = _writer(transaction, on_file).write(rows) if rows.num_rows else []
    return _stage(transaction, _Plan(Operation.APPEND, added, {}), summary)


def rewrite(
    transaction: Transaction, rewritten: Mapping[str, pa.Table], *, summary: Mapping[str, str]
) -> int:
    """Stage one snapshot that has other rows in the place of data files; the snapshot's id.

    rewritten: the rows by the location of the file that goes. They keep the number of the commit
    that brought it: who reads what came after some commit does not see them as new.
    """
    writer, new, gone, numbers = _writer(transaction), [], {}, {}
    table = transaction._table
    for manifest in manifests(transaction.table_metadata.current_snapshot(), table.io):
        for entry in entries(manifest, table.io):
            path = entry.data_file.file_path
            if path in rewritten:
                gone[path] = entry.data_file
                for file in writer.write(rewritten[path]):
                    new.append(file)
                    numbers[file.file_path] = entry.sequence_number or manifest.sequence_number
    return _stage(transaction, _Plan(Operation.OVERWRITE, new, gone, numbers), summary)


def _writer(transaction: Transaction, on_file: OnFile | None = None) -> FileWriter:
    table = transaction._table
    return FileWriter(table.io, transaction.table_metadata, table.location_provider(), on_file)


def _by_path(data: Sequence[DataFile], replaced: pa.Table | None) -> dict[str, Rows]:
    """Rows that go, by the path of their file."""
    if replaced is None:
        return {}
    numbers, rows = replaced[FILE].to_numpy(), replaced[ROW].to_numpy()
    return {
        data[number].file_path: np.sort(rows[numbers == number]) for number in np.unique(numbers)
    }


@dataclass(frozen=True)
class _Plan:
    """The files that a snapshot adds, and those that it removes, by path. numbers: of the commits
    that brought the rows of added files, by path, where it is not this one.
    """

    operation: Operation
    added: Sequence[DataFile]
    removed: Mapping[str, DataFile]
    numbers: Mapping[str, int] = field(default_factory=dict)


def _stage(transaction: Transaction, plan: _Plan, summary: Mapping[str, str]) -> int:
    """Write the snapshot's manifests, and stage it and the expiry of old ones; its id."""
    table, metadata = transaction._table, transaction.table_metadata
    new = NewSnapshot(table.io, metadata, table.location_provider(), metadata.new_snapshot_id())
    held = [
        manifest
        for content in (ManifestContent.DATA, ManifestContent.DELETES)
        for manifest in _manifests(new, content, plan)
    ]
    snapshot = Snapshot.model_validate(
        {
            "snapshot-id": new.id,
            "parent-snapshot-id": metadata.current_snapshot_id,
            "manifest-list": new.write_list(held),
            "sequence-number": new.sequence,
            "summary": _summary(metadata, plan, summary),
            "schema-id": metadata.current_schema_id,
        }
    )
    main = {"ref-name": MAIN_BRANCH, "type": SnapshotRefType.BRANCH, "snapshot-id": new.id}
    base = {"ref": MAIN_BRANCH, "snapshot-id": metadata.current_snapshot_id}
    updates: tuple[TableUpdate, ...] = (
        AddSnapshotUpdate(snapshot=snapshot),
        SetSnapshotRefUpdate.model_validate(main),
        *hold(metadata, time.time_ns() // 1_000_000),
        *_expired(metadata),
    )
    transaction._apply(updates, (AssertRefSnapshotId.model_validate(base),))
    return new.id


def _manifests(new: NewSnapshot, content: ManifestContent, plan: _Plan) -> Iterator[ManifestFile]:
    """The new manifest of that content, with touched or small ones folded in, and the rest."""
    live = [
        manifest
        for manifest in manifests(new.parent, new.io)
        if manifest.content == content and _size(manifest)
    ]
    touched = [
        manifest
        for manifest in (live if plan.removed else ())
        if any(entry.data_file.file_path in plan.removed for entry in entries(manifest, new.io))
    ]
    fold = touched or _alike(live)
    written = [
        _entry(ManifestEntryStatus.ADDED, new, file)
        for file in plan.added
        if (file.content == DataFileContent.DATA) == (content == ManifestContent.DATA)
    ]
    for entry in written:
        if (number := plan.numbers.get(entry.data_file.file_path)) is not None:
            entry.sequence_number, entry.file_sequence_number = number, new.sequence
    for manifest in fold:
        for old in entries(manifest, new.io):
            gone = old.data_file.file_path in plan.removed
            status = ManifestEntryStatus.DELETED if gone else ManifestEntryStatus.EXISTING
            written.append(_entry(status, new, old.data_file, old))
    if written:
        yield new.write_manifest(content, written)
    yield from (manifest for manifest in live if manifest not in fold)


def _alike(live: Sequence[ManifestFile]) -> list[ManifestFile]:
    """Manifests to fold: those of about one size, where they have become too many."""
    sizes: dict[int, list[ManifestFile]] = {}
    for manifest in live:
        if _size(manifest) < _FULL:
            sizes.setdefault(int(log(_size(manifest), _FOLD)), []).append(manifest)
    return [one for alike in sizes.values() if len(alike) >= _FOLD for one in alike]


def _size(manifest: ManifestFile) -> int:
    """Files of a manifest that are live."""
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)


def _entry(
    status: ManifestEntryStatus,
    new: NewSnapshot,
    file: DataFile,
    old: ManifestEntry | None = None,
) -> ManifestEntry:
    existing = status == ManifestEntryStatus.EXISTING and old is not None
    return ManifestEntry.from_args(
        status=status,
        snapshot_id=old.snapshot_id if existing and old else new.id,
        sequence_number=old.sequence_number if old else None,
        file_sequence_number=old.file_sequence_number if old else None,
        data_file=file,
    )


def _summary(metadata: TableMetadata, plan: _Plan, more: Mapping[str, str]) -> Summary:
    """The counts that pyiceberg puts into a summary, and what the caller says beside."""
    collector = SnapshotSummaryCollector()
    schema, specs = metadata.schema(), metadata.specs()
    for file in plan.added:
        collector.add_file(file, schema, specs[file.spec_id])
    for file in plan.removed.values():
        collector.remove_file(file, schema, specs[file.spec_id])
    parent = metadata.current_snapshot()
    return update_snapshot_summaries(
        Summary(plan.operation, **collector.build(), **more), parent.summary if parent else None
    )


def _expired(metadata: TableMetadata) -> Iterator[RemoveSnapshotsUpdate]:
    """All but the latest snapshots leave the metadata, every so often."""
    keep = int(metadata.properties.get(KEEP, _KEEP))
    snapshots = metadata.snapshots  # without the one that is being added
    if len(snapshots) >= 2 * keep:
        named = {ref.snapshot_id for ref in metadata.refs.values()}
        old = sorted(snapshots, key=lambda snapshot: snapshot.sequence_number or 0)[:-keep]
        ids = [snapshot.snapshot_id for snapshot in old if snapshot.snapshot_id not in named]
        yield RemoveSnapshotsUpdate.model_validate({"snapshot-ids": ids})
