"""`smug query`: an answer of the lake as a table for people, as text for programs, or as a file."""

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

import duckdb
from rich.markup import escape
from rich.table import Table as Grid

from smug_platform.cli.console import console, grid
from smug_platform.errors import QueryError
from smug_platform.lake.asof import parse_positions
from smug_platform.lake.query import Lake, open_lake
from smug_platform.realtime.passing import Passing, open_passing
from smug_platform.settings import Settings
from smug_platform.tables.flickr import FLICKR

_WIDEST = 100_000  # characters of a line that is measured
SHOWN = 50  # rows of a table for people, unless they ask for more
_COPY = {"csv": "format csv, header", "json": "format json", "parquet": "format parquet"}
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT|DECIMAL|DOUBLE|FLOAT")


def run(
    settings: Settings,
    sql: str,
    *,
    at: str | None,
    as_of: str | None = None,
    live: float | None = None,
    form: str,
    output: Path | None,
    limit: int | None,
) -> None:
    """Answer the query. form: table, csv or json; output: a file, whose suffix says what it is.

    live: ask the stream's changes of so many minutes instead of the lake. limit: rows at most, 0
    for all; SHOWN of a table and all else unless given.

    Raises QueryError.
    """
    positions = parse_positions(as_of) if as_of else None
    if live is not None and (at or as_of):
        raise QueryError("--live is of now", remedy="leave out --at and --as-of")
    opened = (
        open_lake(settings, at=at, as_of=positions, sql=sql)
        if live is None
        else open_passing(settings, FLICKR, sql, minutes=live)
    )
    with opened as lake:
        if isinstance(lake, Passing) and lake.unread:
            sys.stderr.write(f"{lake.unread:,} changes can't be read, and are left out\n")
        if output is not None:
            _copy(lake, sql, str(output), output.suffix.removeprefix("."), limit)
        elif form == "table":
            _print(lake, sql, SHOWN if limit is None else limit)
        else:
            _stream(lake, sql, form, limit)


def _copy(lake: Lake, sql: str, to: str, form: str, limit: int | None) -> None:
    if form not in _COPY:
        raise QueryError(f"can't write {to}", remedy=f"end its name with .{', .'.join(_COPY)}")
    with lake.explained():
        lake.write(sql, to, _COPY[form], limit=limit or None)


def _stream(lake: Lake, sql: str, form: str, limit: int | None) -> None:
    """By way of a file: DuckDB would overwrite what standard output is redirected to."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer"
        _copy(lake, sql, str(path), form, limit)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()


def _print(lake: Lake, sql: str, limit: int) -> None:
    with lake.explained():
        answer = lake.ask(sql)
        rows = (answer.limit(limit + 1) if limit else answer).fetchall()
    out, shown = console(), rows[:limit] if limit else rows
    whole = _grid(answer, shown)
    if out.measure(whole, options=out.options.update_width(_WIDEST)).maximum <= out.width:
        out.print(whole)
    else:
        for number, row in enumerate(shown, start=1):
            out.print(_record(answer, row, number))
    if limit and len(rows) > limit:
        out.print(f"\nthe first {limit:,} rows; --limit 0 shows all, --output FILE writes them")


def _grid(answer: duckdb.DuckDBPyRelation, rows: list[tuple[object, ...]]) -> Grid:
    made = grid()
    for name, kind in zip(answer.columns, answer.types, strict=True):
        side: Literal["left", "right"] = "right" if _NUMBER.match(str(kind)) else "left"
        made.add_column(escape(name), justify=side, overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def _record(answer: duckdb.DuckDBPyRelation, row: tuple[object, ...], number: int) -> Grid:
    """A row that is too wide for a line, a column a line."""
    made = grid(title=f"row {number}")
    made.show_header = False
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in zip(answer.columns, row, strict=True):
        made.add_row(escape(name), _cell(value))
    return made


def _cell(value: object) -> str:
    if value is None:
        return "[dim]null[/]"
    return value.hex() if isinstance(value, bytes) else escape(str(value))
