"""CSV, delimited text and JSON as rows for PostgreSQL's COPY."""

import csv
import gzip
import io
import json
from collections.abc import Iterator

from tests.redshift.parquet import Column, LoadFailed
from tests.redshift.storage import File

Options = dict[str, str | int | bool]


def rows(files: list[File], columns: list[Column], options: Options) -> Iterator[tuple[bytes, int]]:
    """Pieces of CSV for COPY, with their rows. Raises LoadFailed at the first bad line."""
    for file in files:
        body = gzip.decompress(file.body) if options.get("gzip") else file.body
        read = _json if options["format"] == "json" else _delimited
        out, count = io.StringIO(), 0
        for values in read(file, body.decode(), columns, options):
            fields = ("" if value is None else _quoted(value) for value in values)
            out.write(",".join(fields) + "\n")
            count += 1
        yield out.getvalue().encode(), count


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _delimited(
    file: File, body: str, columns: list[Column], options: Options
) -> Iterator[list[str | None]]:
    is_csv = options["format"] == "csv"
    delimiter = str(options.get("delimiter", "," if is_csv else "|")).replace("\\t", "\t")
    quoted = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
    read = quoted if is_csv else (line.split(delimiter) for line in body.splitlines())
    for number, fields in enumerate(read, 1):
        if number <= int(options.get("ignoreheader", 0)) or not fields:
            continue
        if len(fields) != len(columns):
            reason = (
                "Extra column(s) found" if len(fields) > len(columns) else "Delimiter not found"
            )
            line = delimiter.join(fields)
            raise LoadFailed(reason, file.url, code=1202, line=number, raw_line=line)
        yield [
            _value(file, number, column, _null(field, column, options), options)
            for column, field in zip(columns, fields, strict=True)
        ]


def _null(field: str, column: Column, options: Options) -> str | None:
    """An empty field is NULL, but of a text the empty text unless EMPTYASNULL."""
    if field == str(options.get("null", "\\N")):
        return None
    is_text = column.base in {"character varying", "character"}
    return None if not field and (not is_text or options.get("emptyasnull")) else field


def _json(
    file: File, body: str, columns: list[Column], options: Options
) -> Iterator[list[str | None]]:
    for number, line in enumerate(body.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError:
            reason = "Invalid JSON"
            raise LoadFailed(reason, file.url, code=1226, line=number, raw_line=line) from None
        yield [
            _value(file, number, column, _text(found.get(column.name), column), options)
            for column in columns
        ]


def _text(value: object, column: Column) -> str | None:
    if value is None:
        return None
    if column.base == "super" or isinstance(value, dict | list | bool):
        return json.dumps(value)
    return str(value)


def _value(
    file: File, line: int, column: Column, value: str | None, options: Options
) -> str | None:
    """The value, no longer than its column."""
    if value is None or column.length is None or len(value.encode()) <= column.length:
        return value
    if options.get("truncatecolumns"):
        return value.encode()[: column.length].decode(errors="ignore")
    reason = "String length exceeds DDL length"
    raise LoadFailed(reason, file.url, column, code=1204, line=line, raw_value=value)
