"""The rows of a table read in pieces by its key, while the shard's stream goes on.

For some seconds at a time the stream is held at a place in the binlog, and the rows are read in a
view of the server at that same place. They go out there, between what came before and what comes
after, so that what is on the stream stays in the order of positions. Then the stream catches up.
The last key stands in the state with what was published: whoever has the shard next goes on there.

A row that moves to a key that was read already comes by the stream, as does every other change:
the table is streamed since before its first piece.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import orjson
from pymysql.cursors import Cursor, SSCursor

from smug_platform.capture import server as source_server
from smug_platform.capture.change import Change
from smug_platform.capture.contract import quoted, read_tables
from smug_platform.capture.failures import SourceUnavailable
from smug_platform.capture.images import Image, image_of, key_text
from smug_platform.capture.position import file_number
from smug_platform.capture.publisher import Closed, Publisher
from smug_platform.capture.reread import check_server
from smug_platform.capture.state import State, Unread
from smug_platform.capture.status import Meter
from smug_platform.capture.store import Hold
from smug_platform.errors import SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

Row: TypeAlias = Sequence[Any]
"""Key and image as JSON, then the key's values."""

_log = logging.getLogger(__name__)

# How long the stream is held at most, and how many times that it then has to catch up.
_WINDOW_SECONDS, _CATCH_UP = 2.0, 4.0
# A piece is one SELECT, which holds off an ALTER of the table while it runs.
_PIECE_ROWS = 20_000
_FETCHED_ROWS, _BATCH_ROWS, _BATCH_BYTES = 256, 4096, 8 * 1024 * 1024
_RETRY_SECONDS, _REFUSED_SECONDS, _TICK_SECONDS = 1.0, 30.0, 0.02


class Chunks:
    """Reads the tables of `State.unread` one after the other, on a thread of its own.

    source: what is streamed. failure: what ended it, a NeedsSnapshot for instance. What may pass
    is tried again; a table that can't be read waits, in sight, and the next has its turn.
    """

    def __init__(
        self, hold: Hold, shard: Shard, source: Source, *, publisher: Publisher, meter: Meter
    ) -> None:
        self._hold, self._shard, self._source = hold, shard, source
        self._publisher, self._meter = publisher, meter
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    def work(self) -> None:
        """See that what is unread is being read; returns at once."""
        if self._publisher.state.unread and self._thread is None:
            name = f"chunks-{self._shard.name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End after the batch under way."""
        self._closed.set()

    def _run(self) -> None:
        try:
            while not self._closed.is_set() and (unread := self._publisher.state.unread):
                self._attend(unread[0])
            self._meter.end_reading()
        except Closed:
            return
        except BaseException as error:  # noqa: BLE001  the engine raises it
            self.failure = error
        finally:
            self._thread = None

    def _attend(self, unread: Unread) -> None:
        """Read on in one table for a while."""
        try:
            with source_server.connect(self._shard) as connection:
                self._read_on(connection, unread)
        except SourceUnavailable as error:
            _log.warning("%s: %s is read on later: %s", self._shard.name, unread.table, error)
            self._closed.wait(_RETRY_SECONDS)
        except SourceError as error:
            if error.passes:
                raise
            _log.error("%s: %s can't be read: %s", self._shard.name, unread.table, error)
            self._meter.say(f"waits: {error}")
            self._publisher.remember(lambda state: _without(state, unread, last=True))
            self._closed.wait(_REFUSED_SECONDS)

    def _read_on(self, connection: source_server.Connection, unread: Unread) -> None:
        """Read for one window, then let the stream catch up."""
        check_server(connection, self._shard, self._publisher.state)
        database, table = self._source.database, unread.table
        name = f"{quoted(database)}.{quoted(table)}"
        defined = source_server.definition(connection, name)
        image = self._image(connection, unread)
        if image is None:
            return
        about = source_server.count_about(connection, database, table)
        self._meter.read_anew(table, unread.rows, about)
        began = time.monotonic()
        try:
            view = self._open_view(connection)
            pieces = _Pieces(connection, image, name, defined)
            for rows, now in pieces.read(unread, until=time.monotonic() + _WINDOW_SECONDS):
                if now is None:
                    self._publisher.offer_rows([], lambda state: _without(state, unread))
                    self._hold.answer(table, unread.asked_at)
                    break
                self._publisher.offer_rows(
                    self._changes(table, view, rows), partial(_read_up_to, now=now)
                )
                self._meter.read_anew(table, now.rows, about)
        finally:
            self._await(lambda: self._publisher.is_idle)
            self._publisher.go_on()
        self._catch_up(connection, time.monotonic() - began)

    def _image(self, connection: source_server.Connection, unread: Unread) -> Image | None:
        """How the table is read; None where it is to be read no more, or not in this way."""
        declared = [table for table in self._source.tables if table.name == unread.table]
        source = replace(self._source, tables=tuple(declared))
        held = read_tables(connection, source).get(unread.table)
        image = image_of(declared[0], held) if declared and held else None
        if image is None:  # it was dropped, or altered so that Debezium has to read it
            if held is not None:
                self._hold.ask(unread.table)
            self._publisher.remember(lambda state: _without(state, unread))
        return image

    def _open_view(self, connection: source_server.Connection) -> "_View":
        """A view of the server, and the stream on its way to the place of it."""
        self._publisher.stop_before()
        self._await(self._publisher.has_stopped.is_set)
        file, offset = source_server.open_view(connection)
        self._publisher.stop_before((file_number(file), offset))
        now = source_server.ask_one(connection, "SELECT UNIX_TIMESTAMP() AS now")["now"]
        return _View(file, offset, int(now))

    def _changes(self, table: str, view: "_View", rows: Sequence[Row]) -> list[Change]:
        """Rows as the changes that Debezium makes of those of a snapshot."""
        source = {
            "version": "smug_platform",
            "connector": self._source.connector,
            "name": self._shard.name,
            "ts_ms": view.at * 1000,
            "snapshot": "true",
            "db": self._source.database,
            "sequence": None,
            "ts_us": view.at * 1_000_000,
            "ts_ns": view.at * 1_000_000_000,
            "table": table,
            "server_id": 0,
            "gtid": None,
            "file": view.file,
            "pos": view.offset,
            "row": 0,
            "thread": None,
            "query": None,
        }
        now = time.time_ns()
        about = orjson.dumps({"source": source, "transaction": None, "op": "r"}).decode()
        end = f',{about[1:-1]},"ts_ms":{now // 10**6},"ts_us":{now // 1000},"ts_ns":{now}}}'
        topic = f"{self._shard.name}.{self._source.database}.{table}"
        return [
            Change(topic, key_text(key).encode(), f'{{"before":null,"after":{row}{end}'.encode())
            for key, row, *_ in rows
        ]

    def _catch_up(self, connection: source_server.Connection, held: float) -> None:
        """Wait until the stream is where the server was; not for ever, where it never gets there.

        held: seconds for which it was held up.
        """
        file, offset = source_server.newest_position(connection)
        goal, late = (file_number(file), offset), time.monotonic() + _CATCH_UP * held
        self._await(lambda: self._publisher.reached >= goal or time.monotonic() > late)

    def _await(self, holds: Callable[[], bool]) -> None:
        """Until it holds. Raises Closed."""
        while not holds():
            if self._closed.wait(_TICK_SECONDS) or self._publisher.is_closed:
                raise Closed


