"""What the source, the lake and the warehouse hold, each read by means of its own.

The source is read by plain SQL, the lake by pyiceberg's own reader, the warehouse by DuckDB: no
code of the platform decodes anything here. Values are those that the lake's types have in Python.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pymysql.cursors import Cursor

from smug_platform.local.mariadb import connect
from smug_platform.settings import Shard

Row = dict[str, Any]

# Read so that nothing is lost on the way to the client: all digits of a FLOAT, bits as a number,
# dates as the text that they are, since a zero date is no date.
_SELECT = {
    "float": "`{0}` + 0E0",
    "bit": "`{0}` + 0",
    "date": "CAST(`{0}` AS CHAR)",
    "decimal": "CAST(`{0}` AS CHAR)",
}


def _moment(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else value.replace(tzinfo=UTC)


def _micros(value: timedelta | None) -> int | None:
    return None if value is None else value // timedelta(microseconds=1)


def _day(value: str | None) -> Any:
    """A day, or the text of what is none."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return value


def _exact(value: str | None) -> Any:
    """A decimal that the lake has a type for; a longer one is text there."""
    if value is None:
        return None
    return Decimal(value)


_VALUE: dict[str, Callable[[Any], Any]] = {
    "timestamp": _moment,
    "time": _micros,
    "date": _day,
    "decimal": _exact,
}


def source_rows(shard: Shard, database: str, tables: Iterable[str]) -> dict[str, list[Row]]:
    """All rows of some tables as the source says."""
    with connect(shard, database=database) as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        return {table: _table_rows(cursor, database, table) for table in tables}


def _table_rows(cursor: Cursor, database: str, table: str) -> list[Row]:
    cursor.execute(
        "SELECT column_name, data_type, numeric_precision FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (database, table),
    )
    columns = [(name, kind, int(digits or 0)) for name, kind, digits in cursor.fetchall()]
    parts = [_SELECT.get(kind, "`{0}`").format(name) for name, kind, _ in columns]
    cursor.execute(f"SELECT {', '.join(parts)} FROM `{table}`")
    return [
        {
            name: _value(kind, digits, value)
            for (name, kind, digits), value in zip(columns, row, strict=True)
        }
        for row in cursor.fetchall()
    ]


def _value(kind: str, digits: int, value: Any) -> Any:
    if kind == "decimal" and digits > 38:
        return value
    return _VALUE.get(kind, lambda same: same)(value)


@dataclass(frozen=True)
class Copy:
    """A copy of a table downstream: the type and the field id of each column, and all its rows.

    Rows that are deleted are among them; `live` leaves them out.
    """

    types: dict[str, str]
    ids: dict[str, int]
    rows: list[Row]

    def live(self, shard: str) -> list[Row]:
        return [row for row in self.rows if row["_shard"] == shard and not row["_is_deleted"]]


EMPTY = Copy({}, {}, [])


def lake_copy(catalog: Catalog, table: str) -> Copy:
    try:
        found = catalog.load_table(f"lake.{table}")
    except NoSuchTableError:
        return EMPTY
    fields = found.schema().fields
    types = {field.name: str(field.field_type) for field in fields}
    ids = {field.name: field.field_id for field in fields}
    return Copy(types, ids, found.scan().to_arrow().to_pylist())


def warehouse_copy(connection: duckdb.DuckDBPyConnection, table: str) -> Copy:
    found = connection.execute(
        "select column_name, data_type from duckdb_columns()"
        " where schema_name = 'warehouse' and table_name = ?",
        [table],
    ).fetchall()
    types = dict(found)
    if not types:
        return EMPTY
    rows = connection.sql(f'select * from warehouse."{table}"').to_arrow_table().to_pylist()
    return Copy(types, {}, rows)


def tally(rows: Iterable[Row], names: Iterable[str]) -> Counter[tuple[Any, ...]]:
    """Rows as a multiset of their values under those names; a column that is not there shows."""
    wanted = tuple(names)
    return Counter(tuple(row.get(name, "no such column") for name in wanted) for row in rows)
