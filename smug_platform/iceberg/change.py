"""Merge-on-read: what one commit does to a lake table.

A merge is one snapshot: it appends one data file with the net changes and one position-delete file
for the rows that they replace. pyiceberg reads such tables but can't write them yet, so `RowDelta`
subclasses its snapshot producer, and delete manifests come from a subclass of its manifest writer.
pyiceberg is pinned for that reason.

Source of the formats: Iceberg spec v2, "Position Delete Files" and "Manifests".
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import _dataframe_to_data_files, schema_to_pyarrow
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
)
from pyiceberg.table import Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import ExpireSnapshots, _SnapshotProducer
from pyiceberg.typedef import Record

from smug_platform.iceberg.files import FILE, ROW, LakeFiles

_FOLD = 8  # manifests are folded into one from this many on: each costs a merge 3 ms to read
_KEEP = 40  # snapshots kept; a warehouse further behind is loaded whole. Metadata is copied often.
_PATH_ID, _POS_ID = 2147483546, 2147483545  # reserved field ids of position-delete files
_DELETES = pa.schema(
    [
        pa.field("file_path", pa.string(), False, {"PARQUET:field_id": str(_PATH_ID)}),
        pa.field("pos", pa.int64(), False, {"PARQUET:field_id": str(_POS_ID)}),
    ]
)


@dataclass(frozen=True)
class Change:
    """What one commit does to a table.

    rows: to append, in the table's schema, or None.
    replaced: (file number, row) of the rows that go, as `LakeFiles.read` gave them, or None.
    rewrite: every live file goes as well (compaction).
    """

    rows: pa.Table | None = None
    replaced: pa.Table | None = None
    rewrite: bool = False


def commit(
    transaction: Transaction, files: LakeFiles, change: Change, *, summary: Mapping[str, str]
) -> int:
    """Stage one snapshot with that change in the transaction; the snapshot's id.

    The transaction may change schema and properties as well: it is all one commit. Raises
    pyiceberg's CommitFailedException, when the transaction commits, if another commit came first.
    """
    delta = _RowDelta(transaction, summary)
    metadata, io = delta.metadata, transaction._table.io
    if change.rows is not None and change.rows.num_rows:
        rows = change.rows.cast(schema_to_pyarrow(metadata.schema(), include_field_ids=False))
        for file in _dataframe_to_data_files(metadata, rows, io):
            delta.append_data_file(file)
    if change.replaced is not None and change.replaced.num_rows:
        file = _write_deletes(transaction, files, change.replaced)
        file.spec_id = metadata.default_spec_id
        delta.append_data_file(file)
    for file in (*files.data, *files.deletes) if change.rewrite else ():
        delta.delete_data_file(file)
    delta.commit()
    _expire(transaction, metadata)
    return delta.snapshot_id


def _expire(transaction: Transaction, metadata: TableMetadata) -> None:
    """Drop all but the latest snapshots from the metadata, every so often."""
    snapshots = metadata.snapshots  # without the one that is being added
    if len(snapshots) >= 2 * _KEEP:
        old = sorted(snapshots, key=lambda snapshot: snapshot.sequence_number or 0)[:-_KEEP]
        ExpireSnapshots(transaction).by_ids([snapshot.snapshot_id for snapshot in old]).commit()


def _write_deletes(transaction: Transaction, files: LakeFiles, replaced: pa.Table) -> DataFile:
    """One position-delete file, sorted by file and row as the spec asks."""
    paths = pa.array([file.file_path for file in files.data])
    table = pa.table(
        [paths.take(replaced[FILE].combine_chunks()), replaced[ROW].combine_chunks()],
        schema=_DELETES,
    ).sort_by([("file_path", "ascending"), ("pos", "ascending")])
    location = transaction._table.location_provider().new_data_location(f"{uuid.uuid4()}.parquet")
    output = transaction._table.io.new_output(location)
    with output.create() as stream:
        pq.write_table(table, stream, compression="zstd")
    bounds = pc.min_max(table["file_path"]).as_py()
    return DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=table.num_rows,
        file_size_in_bytes=len(output.to_input_file()),
        column_sizes={},
        value_counts={},
        null_value_counts={},
        nan_value_counts={},
        lower_bounds={_PATH_ID: bounds["min"].encode()},
        upper_bounds={_PATH_ID: bounds["max"].encode()},
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
    )


class _DeleteManifestWriter(ManifestWriterV2):
    """Writes manifests of delete files; pyiceberg's own writes those of data files only."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class _RowDelta(_SnapshotProducer["_RowDelta"]):
    """Appends data and position-delete files, and removes files, in one snapshot."""

    def __init__(self, transaction: Transaction, summary: Mapping[str, str]) -> None:
        super().__init__(
            operation=Operation.OVERWRITE,  # for a rewrite too: pyiceberg has no REPLACE yet
            transaction=transaction,
            io=transaction._table.io,
            snapshot_properties=dict(summary),
        )
        self.metadata = transaction.table_metadata  # each reading of it there is a deep copy

    def _deleted_entries(self) -> list[ManifestEntry]:
        return []

    def _existing_manifests(self) -> list[ManifestFile]:
        return []

    def _validate_concurrency(self) -> None:
        raise RuntimeError("a concurrent commit means a new plan")  # never reached: no retries

    def _manifests(self) -> list[ManifestFile]:
        parent = self._parent_snapshot_id
        snapshot = self.metadata.snapshot_by_id(parent) if parent is not None else None
        live = snapshot.manifests(self._io) if snapshot else []
        return [
            manifest
            for content in (ManifestContent.DATA, ManifestContent.DELETES)
            for manifest in self._of(content, [m for m in live if m.content == content])
        ]

    def _of(self, content: ManifestContent, live: list[ManifestFile]) -> Iterable[ManifestFile]:
        """The new manifest of that content, with small or touched ones folded in, and the rest."""
        is_data = content == ManifestContent.DATA
        entries = [
            self._entry(ManifestEntryStatus.ADDED, file)
            for file in self._added_data_files
            if (file.content == DataFileContent.DATA) == is_data
        ]
        gone = {file.file_path for file in self._deleted_data_files}
        fold = live if gone or len(live) >= _FOLD else []
        for manifest in fold:
            for entry in manifest.fetch_manifest_entry(self._io, discard_deleted=True):
                removed = entry.data_file.file_path in gone
                status = ManifestEntryStatus.DELETED if removed else ManifestEntryStatus.EXISTING
                entries.append(self._entry(status, entry.data_file, entry))
        if entries:
            yield self._write(content, entries)
        yield from (manifest for manifest in live if manifest not in fold)

    def _entry(
        self, status: ManifestEntryStatus, file: DataFile, old: ManifestEntry | None = None
    ) -> ManifestEntry:
        existing = status == ManifestEntryStatus.EXISTING and old is not None
        return ManifestEntry.from_args(
            status=status,
            snapshot_id=old.snapshot_id if existing and old else self._snapshot_id,
            sequence_number=old.sequence_number if old else None,
            file_sequence_number=old.file_sequence_number if old else None,
            data_file=file,
        )

    def _write(self, content: ManifestContent, entries: list[ManifestEntry]) -> ManifestFile:
        metadata = self.metadata
        kind = ManifestWriterV2 if content == ManifestContent.DATA else _DeleteManifestWriter
        output = self.new_manifest_output()
        with kind(
            metadata.spec(), metadata.schema(), output, self._snapshot_id, self._compression
        ) as writer:
            for entry in entries:
                writer.add_entry(entry)
        return writer.to_manifest_file()
