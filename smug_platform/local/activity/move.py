"""An account moves to another shard with all its rows, in one go.

The two halves run on the two shards' writers and hand over to each other: either the new shard
has the rows before the old one deletes them, or the other way round. Page views stay behind: they
belong to the shard that served them.
"""

from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from threading import Event
from typing import Any, TypeVar

from pymysql.cursors import Cursor

from smug_platform.local.activity.sql import insert

T = TypeVar("T")
Rows = dict[str, tuple[list[str], list[tuple[Any, ...]]]]

_PHOTOS = "photo_id IN (SELECT id FROM photos WHERE account_id={id})"
# In the order of inserting; deletes go backwards.
_THEIRS = (
    ("accounts", "id={id}"),
    ("photos", "account_id={id}"),
    ("albums", "account_id={id}"),
    ("album_photos", "album_id IN (SELECT id FROM albums WHERE account_id={id})"),
    ("favorites", _PHOTOS),
    ("comments", _PHOTOS),
    ("subscriptions", "account_id={id}"),
    ("orders", "account_id={id}"),
    ("order_items", "order_id IN (SELECT id FROM orders WHERE account_id={id})"),
)


class GivenUpError(Exception):
    """The other half can't come any more: another writer has failed."""


@dataclass
class Move:
    """One account's move. failed: set when any writer fails, so that nobody waits for ever."""

    account_id: int
    insert_first: bool
    failed: Event
    _packed: "Future[Rows]" = field(default_factory=Future)
    _left: "Future[None]" = field(default_factory=Future)
    _settled: "Future[None]" = field(default_factory=Future)

    def depart(self, cursor: Cursor) -> int:
        """The old shard's half; returns the rows deleted."""
        self._packed.set_result(self._read(cursor))
        if self.insert_first:
            self._wait(self._settled)
        cursor.execute("BEGIN")
        gone = sum(
            cursor.execute(f"DELETE FROM {table} WHERE {where.format(id=self.account_id)}")
            for table, where in reversed(_THEIRS)
        )
        cursor.execute("COMMIT")
        self._left.set_result(None)
        return gone

    def arrive(self, cursor: Cursor) -> int:
        """The new shard's half; returns the rows inserted."""
        packed = self._wait(self._packed)
        if not self.insert_first:
            self._wait(self._left)
        cursor.execute("BEGIN")
        come = 0
        for table, (columns, rows) in packed.items():
            known = {column for column, _ in _columns(cursor, table)}
            kept = [place for place, column in enumerate(columns) if column in known]
            if rows:
                come += cursor.execute(
                    insert(
                        table,
                        [columns[place] for place in kept],
                        [[row[place] for place in kept] for row in rows],
                    )
                )
        cursor.execute("COMMIT")
        self._settled.set_result(None)
        return come

    def _read(self, cursor: Cursor) -> Rows:
        packed: Rows = {}
        for table, where in _THEIRS:
            columns = _columns(cursor, table)
            # As text, a FLOAT has six digits; as a DOUBLE it has all of them.
            chosen = ",".join(
                f"CAST(`{column}` AS DOUBLE)" if kind == "float" else f"`{column}`"
                for column, kind in columns
            )
            cursor.execute(f"SELECT {chosen} FROM {table} WHERE {where.format(id=self.account_id)}")
            packed[table] = [column for column, _ in columns], list(cursor.fetchall())
        return packed

    def _wait(self, future: "Future[T]") -> T:
        while not self.failed.is_set():
            try:
                return future.result(timeout=0.1)
            except NotYet:
                continue
        raise GivenUpError


def _columns(cursor: Cursor, table: str) -> list[tuple[str, str]]:
    cursor.execute(f"SHOW COLUMNS FROM {table}")
    return [(row[0], row[1]) for row in cursor.fetchall()]
