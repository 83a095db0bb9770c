"""The capture of one shard: a Debezium engine whose batches go to a sink, and a watch beside it.

A batch is published, then remembered in the state. Whatever a kill in between leaves unremembered
is published again after the restart, and readers drop what they have by its position.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from smug_platform.capture import debezium as connectors
from smug_platform.capture.begin import begin
from smug_platform.capture.chunks import Chunks
from smug_platform.capture.config import captured, engine_properties, streamed
from smug_platform.capture.debezium import Debezium
from smug_platform.capture.doctor import preflight
from smug_platform.capture.failures import NeedsSnapshot, Renumbered, SourceUnavailable
from smug_platform.capture.jvm import start_jvm
from smug_platform.capture.publisher import Publisher
from smug_platform.capture.reread import Reread
from smug_platform.capture.sink import NOTHING_LANDED, Landed, Sink
from smug_platform.capture.statements import Statements
from smug_platform.capture.status import Meter, Phase, Status
from smug_platform.capture.store import Hold, LeaseLost
from smug_platform.capture.watch import Place, Watch
from smug_platform.errors import SmugError, SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_STATUS_SECONDS = 1.0
_WATCH_SECONDS = 5.0
_FIRST_WATCH_SECONDS = 1.0  # the next table may be waiting to be read anew
_CLOSE_SECONDS = 10.0


def warm_up(shard: Shard, source: Source, *, folder: Path, logs: Path) -> None:
    """Start the JVM and load what engines need: the first one is then there in half the time.

    Nothing is connected to. A worker does it before it asks for shards, which would stand still
    meanwhile (2.7 s instead of 5 to 7 from start to first change, measured).
    """
    start_jvm(logs)
    connectors.warm_up(engine_properties(shard, source, folder))


class Engine:
    """Captures one shard until it is stopped or fails. An engine runs once.

    declared: gives what is declared at that moment. hold: the shard's lease. folder: this lease's
    own, for Debezium's files. logs: the folder of Debezium's log. on_status: called about once a
    second, and at the end.
    """

    def __init__(
        self,
        shard: Shard,
        declared: Callable[[], Source],
        sink: Sink,
        *,
        hold: Hold,
        folder: Path,
        logs: Path,
        landed: Landed = NOTHING_LANDED,
        on_status: Callable[[Status], None] = lambda _status: None,
    ) -> None:
        self._shard, self._declared, self._sink = shard, declared, sink
        self._hold, self._folder, self._logs = hold, folder, logs
        self._landed, self._on_status = landed, on_status
        self._stopping = threading.Event()
        self._meter = Meter(shard.name)

    @property
    def status(self) -> Status:
        """What the engine is doing now."""
        return self._meter.read(time.time())

    def stop(self) -> None:
        """Ask the engine to end after the batch that it is publishing; returns at once."""
        self._stopping.set()

    def run(self) -> None:
        """Capture until `stop`.

        Raises SourceError, LeaseLost, or what the sink raised. A `NeedsSnapshot` is put right by
        the next run.
        """
        try:
            self._capture()
        except LeaseLost:
            self._meter.enter("stopped", "another worker has it")
            self._tell()
            raise
        except SmugError as error:
            if isinstance(error, NeedsSnapshot):
                self._note(error)
            self._meter.enter("failed", str(error))
            self._tell()
            raise
        self._meter.enter("stopped" if self._stopping.is_set() else "starting")
        self._tell()

    def _capture(self) -> None:
        before = self._hold.state()
        self._source = streamed(self._declared(), before.tables if before else None)
        columns = preflight(self._shard, self._source)
        start_jvm(self._logs)
        state, decision, history = begin(
            self._hold, self._folder, self._shard, self._source, self._sink, landed=self._landed
        )
        note = f"new snapshot: {decision.reason}" if decision.reason else ""
        phase: Phase = "streaming" if state.is_whole else "snapshot"
        self._meter.begin(phase, state.epoch, state.position, note=note)
        self._tell()
        publisher = Publisher(self._hold, self._sink, state, self._meter, history=history)
        unread = [one.table for one in state.unread] if decision.snapshot else []
        properties = engine_properties(
            self._shard, self._source, self._folder, columns=columns, unread=unread
        )
        statements = Statements(self._shard, self._source)
        debezium = Debezium(self._shard.name, properties, publisher.offer, statements=statements)
        chunks = Chunks(
            self._hold, self._shard, self._source, publisher=publisher, meter=self._meter
        )
        publisher.start()
        debezium.start()
        is_over = False
        try:
            asked = self._attend(publisher, chunks, debezium.done)
            if asked is not None:
                is_over = not asked[0] or self._read_anew(*asked, publisher, debezium)
        finally:
            chunks.close()
            publisher.close(_CLOSE_SECONDS)
            debezium.close()
        if self._stopping.is_set() or is_over:
            return
        if failure := publisher.failure or chunks.failure:
            raise failure
        raise debezium.failure(self._shard.name)

    def _attend(
        self, publisher: Publisher, chunks: Chunks, done: threading.Event
    ) -> tuple[str, int] | None:
        """Until the engine ends or is to end: tell the status, and watch the server.

        Returns the table that is to be read, and when that was asked; "" for a run that ends
        because less is declared than it captures.
        """
        watch = Watch(self._shard)
        watch.begin()
        told = time.monotonic()
        watched = told - _WATCH_SECONDS + _FIRST_WATCH_SECONDS
        while not done.wait(_TICK_SECONDS):
            if self._stopping.is_set() or publisher.failure or chunks.failure:
                return None
            if not publisher.state.in_snapshot:
                chunks.work()
            now = time.monotonic()
            if now - told >= _STATUS_SECONDS:
                told = now
                self._tell()
            if now - watched >= _WATCH_SECONDS:
                _look(watch, publisher)
                if not publisher.state.in_snapshot and (asked := self._asked(publisher)):
                    return asked
                watched = time.monotonic()
        return None

    def _asked(self, publisher: Publisher) -> tuple[str, int] | None:
        """The table to be read next: first those that were declared since, and can be read."""
        declared, asked = self._declared(), self._hold.asked()
        if captured(streamed(declared, publisher.state.tables)) != captured(self._source):
            return "", 0
        if publisher.state.unread:
            return None
        known = {table.name for table in self._source.tables}
        for table in declared.tables:
            if table.name not in known and self._is_readable(replace(declared, tables=(table,))):
                return table.name, asked.get(table.name, 0)
        return next((one for one in asked.items() if one[0] in known), None)

    def _is_readable(self, added: Source) -> bool:
        """Whether a table that was declared meanwhile can be captured; says what it waits for."""
        try:
            preflight(self._shard, added)
        except SourceUnavailable:
            return False
        except SourceError as error:
            self._meter.say(f"waits: {error}")
            return False
        return True

    def _read_anew(self, table: str, at: int, publisher: Publisher, debezium: Debezium) -> bool:
        """Read one table while the stream waits; whether this run is at its end then.

        A table that can't be read is asked for no more: the stream goes on without.
        """
        reread = Reread(
            self._shard,
            self._declared(),
            table,
            asked_at=at,
            publisher=publisher,
            meter=self._meter,
        )
        try:
            reread.start()
            while not reread.is_done:
                if self._stopping.wait(_TICK_SECONDS) or publisher.failure is not None:
                    return False
                if debezium.done.is_set() and not publisher.has_stopped.is_set():
                    return False
                self._tell()
            if reread.in_chunks:
                return True
        except SourceError as error:
            if error.passes:
                raise
            _log.error("%s: %s is not read anew: %s", self._shard.name, table, error)
        finally:
            reread.close()
        self._hold.answer(table, at)
        return True

    def _tell(self) -> None:
        self._on_status(self.status)

    def _note(self, error: NeedsSnapshot) -> None:
        """Remember that the next start begins with a snapshot."""
        state = self._hold.state()
        if state is not None:
            new_epoch = isinstance(error, Renumbered)
            self._hold.save(state.due(error.problem, new_epoch=new_epoch))


def _look(watch: Watch, publisher: Publisher) -> None:
    """Ask the server where it writes, and mark the last transaction that was captured."""
    state, begun = publisher.state, publisher.begun
    if state.offset is None or state.log is None or state.in_snapshot:
        return
    if state.mark and begun == (state.mark.file, state.mark.pos):
        begun = None
    mark = watch.check(Place(state.offset, *state.log), begun, busy=publisher.busy)
    if mark is not None:
        publisher.remember(lambda state: replace(state, mark=mark))
