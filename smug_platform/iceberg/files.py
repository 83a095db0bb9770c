"""Reading a lake table's files: which rows are live, where they are, and what they hold.

Columns are found by field id, so that renamed, added and widened columns read right in old files.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import DataFile, DataFileContent
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Snapshot

FILE, ROW = "_file", "_row"  # columns that `LakeFiles.read` adds: the file's number, the row in it


class LakeFiles:
    """The live files of one snapshot: which rows they hold and which of those are deleted."""

    def __init__(self, io: FileIO, schema: Schema, snapshot: Snapshot | None) -> None:
        self._io = io
        self._schema = schema
        self.data: list[DataFile] = []
        self.deletes: list[DataFile] = []
        for manifest in snapshot.manifests(io) if snapshot else ():
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                is_data = entry.data_file.content == DataFileContent.DATA
                (self.data if is_data else self.deletes).append(entry.data_file)
        self._gone: dict[str, np.ndarray[Any, Any]] | None = None

    @property
    def rows(self) -> int:
        """Rows that are not deleted."""
        files, gone = self.data, self.deletes
        return sum(file.record_count for file in files) - sum(file.record_count for file in gone)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """The live rows' columns, under the table's present names, with FILE and ROW."""
        parts = [self._read(number, file, columns) for number, file in enumerate(self.data)]
        return (
            pa.concat_tables(parts) if parts else _placed_schema(self._arrow(columns)).empty_table()
        )

    def rows_at(self, places: pa.Table) -> pa.Table:
        """All columns, and FILE and ROW, of the rows at those (FILE, ROW) places."""
        schema = self._arrow([field.name for field in self._schema.fields])
        parts = []
        for number in places[FILE].unique().to_pylist():
            rows = places.filter(pc.equal(places[FILE], number))[ROW]
            part = project(self._io, self.data[number], schema).take(rows)
            parts.append(_placed(part, number, rows))
        return pa.concat_tables(parts) if parts else _placed_schema(schema).empty_table()

    def read_file(self, file: DataFile, columns: Sequence[str]) -> pa.Table:
        """Those columns of all rows that a data file was written with, deleted ones included."""
        return project(self._io, file, self._arrow(columns))

    def oldest_first(self) -> list[DataFile]:
        """The data files in the order of the commits that added them."""
        return self.data[::-1]

    def _read(self, number: int, file: DataFile, columns: Sequence[str]) -> pa.Table:
        table = project(self._io, file, self._arrow(columns))
        table = _placed(table, number, pa.array(np.arange(table.num_rows, dtype=np.int64)))
        gone = self._deleted().get(file.file_path)
        if gone is None:
            return table
        mask = np.ones(table.num_rows, dtype=bool)
        mask[gone] = False
        return table.filter(pa.array(mask))

    def _arrow(self, columns: Sequence[str]) -> pa.Schema:
        schema = schema_to_pyarrow(self._schema)
        return pa.schema([schema.field(name) for name in columns])

    def _deleted(self) -> dict[str, np.ndarray[Any, Any]]:
        """Row numbers that are deleted, by data file."""
        if self._gone is None:
            found: dict[str, list[np.ndarray[Any, Any]]] = {}
            for file in self.deletes:
                with self._io.new_input(file.file_path).open() as stream:
                    table = pq.read_table(stream)
                for path in table["file_path"].unique().to_pylist():
                    rows = table.filter(pc.equal(table["file_path"], path))["pos"]
                    found.setdefault(path, []).append(rows.to_numpy())
            self._gone = {path: np.concatenate(rows) for path, rows in found.items()}
        return self._gone


def project(io: FileIO, file: DataFile, schema: pa.Schema) -> pa.Table:
    """A data file's columns by field id, under the names and types of `schema`.

    A column that the file does not have reads as NULL.
    """
    with io.new_input(file.file_path).open() as stream:
        parquet = pq.ParquetFile(stream)
        names = {_field_id(field): field.name for field in parquet.schema_arrow}
        wanted = [names[_field_id(field)] for field in schema if _field_id(field) in names]
        table = parquet.read(columns=wanted)
    columns = []
    for field in schema:
        name = names.get(_field_id(field))
        if name is None:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
        else:
            columns.append(table[name].cast(field.type))
    return pa.table(columns, schema=schema.remove_metadata())


def _placed(table: pa.Table, number: int, rows: pa.Array | pa.ChunkedArray) -> pa.Table:
    table = table.append_column(FILE, pa.repeat(pa.scalar(number, pa.int32()), table.num_rows))
    return table.append_column(ROW, rows)


def _placed_schema(schema: pa.Schema) -> pa.Schema:
    schema = schema.remove_metadata()
    return schema.append(pa.field(FILE, pa.int32())).append(pa.field(ROW, pa.int64()))


def _field_id(field: pa.Field) -> int:
    return int((field.metadata or {})[b"PARQUET:field_id"])
