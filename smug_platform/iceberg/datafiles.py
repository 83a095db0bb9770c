"""Writing data files and position-delete files as Parquet, and describing them for a manifest.

Source of the formats: Iceberg spec v2, "Position Delete Files" and "Manifests".
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
from pyiceberg.schema import Schema, sanitize_column_names
from pyiceberg.table.locations import LocationProvider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Record

from smug_platform.iceberg.cache import Cache

_MEASURED = 10_000  # rows from which a file's bounds are worth the 2 ms that they take
_GROUP = 131_072  # rows of a row group: the least that is read to get at one row
_CORES = os.cpu_count() or 1
_PART = 25_000  # rows of a partition, from twice as many on it is written by several cores
_SAMPLE = 1000  # rows that tell which columns repeat their values
_WRITERS = 4  # files written at once: most of a small one's time is the wait for the disk
_BUFFERED = 64 << 20  # bytes in memory up to which a file is written in one piece
_PARQUET = {
    "compression": "zstd",
    "compression_level": 1,
    "store_decimal_as_integer": True,  # as the spec has it, up to 18 digits
    "store_schema": False,  # Arrow's own types are not the table's
}
_PATH_ID, _POS_ID = 2147483546, 2147483545  # reserved field ids of position-delete files
_NAMES = pa.dictionary(pa.int32(), pa.string())
_DELETES = pa.schema(
    [
        pa.field("file_path", _NAMES, False, {"PARQUET:field_id": str(_PATH_ID)}),
        pa.field("pos", pa.int64(), False, {"PARQUET:field_id": str(_POS_ID)}),
    ]
)

Rows = np.ndarray[Any, Any]  # numbers of rows in a file, int64
OnFile = Callable[[str, pa.Table], None]


@dataclass(frozen=True)
class _Shape:
    """A schema in Arrow, with the field ids, and as files have it: names without odd signs."""

    arrow: pa.Schema
    stored: Schema


_SHAPES = Cache[_Shape](256)  # by table and schema


def _shape(metadata: TableMetadata) -> _Shape:
    key = f"{metadata.table_uuid}/{metadata.current_schema_id}"
    shape = _SHAPES.get(key)
    if shape is None:
        schema = metadata.schema()
        shape = _Shape(schema_to_pyarrow(schema), sanitize_column_names(schema))
        _SHAPES.put(key, shape)
    return shape


def writers() -> Executor:
    """The threads that write files; other ones in a process that was forked."""
    return _writers(os.getpid())


@cache
def _writers(_process: int) -> Executor:
    return ThreadPoolExecutor(_WRITERS, thread_name_prefix="iceberg")


@dataclass(frozen=True)
class FileWriter:
    """Writes a table's files, under its metadata's schema, partitions and properties.

    on_file: is called with the location and the rows of each data file, from the writing threads.
    """

    io: FileIO
    metadata: TableMetadata
    provider: LocationProvider
    on_file: OnFile | None = None

    def write(self, rows: pa.Table) -> list[DataFile]:
        """Those rows as data files: one, or some a partition.

        Raises ValueError when their columns are not the table's, in its order.
        """
        rows = rows.cast(_shape(self.metadata).arrow)
        if self.metadata.spec().is_unpartitioned():
            return [self._data_file(rows, None)]
        partitions = list(self._partitions(rows))
        if len(partitions) > 1:
            rows = rows.combine_chunks()  # rows are taken out of one chunk in half the time
        waiting = [
            writers().submit(self._data_file, rows, key, places)
            for places, key in partitions
            for places in _parts(places)
        ]
        return [file.result() for file in waiting]

    def write_deletes(self, gone: Mapping[str, Rows]) -> DataFile:
        """One position-delete file of those rows, by data file, sorted as the spec asks.

        gone: not empty.
        """
        paths = sorted(gone)
        rows = [np.sort(gone[path]) for path in paths]
        numbers = np.repeat(np.arange(len(paths), dtype=np.int32), [len(part) for part in rows])
        names = pa.DictionaryArray.from_arrays(numbers, pa.array(paths, pa.string()))
        table = pa.table([names, np.concatenate(rows)], schema=_DELETES)
        location = self.provider.new_data_location(f"{uuid4()}-deletes.parquet")
        size, _ = self._parquet(location, table)
        return self._described(
            content=DataFileContent.POSITION_DELETES,
            file_path=location,
            partition=Record(),
            file_size_in_bytes=size,
            record_count=table.num_rows,
            lower_bounds={_PATH_ID: paths[0].encode()},
            upper_bounds={_PATH_ID: paths[-1].encode()},
        )

    def _partitions(self, rows: pa.Table) -> Iterator[tuple[pa.Array, PartitionKey]]:
        """The numbers of each partition's rows, in their order."""
        spec, schema = self.metadata.spec(), self.metadata.schema()
        values = {
            f"{number}": field.transform.pyarrow_transform(source.field_type)(rows[source.name])
            for number, field in enumerate(spec.fields)
            if (source := schema.find_field(field.source_id))
        }
        keys = pa.table({**values, "row": pa.array(np.arange(rows.num_rows))})
        groups = keys.group_by(list(values), use_threads=False).aggregate([("row", "list")])
        places = groups["row_list"].combine_chunks()
        for at, group in enumerate(groups.select(list(values)).to_pylist()):
            fields = [
                PartitionFieldValue(field, group[f"{number}"])
                for number, field in enumerate(spec.fields)
            ]
            yield places[at].values, PartitionKey(fields, spec, schema)

    def _data_file(
        self, rows: pa.Table, key: PartitionKey | None, places: pa.Array | None = None
    ) -> DataFile:
        rows = rows if places is None else _taken(rows, places)
        location = self.provider.new_data_location(f"{uuid4()}.parquet", key)
        names = [field.name for field in _shape(self.metadata).stored.fields]
        size, footer = self._parquet(location, rows.rename_columns(names))
        if self.on_file:
            self.on_file(location, rows)
        return self._described(
            content=DataFileContent.DATA,
            file_path=location,
            partition=key.partition if key else Record(),
            file_size_in_bytes=size,
            **self._measured(footer),
        )

    def _parquet(self, location: str, table: pa.Table) -> tuple[int, pq.FileMetaData]:
        """Write the table; bytes written, and the footer."""
        buffer = pa.BufferOutputStream()  # Arrow's own: to write to Python's takes twice the time
        with self.io.new_output(location).create() as stream:
            sink = buffer if table.nbytes < _BUFFERED else stream
            options = {
                **_PARQUET,
                "write_statistics": self._is_measured,
                "use_dictionary": _repeating(table),
            }
            with pq.ParquetWriter(sink, table.schema, **options) as writer:
                writer.write_table(table, row_group_size=_GROUP)
            if sink is buffer:
                stream.write(buffer.getvalue())
            size = stream.tell()
        return size, writer.writer.metadata

    @property
    def _is_measured(self) -> bool:
        """Whether the table wants its columns' bounds, which make up half of a small file."""
        return self.metadata.properties.get("write.metadata.metrics.default") != "none"

    def _measured(self, footer: pq.FileMetaData) -> dict[str, Any]:
        """The numbers of rows and, of larger files, the bounds of the columns."""
        if footer.num_rows < _MEASURED or not self._is_measured:
            return {"record_count": footer.num_rows}
        schema = _shape(self.metadata).stored
        plan = compute_statistics_plan(schema, self.metadata.properties)
        names = parquet_path_to_id_mapping(schema)
        return data_file_statistics_from_parquet_metadata(footer, plan, names).to_serialized_dict()

    def _described(self, **known: Any) -> DataFile:
        file = DataFile.from_args(
            file_format=FileFormat.PARQUET, **{**dict.fromkeys(_UNKNOWN), **known}
        )
        file.spec_id = self.metadata.default_spec_id
        return file


