"""Parquet files as rows for PostgreSQL's COPY, held to what Redshift loads.

By position, as many columns as the table's, each of a type that fits, texts no longer in bytes
than declared. A text in a SUPER column is a JSON string there, never parsed.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tests.redshift.storage import File


@dataclass(frozen=True)
class Column:
    """A column of the table that is loaded; kind: its type as the catalog has it."""

    name: str
    kind: str

    @property
    def base(self) -> str:
        return self.kind.partition("(")[0].split(" without")[0].split(" with")[0]

    @property
    def length(self) -> int | None:
        found = re.fullmatch(r"character(?: varying)?\((\d+)\)", self.kind)
        return int(found[1]) if found else None


@dataclass
class LoadFailed(Exception):
    """A file that can't be loaded; what stl_load_errors then tells."""

    reason: str
    file: str
    column: Column | None = None
    code: int = 15001
    line: int = 0
    raw_line: str = ""
    raw_value: str = ""


# Types of a table -> what a file may hold (of Arrow's names).
_FITTING = {
    "smallint": {"int16", "int32"},
    "integer": {"int32"},
    "bigint": {"int64"},
    "real": {"float"},
    "double precision": {"double"},
    "boolean": {"bool"},
    "date": {"date32[day]"},
    "time": {"time64[us]"},
    "varbyte": {"binary", "large_binary"},
    "character varying": {"string", "large_string", "binary", "large_binary"},
    "character": {"string", "large_string", "binary", "large_binary"},
}
_NO_NANOSECONDS = {"s", "ms", "us"}


def rows(
    files: list[File], columns: list[Column], *, serialize: bool
) -> Iterator[tuple[bytes, int]]:
    """Pieces of CSV for COPY, with their rows. Raises LoadFailed.

    serialize: nested values may go into SUPER (SERIALIZETOJSON).
    """
    for file in files:
        try:
            table = pq.ParquetFile(io.BytesIO(file.body)).read()
        except pa.ArrowInvalid as fault:
            raise LoadFailed(f"File '{file.url}' is no Parquet: {fault}", file.url) from None
        _check_schema(file, table.schema, columns, serialize=serialize)
        for column, values in zip(columns, table.columns, strict=True):
            _check_length(file, column, values)
        if table.num_rows:
            yield _csv(table, columns), table.num_rows


def _check_schema(file: File, schema: pa.Schema, columns: list[Column], *, serialize: bool) -> None:
    if len(schema) != len(columns):
        raise LoadFailed(
            "Unmatched number of columns between table and file."
            f" Table columns: {len(columns)}, Data columns: {len(schema)}, File name: {file.url}",
            file.url,
        )
    for column, field in zip(columns, schema, strict=True):
        nested = pa.types.is_nested(field.type)
        if (nested and not (serialize and column.base == "super")) or not _fits(column, field.type):
            raise LoadFailed(
                f"File '{file.url}' has an incompatible Parquet schema for column '{column.name}'."
                f" Column type: {column.kind.upper()}, Parquet schema: optional {field.type}"
                f" {field.name}",
                file.url,
                column,
                code=15007,
            )


def _fits(column: Column, kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if column.base == "super":
        return True
    if column.base == "timestamp":
        return pa.types.is_timestamp(kind) and kind.unit in _NO_NANOSECONDS
    if column.base == "numeric":
        declared = re.fullmatch(r"numeric\((\d+),(\d+)\)", column.kind)
        return bool(
            declared
            and pa.types.is_decimal(kind)
            and kind.scale == int(declared[2])
            and kind.precision <= int(declared[1])
        )
    return str(kind) in _FITTING.get(column.base, set())


def _check_length(file: File, column: Column, values: pa.ChunkedArray) -> None:
    if column.length is None or not len(values):
        return
    kind = pa.large_binary()
    longest = pc.max(pc.binary_length(values.cast(pa.large_string()).cast(kind))).as_py() or 0
    if longest > column.length:
        raise LoadFailed(
            f"The length of the data column {column.name} is longer than the length defined in the"
            f" table. Table: {column.length}, Data: {longest}",
            file.url,
            column,
        )


def _csv(table: pa.Table, columns: list[Column]) -> bytes:
    """Null is nothing, all else stands in quotes."""
    values = [_written(column, found) for column, found in zip(columns, table.columns, strict=True)]
    names = [str(number) for number in range(len(values))]
    out = io.BytesIO()
    options = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
    pa_csv.write_csv(pa.table(values, names=names), out, options)
    return out.getvalue()


def _written(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if column.base == "super":
        return pa.chunked_array([[_json(value) for value in values.to_pylist()]], pa.string())
    if column.base == "varbyte":
        hexed = [None if value is None else "\\x" + value.hex() for value in values.to_pylist()]
        return pa.chunked_array([hexed], pa.string())
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return values.cast(pa.large_string())
    if pa.types.is_decimal(values.type) or pa.types.is_time(values.type):
        return values.cast(pa.string())
    return values


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, default=str)