@dataclass(frozen=True)
class _View:
    """Where in the binlog a view of the server stands, and when (seconds since 1970)."""

    file: str
    offset: int
    at: int


@dataclass(frozen=True)
class _Pieces:
    """The pieces of one table in one view. name: the table's, quoted. defined: as it was before.

    A view may read a table that has been altered since, under the names of now.
    """

    connection: source_server.Connection
    image: Image
    name: str
    defined: str | None

    def read(
        self, unread: Unread, *, until: float
    ) -> Iterator[tuple[Sequence[Row], Unread | None]]:
        """Batches of rows, each with how far the table is read then; None at its end.

        until: the moment, by the monotonic clock, after which no piece begins. Raises SourceError.
        """
        high = unread.high or self._last_key()
        while high is not None and time.monotonic() < until:
            before = unread.rows
            for rows in self._piece(unread.low, high):
                low = tuple(map(str, rows[-1][2:]))
                unread = replace(unread, low=low, high=high, rows=unread.rows + len(rows))
                yield rows, unread
            if unread.rows - before < _PIECE_ROWS:
                high = None
        if high is None:
            yield [], None

    def _last_key(self) -> tuple[str, ...] | None:
        """The table's last key now: what comes after it comes by the stream. None without rows."""
        ends, order = ", ".join(self.image.ends), self.image.order("DESC")
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute(f"SELECT {ends} FROM {self.name} ORDER BY {order} LIMIT 1")
            found = cursor.fetchone()
        return tuple(map(str, found)) if found else None

    def _piece(self, low: Sequence[str] | None, high: Sequence[str]) -> Iterator[Sequence[Row]]:
        image = self.image
        what = ", ".join((image.key, image.row, *image.ends))
        query = (
            f"SELECT {what} FROM {self.name} WHERE {image.between(low, high)}"
            f" ORDER BY {image.order()} LIMIT {_PIECE_ROWS}"
        )
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute("SAVEPOINT piece")
            cursor.execute(f"SELECT 1 FROM {self.name} LIMIT 0")  # from here on it can't be altered
        if source_server.definition(self.connection, self.name) != self.defined:
            raise SourceUnavailable(f"{self.name} was altered", remedy="it is read on by itself")
        with self.connection.cursor(SSCursor) as cursor:
            cursor.execute(query)
            taken: list[Row] = []
            size = 0
            while rows := cursor.fetchmany(_FETCHED_ROWS):
                taken += rows
                size += sum(map(_size, rows))
                if len(taken) >= _BATCH_ROWS or size > _BATCH_BYTES:
                    yield taken
                    taken, size = [], 0
            if taken:
                yield taken
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute("ROLLBACK TO SAVEPOINT piece")  # so that the table may be altered


def _size(row: Row) -> int:
    """Characters of a row image; raises SourceError for one that the server could not write."""
    if row[1] is None:
        raise SourceError(
            f"the row of key {row[0]} is longer than the server's max_allowed_packet",
            remedy="raise max_allowed_packet: values of bytes take four thirds of their length",
        )
    return len(row[1])


def _read_up_to(state: State, *, now: Unread) -> State:
    return replace(
        state, unread=tuple(now if one.table == now.table else one for one in state.unread)
    )


def _without(state: State, unread: Unread, *, last: bool = False) -> State:
    """Without a table among those that are unread, or with it as the last of them."""
    others = tuple(one for one in state.unread if one.table != unread.table)
    mine = tuple(one for one in state.unread if one.table == unread.table) if last else ()
    return replace(state, unread=(*others, *mine))
