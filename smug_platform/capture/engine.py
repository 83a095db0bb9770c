"""The capture of one shard: a Debezium engine whose batches go to a sink, and a watch beside it.

A batch is published, then remembered in the state. Whatever a kill in between leaves unremembered
is published again after the restart, and readers drop what they have by its position.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype

from smug_platform.capture.begin import begin
from smug_platform.capture.config import engine_properties
from smug_platform.capture.consumer import Completion, Consumer
from smug_platform.capture.doctor import preflight
from smug_platform.capture.failures import NeedsSnapshot, Renumbered, classify
from smug_platform.capture.jvm import java_properties, messages, start_jvm
from smug_platform.capture.publisher import Publisher
from smug_platform.capture.sink import NOTHING_LANDED, Landed, Sink
from smug_platform.capture.status import Meter, Phase, Status
from smug_platform.capture.store import Hold, LeaseLost
from smug_platform.capture.watch import Place, Watch
from smug_platform.errors import SmugError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_TICK_SECONDS = 0.1
_STATUS_SECONDS = 1.0
_WATCH_SECONDS = 5.0
# For the publisher, and again for Debezium: together less than Fargate gives a process to end.
_CLOSE_SECONDS = 10.0


def warm_up(shard: Shard, source: Source, *, folder: Path, logs: Path) -> None:
    """Start the JVM and load what engines need: the first one is then there in half the time.

    Nothing is connected to. A worker does it before it asks for shards, which would stand still
    meanwhile (2.7 s instead of 5 to 7 from start to first change, measured).
    """
    start_jvm(logs)
    build(engine_properties(shard, source, folder), Consumer(lambda _batch: None), Completion())


class Engine:
    """Captures one shard until it is stopped or fails. An engine runs once.

    hold: the shard's lease. folder: this lease's own, for Debezium's files. logs: the folder of
    Debezium's log. on_status: called about once a second, and at the end.
    """

    def __init__(
        self,
        shard: Shard,
        source: Source,
        sink: Sink,
        *,
        hold: Hold,
        folder: Path,
        logs: Path,
        landed: Landed = NOTHING_LANDED,
        on_status: Callable[[Status], None] = lambda _status: None,
    ) -> None:
        self._shard, self._source, self._sink = shard, source, sink
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
        self._meter.enter("stopped")
        self._tell()

    def _capture(self) -> None:
        columns = preflight(self._shard, self._source)
        start_jvm(self._logs)
        state, decision, history = begin(
            self._hold, self._folder, self._shard, self._source, self._sink, landed=self._landed
        )
        note = f"new snapshot: {decision.reason}" if decision.reason else ""
        phase: Phase = "snapshot" if state.in_snapshot else "streaming"
        self._meter.begin(phase, state.epoch, state.position, note=note)
        self._tell()
        publisher = Publisher(self._hold, self._sink, state, self._meter, history=history)
        completion = Completion()
        engine = build(
            engine_properties(self._shard, self._source, self._folder, columns=columns),
            Consumer(publisher.offer),
            completion,
        )
        thread = threading.Thread(target=engine.run, name=self._shard.name, daemon=True)
        publisher.start()
        thread.start()
        try:
            self._attend(publisher, completion)
        finally:
            publisher.close(_CLOSE_SECONDS)
            _close(engine, completion, thread)
        if self._stopping.is_set():
            return
        if publisher.failure is not None:
            raise publisher.failure
        raise classify(self._shard.name, [completion.message, *messages(completion.error)])

    def _attend(self, publisher: Publisher, completion: Completion) -> None:
        """Until the engine ends or is to end: tell the status, and watch the server."""
        watch = Watch(self._shard)
        watch.begin()
        told = watched = time.monotonic()
        while not completion.done.wait(_TICK_SECONDS):
            if self._stopping.is_set() or publisher.failure is not None:
                return
            now = time.monotonic()
            if now - told >= _STATUS_SECONDS:
                told = now
                self._tell()
            if now - watched >= _WATCH_SECONDS:
                _look(watch, publisher)
                watched = time.monotonic()

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
        publisher.set_mark(mark)


def build(properties: dict[str, str], consumer: Any, completion: Completion) -> Any:
    """A Java engine, which captures while its `run` is called; consumer: a ChangeConsumer."""
    json_format = jpype.JClass("io.debezium.engine.format.Json")
    return (
        jpype.JClass("io.debezium.engine.DebeziumEngine")
        .create(json_format)
        .using(java_properties(properties))
        .using(completion)
        .notifying(consumer)
        .build()
    )


def _close(engine: Any, completion: Completion, thread: threading.Thread) -> None:
    """End the Java engine, in bounded time; one that has ended by itself is left alone."""
    if not completion.done.is_set():
        closer = threading.Thread(target=_close_quietly, args=(engine,), daemon=True)
        closer.start()
    thread.join(_CLOSE_SECONDS)


def _close_quietly(engine: Any) -> None:
    try:
        engine.close()
    except jpype.JException:  # it has just ended by itself
        return
