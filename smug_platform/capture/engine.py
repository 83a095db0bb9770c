"""The capture of one shard: a Debezium engine whose batches go to a sink, and a watch beside it.

A batch is published, then remembered in the state. Whatever a kill in between leaves unremembered
is published again after the restart, and readers drop what they have by its position.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from smug_platform.capture import debezium as connectors
from smug_platform.capture.access import admitted
from smug_platform.capture.begin import begin
from smug_platform.capture.chunks import Chunks
from smug_platform.capture.config import engine_properties, streamed
from smug_platform.capture.debezium import Debezium
from smug_platform.capture.doctor import preflight
from smug_platform.capture.failures import NeedsSnapshot, Refused, Renumbered
from smug_platform.capture.jvm import start_jvm
from smug_platform.capture.publisher import Publisher
from smug_platform.capture.requests import Requests
from smug_platform.capture.reread import Reread
from smug_platform.capture.sink import NOTHING_LANDED, Landed, Sink
from smug_platform.capture.statements import Statements
from smug_platform.capture.status import Meter, Phase, Status
from smug_platform.capture.store import Hold, LeaseLost
from smug_platform.capture.watch import STALL_SECONDS, Place, Watch
from smug_platform.errors import SmugError, SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_STATUS_SECONDS = 1.0
_WATCH_SECONDS = 5.0
_FIRST_WATCH_SECONDS = 1.0  # the next table may be waiting to be read anew
# One after the other less than a worker's grace, which is less than Fargate gives a process to end.
_CLOSE_SECONDS = 8.0  # for the publisher, and then half as long for each that waits for it


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
        run = self._begin()
        run.publisher.start()
        run.debezium.start()
        is_over = False
        try:
            asked = self._attend(run)
            if asked is not None:
                is_free = run.chunks.close(_CLOSE_SECONDS / 2)  # else the next run comes to it
                is_over = not (asked[0] and is_free) or self._read_anew(*asked, run)
        finally:
            run.close()
        if self._stopping.is_set() or is_over:
            return
        if failure := run.publisher.failure or run.chunks.failure:
            raise failure
        raise run.debezium.failure(self._shard.name)

    def _begin(self) -> "_Run":
        """Find the place, and make what captures from there."""
        before = self._hold.state()
        declared = streamed(self._declared(), before.tables if before else None)
        checked = preflight(self._shard, declared)
        start_jvm(self._logs)
        state, decision, history = begin(
            self._hold, self._folder, self._shard, checked, self._sink, landed=self._landed
        )
        source = streamed(declared, state.tables)
        note = f"new snapshot: {decision.reason}" if decision.reason else ""
        phase: Phase = "streaming" if state.is_whole else "snapshot"
        self._meter.begin(phase, state.epoch, state.position, note=note)
        self._tell()
        unread = [one.table for one in state.unread] if decision.snapshot else []
        properties = engine_properties(
            admitted(self._shard), source, self._folder, columns=checked.columns, unread=unread
        )
        publisher = Publisher(self._hold, self._sink, state, self._meter, history=history)
        requests = Requests(
            self._hold, self._shard, source, declared=self._declared, meter=self._meter
        )
        for table in checked.unreadable.keys() & set(source.names):
            requests.hide(table, checked.unreadable[table])
        statements = Statements(self._shard, source)
        return _Run(
            publisher,
            Debezium(self._shard.name, properties, publisher.offer, statements=statements),
            Chunks(self._hold, self._shard, source, publisher=publisher, meter=self._meter),
            requests,
        )

    def _attend(self, run: "_Run") -> tuple[str, int] | None:
        """Until the engine ends or is to end: tell the status, and watch the server.

        Returns the table that is to be read, and when that was asked; "" for a run that ends
        because less is declared than it captures.
        """
        publisher, chunks, watch = run.publisher, run.chunks, Watch(self._shard)
        watch.begin()
        told = time.monotonic()
        watched = told - _WATCH_SECONDS + _FIRST_WATCH_SECONDS
        while not run.debezium.done.wait(_TICK_SECONDS):
            if self._stopping.is_set() or publisher.failure or chunks.failure:
                return None
            if not publisher.state.in_snapshot:
                chunks.work()
            now = time.monotonic()
            if now - told >= _STATUS_SECONDS:
                told = now
                self._tell()
            if now - watched >= _WATCH_SECONDS:
                self._look(watch, publisher)
                if not publisher.state.in_snapshot and (asked := _asked(run)):
                    return asked
                watched = time.monotonic()
        return None

    def _read_anew(self, table: str, at: int, run: "_Run") -> bool:
        """Read one table while the stream waits; whether this run is at its end then.

        A table that can't be read is asked for no more: the stream goes on without.
        """
        reread = Reread(
            self._shard,
            self._declared(),
            table,
            asked_at=at,
            folder=self._folder,
            publisher=run.publisher,
            meter=self._meter,
        )
        try:
            reread.start()
            while not reread.is_done:
                if self._stopping.wait(_TICK_SECONDS) or run.publisher.failure is not None:
                    return False
                if reread.gave_up:
                    return True
                if run.debezium.done.is_set() and not run.publisher.has_stopped.is_set():
                    return False
                self._tell()
            if reread.in_chunks:
                return True
        except SourceError as error:
            if error.passes:
                raise
            _log.error("%s: %s is not read anew: %s", self._shard.name, table, error)
        finally:
            reread.close(_CLOSE_SECONDS / 2)
        self._hold.answer(table, at)
        return True

    def _look(self, watch: Watch, publisher: Publisher) -> None:
        """Look at the server. It may not let us in, while a password is rotated say: the binlog
        comes on a connection that stands, and as long as it does capture goes on.
        """
        try:
            _look(watch, publisher)
            self._meter.go_on(self._shard.name)
        except Refused as error:
            self._meter.wait_for(self._shard.name, str(error))
            if self._meter.silence(time.time()) > STALL_SECONDS:
                raise

    def _tell(self) -> None:
        self._on_status(self.status)

    def _note(self, error: NeedsSnapshot) -> None:
        """Remember that the next start begins with a snapshot."""
        state = self._hold.state()
        if state is not None:
            new_epoch = isinstance(error, Renumbered)
            self._hold.save(state.due(error.problem, new_epoch=new_epoch))


@dataclass(frozen=True)
class _Run:
    """What captures in one run of an engine."""

    publisher: Publisher
    debezium: Debezium
    chunks: Chunks
    requests: Requests

    def close(self) -> None:
        """End all of it, in bounded time: first the publisher, which the others may wait for."""
        self.publisher.close(_CLOSE_SECONDS)
        self.chunks.close(_CLOSE_SECONDS / 2)
        self.debezium.close(_CLOSE_SECONDS / 2)


def _asked(run: _Run) -> tuple[str, int] | None:
    """What is asked for and needs a run of its own; rows by a condition are begun with here."""
    state, busy = run.publisher.state, run.chunks.is_busy or run.publisher.is_behind
    if asked := run.requests.next(state, busy=busy):
        return asked
    if found := tuple(run.requests.filtered(state)):
        run.publisher.remember(lambda state: replace(state, unread=(*state.unread, *found)))
    return None


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
