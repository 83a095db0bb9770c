"""Reading a table's files: which rows are live, where they are, and what they hold.

Columns are found by field id, so that renamed, added and widened columns read right in old files.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Snapshot

from smug_platform.iceberg.cache import Cache
from smug_platform.iceberg.datafiles import Rows
from smug_platform.iceberg.manifests import entries, files, manifests

FILE, ROW = "_file", "_row"  # columns that `LakeFiles.read` adds: the file's number, the row in it
_VALUE = 16  # bytes
_GONE = Cache[Mapping[str, Rows]](4_000_000)  # by path of a delete file; weight: rows, of 8 bytes
_COUNTS = Cache[Mapping[str, int]](1_000_000)  # by path of a delete file; weight: 100 bytes each


class LakeFiles:
    """The live files of one snapshot: which rows they hold and which of those are deleted."""

    def __init__(self, io: FileIO, schema: Schema, snapshot: Snapshot | None) -> None:
        self._io = io
        self._schema = schema
        self.snapshot_id = snapshot.snapshot_id if snapshot else None
        held = manifests(snapshot, io)
        self.data = _newest_first(io, held, ManifestContent.DATA)
        """Newest commit first."""
        self.deletes = _newest_first(io, held, ManifestContent.DELETES)

    @property
    def rows(self) -> int:
        """Rows that are not deleted."""
        return sum(file.record_count for file in self.data) - sum(self.gone())

    @cached_property
    def row_bytes(self) -> int:
        """Bytes that a row takes in memory, about: as the largest file says it, and more for each
        value, as values that come again and again take less of a file.
        """
        more = _VALUE * len(self._schema.fields)
        largest = max(self.data, key=lambda file: file.record_count, default=None)
        if largest is None:
            return more
        return more + memory_of(self._io, largest.file_path) // max(largest.record_count, 1)

    def gone(self) -> list[int]:
        """How many rows of each data file are deleted, in the order of `data`."""
        total: dict[str, int] = {}
        for file in self.deletes:
            for path, count in _counts(self._io, file).items():
                total[path] = total.get(path, 0) + count
        return [total.get(file.file_path, 0) for file in self.data]

    def unused(self) -> list[int]:
        """How many rows of each delete file name data files that are gone, in their order."""
        live = {file.file_path for file in self.data}
        counts = [_counts(self._io, file) for file in self.deletes]
        return [sum(n for path, n in count.items() if path not in live) for count in counts]

    def deleted_by(self, numbers: Sequence[int]) -> pa.Table:
        """(FILE, ROW) of the rows that these delete files delete, by their number in `deletes`."""
        places = {file.file_path: number for number, file in enumerate(self.data)}
        files, rows = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for number in numbers:
            for path, gone in _read_deletes(self._io, self.deletes[number]).items():
                if path in places:
                    files.append(np.full(len(gone), places[path], np.int32))
                    rows.append(gone)
        return pa.table({FILE: np.concatenate(files), ROW: np.concatenate(rows)})

    def read(self, columns: Sequence[str], numbers: Sequence[int] | None = None) -> pa.Table:
        """The live rows' columns, under the table's present names, with FILE and ROW.

        numbers: of the files to read, in `data`; all unless given.
        """
        chosen = range(len(self.data)) if numbers is None else numbers
        gone = self.deleted({self.data[number].file_path for number in chosen})
        parts = [self._read(number, columns, gone) for number in chosen]
        return (
            pa.concat_tables(parts) if parts else _placed_schema(self._arrow(columns)).empty_table()
        )

    def rows_at(self, places: pa.Table) -> pa.Table:
        """All columns, and FILE and ROW, of the rows at those (FILE, ROW) places.

        Of a file only the row groups that hold such rows are read.
        """
        schema = self._arrow([field.name for field in self._schema.fields])
        parts = []
        for number in places[FILE].unique().to_pylist():
            rows = places.filter(pc.equal(places[FILE], number))[ROW]
            part = project(self._io, self.data[number], schema, rows=rows.to_numpy())
            parts.append(_placed(part, number, rows))
        return pa.concat_tables(parts) if parts else _placed_schema(schema).empty_table()

    def read_file(self, file: DataFile, columns: Sequence[str]) -> pa.Table:
        """Those columns of all rows that a data file was written with, deleted ones included."""
        return project(self._io, file, self._arrow(columns))

    def oldest_first(self) -> list[DataFile]:
        """The data files in the order of the commits that added them."""
        return self.data[::-1]

    def deleted(self, paths: Collection[str] | None = None) -> Mapping[str, Rows]:
        """Numbers of the deleted rows, by path of the data file; in no order.

        paths: the data files, all unless given; only delete files that name them are read.
        """
        wanted = {file.file_path for file in self.data} if paths is None else set(paths)
        found: dict[str, list[Rows]] = {}
        for file in self.deletes:
            if wanted.isdisjoint(_counts(self._io, file)):
                continue
            for path, rows in _read_deletes(self._io, file).items():
                if path in wanted:
                    found.setdefault(path, []).append(rows)
        return {path: np.concatenate(rows) for path, rows in found.items()}

    def _read(self, number: int, columns: Sequence[str], gone: Mapping[str, Rows]) -> pa.Table:
        file = self.data[number]
        table = project(self._io, file, self._arrow(columns))
        table = _placed(table, number, pa.array(np.arange(table.num_rows, dtype=np.int64)))
        if file.file_path not in gone:
            return table
        mask = np.ones(table.num_rows, dtype=bool)
        mask[gone[file.file_path]] = False
        return table.filter(pa.array(mask))

    def _arrow(self, columns: Sequence[str]) -> pa.Schema:
        schema = schema_to_pyarrow(self._schema)
        return pa.schema([schema.field(name) for name in columns])


def _newest_first(
    io: FileIO, held: Sequence[ManifestFile], content: ManifestContent
) -> list[DataFile]:
    found = [one for manifest in held if manifest.content == content for one in files(manifest, io)]
    return [file for _, file in sorted(found, key=itemgetter(0), reverse=True)]


def added_files(snapshot: Snapshot, io: FileIO) -> list[DataFile]:
    """The data files that the snapshot's own commit appended."""
    return [
        entry.data_file
        for manifest in manifests(snapshot, io)
        if manifest.added_snapshot_id == snapshot.snapshot_id
        and manifest.content == ManifestContent.DATA
        for entry in entries(manifest, io)
        if entry.snapshot_id == snapshot.snapshot_id
    ]