def _parts(places: pa.Array) -> Iterator[pa.Array]:
    """The same numbers in as many parts as are written at once; one where that is not worth it."""
    size = max(-(-len(places) // _CORES), _PART)
    for start in range(0, len(places), size):
        yield places[start : start + size]


def _taken(rows: pa.Table, places: pa.Array) -> pa.Table:
    """The rows at those places, which rise; without a copy where they follow each other."""
    first, last = places[0].as_py(), places[-1].as_py()
    if last - first + 1 == len(places):
        return rows.slice(first, len(places))
    return rows.take(places)


def _repeating(table: pa.Table) -> list[str]:
    """The columns whose values come again and again, by the first ones: only these gain from a
    dictionary, and without one the others take two thirds of the time and less space.
    """
    first = table[:_SAMPLE]
    return [
        name
        for name in table.column_names
        if pa.types.is_dictionary(first[name].type)
        or 2 * pc.count_distinct(first[name]).as_py() <= first.num_rows
    ]


# Fields of a manifest's entry that may be left out.
_UNKNOWN = (
    "column_sizes",
    "value_counts",
    "null_value_counts",
    "nan_value_counts",
    "lower_bounds",
    "upper_bounds",
    "key_metadata",
    "split_offsets",
    "equality_ids",
    "sort_order_id",
)
