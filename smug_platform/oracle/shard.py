"""A consistent view of one source shard, with the binlog position at which it stands.

The view is taken as Debezium takes its snapshot: under a global read lock that lasts for two short
statements. Rows are hashed by the server itself, so that keys and hashes travel and not rows.
Everything is read with plain SQL and texts, by pymysql with its conversions off.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.cursors import Cursor, SSCursor

from smug_platform.capture.access import enter
from smug_platform.capture.position import file_number
from smug_platform.errors import SourceError
from smug_platform.oracle.canonical import Column, apart, source_piece, source_text, together
from smug_platform.settings import Shard
from smug_platform.tables.table import FLAG, Table

_CHUNK = 20_000
_LOCK_SECONDS = 10
_DEFINITION_CHANGED, _NO_SUCH_TABLE, _LOCK_TIMEOUT = 1412, 1146, 1205
_DENIED = (1044, 1142, 1143, 1227)
# Values as texts, of tables that take the server longer than a question of capture's may.
_TEXTS: dict[str, Any] = {
    "conv": {},
    "read_timeout": None,
    "connect_timeout": 10,
    "cursorclass": Cursor,
}

Connection = Any  # pymysql's stubs know no cursor class that a call chooses


class ViewLost(Exception):
    """A table was altered after the view was taken, so that the view can't be read any more."""


@dataclass(frozen=True)
class View:
    """An open consistent view. file, offset: the binlog place that it shows the shard at."""

    shard: Shard
    database: str
    file: int
    offset: int
    connection: Connection

    def columns(self, table: Table) -> list[Column]:
        """The table's columns without the excluded ones; empty when there is no such table."""
        with _reading(self.shard), self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name, LOWER(data_type) FROM information_schema.columns"
                " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
                (self.database, table.name),
            )
            days = {name: day for name, day in table.zero_dates.items() if day != FLAG}
            found = [
                Column(str(name), str(kind), days.get(str(name), ""))
                for name, kind in cursor.fetchall()
            ]
        return [column for column in found if column.name not in table.excluded]

    def now(self) -> tuple[int, int]:
        """The binlog place at which the shard stands at this moment, whatever the view shows."""
        with _reading(self.shard), self.connection.cursor() as cursor:
            return _place(cursor)

    def hashes(self, table: Table, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """The rows as Arrow tables of texts: k, the joined key; h, the hash; f0, f1, ... floats.

        Of a table without a key, k is the hash. Raises ViewLost.
        """
        joined = ", ".join(source_piece(source_text(column)) for column in together(columns))
        hashed = f"MD5(CONCAT({joined or repr('')}))"
        key = _key(table, columns) or hashed
        floats = [source_text(column) for column in apart(columns)]
        names = ["k", "h", *(f"f{number}" for number in range(len(floats)))]
        query = f"SELECT {', '.join([key, hashed, *floats])} FROM {self._name(table)}"
        with _reading(self.shard), self.connection.cursor(SSCursor) as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(_CHUNK):
                arrays = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
                yield pa.table(arrays, names=names)

    def rows(
        self, table: Table, columns: Sequence[Column], keys: Sequence[str]
    ) -> dict[str, list[str | None]]:
        """The texts of the rows with those joined keys, in the order of `columns`. Raises ViewLost.

        Of equal keys the last row stands for all.
        """
        joined = ", ".join(source_piece(source_text(column)) for column in together(columns))
        key = _key(table, columns) or f"MD5(CONCAT({joined or repr('')}))"
        texts = ", ".join([key, *(source_text(column) for column in columns)])
        with _reading(self.shard), self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {texts} FROM {self._name(table)} WHERE {key} IN %s", (keys,))
            return {str(row[0]): list(row[1:]) for row in cursor.fetchall()}

    def _name(self, table: Table) -> str:
        return f"`{self.database}`.`{table.name}`"


@contextmanager
def open_view(shard: Shard, database: str) -> Iterator[View]:
    """A consistent view of a shard; raises SourceError when it can't be had."""
    connection: Connection = enter(shard, f"{shard.name} at {shard.host}:{shard.port}", **_TEXTS)
    try:
        with _reading(shard), connection.cursor() as cursor:
            file, offset = _begin(cursor)
        yield View(shard, database, file, offset, connection)
    finally:
        with suppress(pymysql.MySQLError):
            connection.close()


def _begin(cursor: Cursor) -> tuple[int, int]:
    for statement in (
        "SET SESSION sql_mode = ''",
        "SET SESSION time_zone = '+00:00'",
        "SET SESSION net_write_timeout = 600",
        f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "FLUSH TABLES WITH READ LOCK",
    ):
        cursor.execute(statement)
    try:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        return _place(cursor)
    finally:
        cursor.execute("UNLOCK TABLES")


def _place(cursor: Cursor) -> tuple[int, int]:
    try:
        cursor.execute("SHOW MASTER STATUS")
    except pymysql.ProgrammingError:  # MySQL 8.4 took the old name away
        cursor.execute("SHOW BINARY LOG STATUS")
    status = cursor.fetchone()
    if not status:
        raise pymysql.OperationalError(1381, "its binlog is off")
    return file_number(str(status[0])), int(status[1])


def _key(table: Table, columns: Sequence[Column]) -> str | None:
    if not table.key:
        return None
    by_name = {column.name: column for column in columns}
    found = [by_name[name] for name in table.key if name in by_name]
    if len(found) < len(table.key):
        raise SourceError(
            f"{table.name} has no column {min(set(table.key) - set(by_name))!r} in the source",
            remedy="correct its record in smug_platform/tables",
        )
    return f"CONCAT({', '.join(source_piece(source_text(column)) for column in found)})"


@contextmanager
def _reading(shard: Shard) -> Iterator[None]:
    """The server's errors in one line each."""
    try:
        yield
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args else 0
        if code in (_DEFINITION_CHANGED, _NO_SUCH_TABLE):
            raise ViewLost(str(error)) from None
        remedies = {
            _LOCK_TIMEOUT: "a long transaction holds the tables: try again when it has ended",
            **dict.fromkeys(_DENIED, "grant it to the user of SMUG_MYSQL_USER"),
        }
        raise SourceError(
            f"{shard.name} at {shard.host}:{shard.port}: {error.args[-1] if error.args else error}",
            remedy=remedies.get(code, "check that it runs (locally: smug up), then try again"),
        ) from None
