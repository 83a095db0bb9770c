"""One table read anew, in its place in the order of the shard's changes.

An engine of its own, with neither offsets nor a replica's connection, takes Debezium's snapshot of
that table: DROP, CREATE and the rows, all at one position. The stream is brought to just before
that position, waits there, and goes on after the rows. So what is on the stream stays in the order
of positions, and a reader needs no rule for it that a first snapshot does not need as well.

Of a table that `chunks` can read the rows are left to it, which reads them while the stream goes
on; DROP and CREATE alone come in this way.
"""

import threading
from dataclasses import replace
from pathlib import Path

import orjson

from smug_platform.capture import server as source_server
from smug_platform.capture.access import admitted
from smug_platform.capture.config import captured, engine_properties
from smug_platform.capture.consumer import Batch
from smug_platform.capture.contract import read_tables
from smug_platform.capture.debezium import Debezium
from smug_platform.capture.doctor import preflight
from smug_platform.capture.epoch import Stream, decide
from smug_platform.capture.failures import NOTHING_TO_DO, NeedsSnapshot, SourceUnavailable
from smug_platform.capture.patience import Patience
from smug_platform.capture.pieces import unread_of
from smug_platform.capture.position import file_number
from smug_platform.capture.publisher import Closed, Publisher
from smug_platform.capture.state import State, Unread
from smug_platform.capture.status import Meter
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_MEMORY = {
    "snapshot.mode": "initial_only",
    "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
    # The CREATE of another table would tell its readers that its rows follow.
    "schema.history.internal.store.only.captured.tables.ddl": "true",
    # Else it waits for a minute to register its metrics under the names of the stream's.
    "custom.metric.tags": "engine=table",
    # It stands still while the stream comes up to it: the server must not hang up meanwhile.
    "driver.sessionVariables": "net_write_timeout=86400",
}
_HISTORY_FILE = "schema.history.internal.file.filename"
_TICK_SECONDS = 0.1


class Reread:
    """The snapshot of one table. publisher: of the shard's stream, which takes its rows too.
    asked_at: when it was asked for, 0 if it was not. folder: of the shard's run. gave_up: whether
    it has to be begun anew later, for a lane of the stream waits.
    """

    def __init__(
        self,
        shard: Shard,
        source: Source,
        table: str,
        *,
        asked_at: int,
        folder: Path,
        publisher: Publisher,
        meter: Meter,
    ) -> None:
        self._shard, self._table, self._asked_at = shard, source.table(table), asked_at
        self._source = replace(source, tables=(self._table,))
        self._publisher, self._meter = publisher, meter
        self._folder, self._history = folder, folder / "table.jsonl"
        self._rows, self._about, self._is_read = 0, 0, threading.Event()
        self._unread: Unread | None = None
        self._debezium: Debezium | None = None
        self.gave_up = False

    def start(self) -> None:
        """Begin to read. Raises SourceError, a NeedsSnapshot when this is not the server that is
        streamed.

        The stream stops first, where it is: had it passed the place of the snapshot when that is
        told, what it sent from there on would stand before the DROP that comes then.
        """
        checked = preflight(self._shard, self._source)
        checked.readable()
        self._publisher.stop_before()
        if not self._stops():
            return
        self._prepare(self._publisher.state)
        unread = [self._table.name] if self.in_chunks else []
        shard = admitted(self._shard)
        properties = engine_properties(
            shard, self._source, self._folder, columns=checked.columns, unread=unread
        )
        self._history.unlink(missing_ok=True)
        self._meter.read_anew(self._table.name, 0, self._about)
        name = f"{self._shard.name}-{self._table.name}"
        properties |= _MEMORY | {_HISTORY_FILE: str(self._history)}
        self._debezium = Debezium(name, properties, self._take)
        self._debezium.start()

    @property
    def in_chunks(self) -> bool:
        """Whether the rows are left to `chunks`; known once it was started."""
        return self._unread is not None

    @property
    def is_done(self) -> bool:
        """Whether all rows are durable in the stream; raises the SourceError that ended it."""
        if self._is_read.is_set():
            return self._publisher.is_idle
        if self._debezium and self._debezium.done.is_set() and not self.gave_up:
            error = self._debezium.failure(self._shard.name)
            if isinstance(error, NeedsSnapshot):  # of this table, and no other
                raise SourceUnavailable(error.problem, remedy="it is read again by itself")
            raise error
        return False

    def close(self, seconds: float) -> None:
        """End it, or leave it after that time."""
        if self._debezium is not None:
            self._debezium.close(seconds)

    def _stops(self) -> bool:
        """Whether the stream has stopped; False when it is closed, or a lane of it waits."""
        patience = Patience(self._publisher)
        while not self._publisher.has_stopped.wait(_TICK_SECONDS):
            if self._publisher.is_closed:
                return False
            if patience.is_over:
                self.gave_up = True
                return False
        return True

    def _prepare(self, state: State) -> None:
        """See that the server is the one that is streamed, and begin a new binlog file.

        An earlier snapshot of the table may have come from the place where the binlog stands.
        """
        with source_server.connect(self._shard) as connection:
            check_server(connection, self._shard, state)
            held = read_tables(connection, self._source)[self._table.name]
            self._unread = unread_of(self._table, held, self._asked_at)
            source_server.advance_binlog(connection)
            self._about = source_server.count_about(
                connection, self._source.database, self._table.name
            )

    def _take(self, batch: Batch) -> None:
        """Called by the engine's thread: hand on what the snapshot brings, once it is its turn."""
        if batch.changes and not self._is_read.is_set():
            source = orjson.loads(batch.changes[0].value)["source"]
            self._publisher.stop_before((file_number(source["file"]), int(source["pos"])))
            if not self._stops():
                raise Closed
            self._publisher.offer_rows(batch.changes)
            topic = f"{self._shard.name}.{self._source.database}.{self._table.name}"
            self._rows += sum(change.topic == topic for change in batch.changes)
            self._meter.read_anew(self._table.name, self._rows, self._about)
        if not orjson.loads(batch.offset).get("snapshot") and not self._is_read.is_set():
            self._publisher.offer_rows([], self._remember)
            self._is_read.set()

    def _remember(self, state: State) -> State:
        """The table comes with the stream from now on, and what of it is to be read beside it."""
        (line,) = captured(self._source)
        tables = (*(each for each in state.tables if each != line), line)
        unread = tuple(one for one in state.unread if one.table != self._table.name)
        if self._unread is not None:
            unread += (self._unread,)
        history = self._publisher.history
        name = f'"{self._source.database}"."{self._table.name}"'
        history.add_table(name, self._history.read_bytes(), state.offset or "{}")
        return replace(state, tables=tables, unread=unread, history=history.names)


def check_server(connection: source_server.Connection, shard: Shard, state: State) -> None:
    """Raise a NeedsSnapshot when this is not the server that is streamed."""
    server = source_server.read_server(connection, state.mark)
    decision = decide(state, server, stream=Stream(state.incarnation), tables=state.tables)
    if decision.snapshot:
        raise NeedsSnapshot(f"{shard.name}: {decision.reason}", remedy=NOTHING_TO_DO)