def remember_deletes(file: DataFile, gone: Mapping[str, Rows]) -> None:
    """Hold what a delete file says, by path of the data file; called by who wrote it."""
    _GONE.put(file.file_path, gone, file.record_count)
    _COUNTS.put(file.file_path, {path: len(rows) for path, rows in gone.items()}, len(gone))


def _counts(io: FileIO, file: DataFile) -> Mapping[str, int]:
    """How many rows a delete file names, by path of the data file."""
    found = _COUNTS.get(file.file_path)
    if found is None:
        found = {path: len(rows) for path, rows in _read_deletes(io, file).items()}
    return found


def _read_deletes(io: FileIO, file: DataFile) -> Mapping[str, Rows]:
    found = _GONE.get(file.file_path)
    if found is None:
        with io.new_input(file.file_path).open() as stream:
            table = pq.read_table(stream, read_dictionary=["file_path"]).combine_chunks()
        found = _by_path(table)
        remember_deletes(file, found)
    return found


def _by_path(table: pa.Table) -> dict[str, Rows]:
    """The rows that a delete file names, by path; it need not be sorted, as the format asks."""
    rows, paths = table["pos"].to_numpy(), table["file_path"].unify_dictionaries()
    if not len(rows):
        return {}
    coded = paths.combine_chunks()
    codes, names = coded.indices.to_numpy(), coded.dictionary.to_pylist()
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    parts = np.split(rows[order], starts[1:])
    return {names[codes[order[at]]]: part for at, part in zip(starts, parts, strict=True)}


def project(io: FileIO, file: DataFile, schema: pa.Schema, *, rows: Rows | None = None) -> pa.Table:
    """A data file's columns by field id, under the names and types of `schema`.

    A column that the file does not have reads as NULL. rows: only those of the file, in that order.
    """
    with io.new_input(file.file_path).open() as stream:
        parquet = pq.ParquetFile(stream)
        names = {_field_id(field): field.name for field in parquet.schema_arrow}
        wanted = [names[_field_id(field)] for field in schema if _field_id(field) in names]
        table = parquet.read(columns=wanted) if rows is None else _take(parquet, wanted, rows)
    columns = []
    for field in schema:
        name = names.get(_field_id(field))
        if name is None:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
        else:
            columns.append(table[name].cast(field.type))
    return pa.table(columns, schema=schema.remove_metadata())


def _take(parquet: pq.ParquetFile, columns: list[str], rows: Rows) -> pa.Table:
    """The rows of those numbers, out of the row groups that they are in."""
    counts = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    ends = np.cumsum(counts)
    groups = np.searchsorted(ends, rows, side="right")
    read, place = np.unique(groups, return_inverse=True)
    starts = np.concatenate([[0], np.cumsum(np.take(counts, read))])[:-1]
    within = rows - (ends - counts)[groups]
    table = parquet.read_row_groups(read.tolist(), columns=columns)
    return table.take(pa.array(starts[place] + within))


def _placed(table: pa.Table, number: int, rows: pa.Array | pa.ChunkedArray) -> pa.Table:
    table = table.append_column(FILE, pa.repeat(pa.scalar(number, pa.int32()), table.num_rows))
    return table.append_column(ROW, rows)


def _placed_schema(schema: pa.Schema) -> pa.Schema:
    schema = schema.remove_metadata()
    return schema.append(pa.field(FILE, pa.int32())).append(pa.field(ROW, pa.int64()))


def memory_of(io: FileIO, path: str) -> int:
    """Bytes that the rows of a Parquet file take in memory, about: what its footer says."""
    with io.new_input(path).open() as stream:
        footer = pq.ParquetFile(stream).metadata
    groups = (footer.row_group(number) for number in range(footer.num_row_groups))
    return sum(group.total_byte_size for group in groups)


def _field_id(field: pa.Field) -> int:
    return int((field.metadata or {})[b"PARQUET:field_id"])
