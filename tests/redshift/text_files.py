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
    delimiter = str(options.get("delimiter", "," if is_csv else "|"))
    lines = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
    null = str(options.get("null", "\\N"))
    for number, fields in enumerate(lines, 1):
        if number <= int(options.get("ignoreheader", 0)) or not fields:
            continue
        if len(fields) != len(columns):
            reason = (
                "Extra column(s) found" if len(fields) > len(columns) else "Delimiter not found"
            )
            raise LoadFailed(
                reason, file.url, code=1202, line=number, raw_line=delimiter.join(fields)
            )
        yield [
            _value(file, number, column, None if field in {null, ""} else field)
            for column, field in zip(columns, fields, strict=True)
        ]


def _json(file: File, body: str, columns: list[Column], _: Options) -> Iterator[list[str | None]]:
    for number, line in enumerate(body.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError:
            raise LoadFailed(
                "Invalid JSON", file.url, code=1226, line=number, raw_line=line
            ) from None
        yield [
            _value(file, number, column, _text(found.get(column.name), column))
            for column in columns
        ]


def _text(value: object, column: Column) -> str | None:
    if value is None:
        return None
    if column.base == "super" or isinstance(value, dict | list | bool):
        return json.dumps(value)
    return str(value)


def _value(file: File, line: int, column: Column, value: str | None) -> str | None:
    if value is not None and column.length is not None and len(value.encode()) > column.length:
        raise LoadFailed(
            "String length exceeds DDL length",
            file.url,
            column,
            code=1204,
            line=line,
            raw_value=value,
        )
    return value
