"""Small items that many workers share, each changed only where it still is what was seen.

This is all that leases, offsets and schema history ask of a database: SQLite on one machine,
DynamoDB (`dynamo`) on AWS. What the items mean is `store`'s to say.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias

from smug_platform.errors import StateError
from smug_platform.sqlite import ensure_database

Value: TypeAlias = str | int | bytes
Fields: TypeAlias = Mapping[str, Value | None]
Item: TypeAlias = dict[str, Value]

_WAIT_SECONDS = 10.0
_SCHEMA = """
create table items (
    kind text, name text, field text, value, primary key (kind, name, field)
) without rowid;
"""


class Items(Protocol):
    """Items of named fields, by group and name. All of them raise StateError."""

    def get(self, group: str, name: str) -> Item:
        """The fields of an item; none when it is not there. Reads what was written last."""

    def group(self, group: str) -> dict[str, Item]:
        """All items of a group, by name."""

    def update(self, group: str, name: str, fields: Fields, *, expect: Fields) -> bool:
        """Set fields, and remove those that are None, if the expected ones are so; whether it was.

        expect: None stands for a field that must not be there. An item that is not there is made.
        """

    def remove(self, group: str, name: str, *, expect: Fields) -> bool:
        """Remove an item if the expected fields are so; whether they were."""


class SqliteItems:
    """The items in a SQLite file, which several processes of one machine may use.

    The file is made by the first change. One connection serves all threads of the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def get(self, group: str, name: str) -> Item:
        """As Items."""
        if not self._path.exists():
            return {}
        with self._using() as connection:
            return _fields(connection, group, name)

    def group(self, group: str) -> dict[str, Item]:
        """As Items."""
        if not self._path.exists():
            return {}
        found: dict[str, Item] = {}
        query = "select name, field, value from items where kind = ? order by name"
        with self._using() as connection:
            for name, field, value in connection.execute(query, (group,)):
                found.setdefault(name, {})[field] = value
        return found

    def update(self, group: str, name: str, fields: Fields, *, expect: Fields) -> bool:
        """As Items."""
        with self._changing() as connection:
            if not _holds(_fields(connection, group, name), expect):
                return False
            connection.executemany(
                "insert or replace into items values (?, ?, ?, ?)",
                [(group, name, field, v) for field, v in fields.items() if v is not None],
            )
            connection.executemany(
                "delete from items where kind = ? and name = ? and field = ?",
                [(group, name, field) for field, v in fields.items() if v is None],
            )
            return True

    def remove(self, group: str, name: str, *, expect: Fields) -> bool:
        """As Items."""
        with self._changing() as connection:
            if not _holds(_fields(connection, group, name), expect):
                return False
            connection.execute("delete from items where kind = ? and name = ?", (group, name))
            return True

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which no other change comes into."""
        with self._using() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = _open(self._path)
                yield self._connection
            except sqlite3.OperationalError as error:  # busy, or the disk is full
                raise StateError(
                    f"{self._path} can't be used now ({error})",
                    remedy="see who else holds it, and the disk",
                    passes=True,
                ) from error
            except sqlite3.DatabaseError as error:
                raise StateError(
                    f"{self._path} can't be read ({error})",
                    remedy="restore it, or remove it to capture all shards from new snapshots",
                ) from error


def _open(path: Path) -> sqlite3.Connection:
    ensure_database(path, _SCHEMA)
    connection = sqlite3.connect(
        path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("pragma synchronous = full")  # a counter must never fall back
    return connection


def _fields(connection: sqlite3.Connection, group: str, name: str) -> Item:
    query = "select field, value from items where kind = ? and name = ?"
    return dict(connection.execute(query, (group, name)).fetchall())


def _holds(found: Mapping[str, Value], expect: Fields) -> bool:
    return all(found.get(field) == value for field, value in expect.items())
