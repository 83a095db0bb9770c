"""The rows of a table read in pieces by its key, while the shard's stream goes on.

For some seconds at a time the stream is held at a place in the binlog, and the rows are read in a
view of the server at that same place. They go out there, between what came before and what comes
after, so that what is on the stream stays in the order of positions. Then the stream catches up.
The last key stands in the state with what was published: whoever has the shard next goes on there.

The table is streamed since before its first piece. A row that moves to a key that was read already
comes by the stream, as does every other change of what was read; see `walk`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from smug_platform.capture import filters
from smug_platform.capture import server as source_server
from smug_platform.capture.contract import quoted, read_tables
from smug_platform.capture.failures import Refused, SourceUnavailable
from smug_platform.capture.images import Image, image_of
from smug_platform.capture.patience import Patience
from smug_platform.capture.pieces import Pieces
from smug_platform.capture.position import file_number
from smug_platform.capture.publisher import Closed, Publisher
from smug_platform.capture.reread import check_server
from smug_platform.capture.rights import lacks_select
from smug_platform.capture.state import State, Unread
from smug_platform.capture.status import Meter
from smug_platform.capture.store import Hold
from smug_platform.capture.view import View
from smug_platform.capture.walk import is_being_sent, is_sent, read_again
from smug_platform.errors import SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_log = logging.getLogger(__name__)

# How long the stream is held at most, and how many times that it then has to catch up.
_WINDOW_SECONDS, _CATCH_UP = 2.0, 4.0
# So many tables are looked up for one window: all of them are as they were when it began.
_WINDOW_TABLES = 50
_RETRY_SECONDS, _REFUSED_SECONDS, _TICK_SECONDS = 1.0, 30.0, 0.02
_KEPT_OUT_SECONDS = 5.0  # servers lock users whose passwords are wrong too often


class Chunks:
    """Reads the tables of `State.unread` one after the other, on a thread of its own: those of a
    first snapshot, and those that are read anew.

    source: what is streamed. failure: what ended it, a NeedsSnapshot for instance. What may pass
    is tried again; a table that can't be read waits, in sight, and the others have their turn.
    """

    def __init__(
        self, hold: Hold, shard: Shard, source: Source, *, publisher: Publisher, meter: Meter
    ) -> None:
        self._hold, self._shard, self._source = hold, shard, source
        self._publisher, self._meter = publisher, meter
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._at: Unread | None = None
        self._in_doubt = {one.table for one in publisher.state.unread if one.is_in_doubt}
        self._refused: dict[str, float] = {}  # when each is tried again
        self.failure: BaseException | None = None

    def work(self) -> None:
        """See that what is unread is being read; returns at once."""
        if self._publisher.state.unread and self._thread is None:
            name = f"chunks-{self._shard.name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether something is being read, or is about to be; not where all of it has to wait."""
        now, unread = time.monotonic(), self._publisher.state.unread
        return any(self._refused.get(one.table, 0.0) <= now for one in unread)

    def close(self, seconds: float) -> bool:
        """End after the batch under way; whether it has, in that time."""
        self._closed.set()
        if thread := self._thread:
            thread.join(seconds)
        return self._thread is None

    def _run(self) -> None:
        try:
            while not self._closed.is_set() and (unread := self._publisher.state.unread):
                self._attend()
                if not self.is_busy:
                    due = min((self._refused.get(one.table, 0.0) for one in unread), default=0.0)
                    self._closed.wait(max(0.0, due - time.monotonic()))
            self._meter.end_reading()
        except Closed:
            return
        except BaseException as error:  # noqa: BLE001  the engine raises it
            self.failure = error
        finally:
            self._thread = None

    def _attend(self) -> None:
        """Read on for a while."""
        try:
            with source_server.connect(self._shard) as connection:
                self._read_on(connection)
        except SourceUnavailable as error:
            _log.warning("%s is read on later: %s", self._shard.name, error)
            self._closed.wait(_KEPT_OUT_SECONDS if isinstance(error, Refused) else _RETRY_SECONDS)
        except SourceError as error:
            if error.passes or self._at is None:
                raise
            self._refuse(self._at, error)

    def _refuse(self, unread: Unread, error: SourceError) -> None:
        """Have a table wait until something is done about it."""
        _log.error("%s: %s can't be read: %s", self._shard.name, unread.table, error)
        self._meter.wait_for(unread.table, str(error))
        self._refused[unread.table] = time.monotonic() + _REFUSED_SECONDS
        self._publisher.remember(partial(_without, unread=unread, last=True))

    def _accept(self, table: str) -> None:
        """A table that may have waited can be read, or is to be read no more."""
        self._refused.pop(table, None)
        self._meter.go_on(table)

    def _read_on(self, connection: source_server.Connection) -> None:
        """Read table after table for one window, then let the stream catch up."""
        self._at = None
        check_server(connection, self._shard, self._publisher.state)
        tables = list(self._tables(connection))
        if not tables:
            return
        self._at = tables[0].unread  # a view that is refused is so for the tables it is for
        began = time.monotonic()
        try:
            self._read_window(connection, tables)
        finally:  # rows that are left would go out at the next place where the stream stops
            self._await(lambda: self._publisher.is_idle, although_closed=True)
            self._publisher.go_on()
        connection.rollback()  # the view holds off an ALTER of what was read
        self._catch_up(connection, time.monotonic() - began)

    def _read_window(
        self, connection: source_server.Connection, tables: Sequence["_Table"]
    ) -> None:
        """Read for one window, if the stream comes to the place of it."""
        self._publisher.stop_before()
        if not self._stops():  # before a view: it would lock the tables meanwhile
            return
        view = self._open_view(connection, tables)
        if not self._stops():
            return
        until = time.monotonic() + _WINDOW_SECONDS
        self._tell_doubt(view, tables)
        for table in tables:
            self._read_table(connection, table, view, until)
            if time.monotonic() > until:
                break

    def _tables(self, connection: source_server.Connection) -> Iterator["_Table"]:
        """The next tables to be read, without those that wait. What is to be read no more, or not
        in this way, is unread no more.
        """
        due = list(self._due(connection))  # before their columns are asked for: see `Pieces`
        held = read_tables(connection, self._source)
        declared = {table.name: table for table in self._source.tables}
        for unread, name, defined in due:
            self._at = unread
            table, holds = declared.get(unread.table), held.get(unread.table)
            image = image_of(table, holds) if table and holds else None
            numbers = () if unread.where or image is None else image.numbers
            if holds is None or image is None or numbers != unread.numbers:
                if table and holds:  # it was altered, and has to be read otherwise
                    self._hold.ask(unread.table, unread.where)
                self._publisher.remember(partial(_without, unread=unread))
                self._accept(unread.table)
                continue
            if unread.where and not self._takes(connection, name, unread):
                continue
            yield _Table(unread, image, name, defined, holds.rows)

    def _due(
        self, connection: source_server.Connection
    ) -> Iterator[tuple[Unread, str, str | None]]:
        """The next tables that do not wait and may be read, their quoted names and definitions."""
        now = time.monotonic()
        waiting = {name for name, until in self._refused.items() if until > now}
        due = [one for one in self._publisher.state.unread if one.table not in waiting]
        for unread in due[:_WINDOW_TABLES]:
            self._at = unread
            name = f"{quoted(self._source.database)}.{quoted(unread.table)}"
            if source_server.may_select(connection, name):
                yield unread, name, source_server.definition(connection, name)
            else:
                self._refuse(unread, lacks_select(self._shard, unread.table, name))

    def _tell_doubt(self, view: View, tables: Sequence["_Table"]) -> None:
        """Tell what of the tables an earlier run may have sent that comes again."""
        names = {table.unread.table: table.unread for table in tables}
        again = [
            read_again(self._shard.name, one, view.place(one), at=time.time_ns())
            for name, one in names.items()
            if name in self._in_doubt and not one.where
        ]
        if again:
            self._publisher.offer_rows(again)
            self._in_doubt -= names.keys()

    def _takes(self, connection: source_server.Connection, name: str, unread: Unread) -> bool:
        """Whether the table still has what a condition asks for; else it is asked for no more."""
        try:
            filters.check(connection, name, unread.where)
        except SourceError as error:
            _log.error("%s: %s is not read: %s", self._shard.name, unread.table, error)
            self._hold.answer(unread.table, unread.asked_at, unread.where)
            self._publisher.remember(partial(_without, unread=unread))
            return False
        return True

    def _read_table(
        self, connection: source_server.Connection, table: "_Table", view: View, until: float
    ) -> None:
        """Read on in one table."""
        unread, name = table.unread, table.unread.table
        self._at = unread
        told, about = (
            (f"{name} where {filters.masked(unread.where)}", 0)
            if unread.where
            else (name, table.about)
        )
        self._meter.read_anew(told, unread.rows, about, in_pieces=True)
        pieces = Pieces(connection, table.image, table.name, table.defined)
        for rows, now in pieces.read(unread, until=until):
            self._accept(name)
            if now is None:  # answered while it is unread: see `requests`
                self._hold.answer(name, unread.asked_at, unread.where)
                self._publisher.offer_rows([], partial(_without, unread=unread))
                return
            changes = view.changes(unread, rows)
            self._publisher.offer_rows(
                changes, partial(is_sent, now=now), before=partial(is_being_sent, now=now)
            )
            unread = now
            self._meter.add(len(rows), now=time.time())
            self._meter.read_anew(told, now.rows, about, in_pieces=True)

    def _open_view(self, connection: source_server.Connection, tables: Sequence["_Table"]) -> View:
        """A view of the server, and the stream on its way to the place of it."""
        file, offset = source_server.open_view(
            connection, self._shard, [table.name for table in tables]
        )
        self._publisher.stop_before((file_number(file), offset))
        now = source_server.ask_one(connection, "SELECT UNIX_TIMESTAMP() AS now")["now"]
        return View(self._shard.name, self._source, file, offset, int(now))

    def _catch_up(self, connection: source_server.Connection, held: float) -> None:
        """Wait until the stream is where the server was; not for ever, where it never gets there.

        held: seconds for which it was held up.
        """
        file, offset = source_server.newest_position(connection)
        goal, late = (file_number(file), offset), time.monotonic() + _CATCH_UP * held
        self._await(lambda: self._publisher.reached >= goal or time.monotonic() > late)

    def _stops(self) -> bool:
        """Whether the stream has stopped; False when a lane of it waits. Raises Closed."""
        patience, has_stopped = Patience(self._publisher), self._publisher.has_stopped
        self._await(lambda: has_stopped.is_set() or patience.is_over)
        return has_stopped.is_set()

    def _await(self, holds: Callable[[], bool], *, although_closed: bool = False) -> None:
        """Until it holds. Raises Closed."""
        while not holds():
            if self._publisher.is_closed or (self._closed.is_set() and not although_closed):
                raise Closed
            time.sleep(_TICK_SECONDS)


@dataclass(frozen=True)
class _Table:
    """A table as it was before the view was opened. name: quoted; about: so many rows."""

    unread: Unread
    image: Image
    name: str
    defined: str | None
    about: int


def _without(state: State, unread: Unread, *, last: bool = False) -> State:
    """Without a table among those that are unread, or with it as the last of them."""
    others = tuple(one for one in state.unread if one.table != unread.table)
    mine = tuple(one for one in state.unread if one.table == unread.table) if last else ()
    return replace(state, unread=(*others, *mine))
