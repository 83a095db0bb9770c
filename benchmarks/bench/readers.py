"""Three ways from a binlog by Debezium: the engine alone, ours, and what one would write first.

Each is called in a fresh process, begins where the state in its home says (or with a snapshot), and
ends when it has had so many changes of each shard. Times run from the first batch to the last, so
the start of a virtual machine is not counted. All shards are read in the one process, as by a
worker.
"""

# mypy: disable-error-code="untyped-decorator"

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jpype

from bench.job import (
    ALL_LANDED,
    Clock,
    Job,
    Nothing,
    clock_of,
    each_shard,
    folder_of,
    hold_of,
    plain_client,
    put,
)  # fmt: skip
from smug_platform.capture.begin import begin
from smug_platform.capture.change import Change
from smug_platform.capture.config import engine_properties
from smug_platform.capture.doctor import preflight
from smug_platform.capture.engine import Engine
from smug_platform.capture.jvm import start_jvm
from smug_platform.capture.resources import open_store
from smug_platform.capture.written import Written
from smug_platform.settings import Shard
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.producer import Producer

_ENGINE = {
    # Converting on one thread spares the hand-over of every record: 13 instead of 18 s of CPU for
    # 200,000 changes.
    "record.processing.threads": "1",
    "offset.flush.interval.ms": "1000",
}
_TUNED = (
    "max.batch.size", "max.queue.size", "max.queue.size.in.bytes", "poll.interval.ms",
    "record.processing.threads",
)  # fmt: skip


def ours(job: Job) -> tuple[float, float]:
    """Engine, publisher and producer, as a worker runs them."""
    return _ours(job, clock_of(job))


def settle(job: Job) -> None:
    """Capture the rows that there are, and remember a place after them."""
    clock, store = clock_of(job), open_store(job.settings)

    def look() -> None:
        while not clock.done.wait(0.2):
            states = [store.state(shard.name) for shard in job.settings.shards]
            if all(state and state.is_whole for state in states):
                clock.done.set()

    clock.left = dict.fromkeys(clock.left, sys.maxsize)
    threading.Thread(target=look, daemon=True).start()
    _ours(job, clock)


def _ours(job: Job, clock: Clock) -> tuple[float, float]:
    class Counting(Producer):
        def offer(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
            if isinstance(changes, Written):
                rows = len(changes)
            else:
                rows = sum(change.topic != shard for change in changes)
            if rows:
                clock.begin()
            super().offer(shard, epoch, changes)
            clock.count(shard, rows)

    def run(shard: Shard) -> None:
        stream = job.settings.stream
        sink = Counting(kinesis_client(stream), stream.name, Claims(job.settings.claims))
        engine = Engine(
            shard,
            lambda: job.source,
            sink,
            hold=hold_of(job, shard),
            folder=folder_of(job, shard),
            logs=job.settings.home / "logs",
            landed=ALL_LANDED,
        )
        threading.Thread(target=lambda: (clock.done.wait(), engine.stop())).start()
        engine.run()
        sink.close()

    return each_shard(job, clock, run)


def alone(job: Job) -> tuple[float, float]:
    """The engine with a handler that does nothing: the limit."""

    def handler(clock: Clock, shard: Shard) -> Callable[[Any, Any], None]:
        def handle(records: Any, _committer: Any) -> None:
            clock.begin()
            clock.count(shard.name, records.size())

        return handle

    return _raw(job, handler, untuned=False)


def record_by_record(job: Job) -> tuple[float, float]:
    """Debezium as it comes, with a handler that takes each record and puts what it got."""
    stream = job.settings.stream

    def handler(clock: Clock, shard: Shard) -> Callable[[Any, Any], None]:
        client = plain_client(stream)

        def handle(records: Any, committer: Any) -> None:
            clock.begin()
            entries, had = [], 0
            for record in records:
                key, value = str(record.key()), str(record.value())
                if str(record.destination()).startswith(f"{shard.name}.flickr."):
                    had += 1
                entries.append({"Data": value.encode(), "PartitionKey": key[:256]})
                committer.markProcessed(record)
            put(client, stream.name, entries)
            committer.markBatchFinished()
            clock.count(shard.name, had)

        return handle

    return _raw(job, handler, untuned=True)


def _raw(
    job: Job, handler: Callable[[Clock, Shard], Callable[[Any, Any], None]], *, untuned: bool
) -> tuple[float, float]:
    """Debezium's engines with a handler of their own, from the same place as ours."""
    clock = clock_of(job)

    def run(shard: Shard) -> None:
        checked = preflight(shard, job.source)
        start_jvm(job.settings.home / "logs")
        folder = folder_of(job, shard)
        begin(hold_of(job, shard), folder, shard, checked, Nothing(), landed=ALL_LANDED)
        properties = engine_properties(shard, job.source, folder, columns=checked.columns)
        properties |= _ENGINE | dict(job.tuned)
        for name in _TUNED if untuned else ():
            properties.pop(name, None)
        ended: list[str] = []
        engine = _engine(properties, _handler(handler(clock, shard)), ended)
        thread = threading.Thread(target=engine.run, daemon=True)
        thread.start()
        while not clock.done.wait(0.1):
            if ended:
                raise RuntimeError(ended[0])
        engine.close()
        thread.join(20)

    return each_shard(job, clock, run)


def _handler(handle: Callable[[Any, Any], None]) -> Any:
    @jpype.JImplements("io/debezium/engine/DebeziumEngine$ChangeConsumer", deferred=True)
    class Handler:
        @jpype.JOverride
        def handleBatch(self, records: Any, committer: Any) -> None:
            handle(records, committer)

        @jpype.JOverride
        def supportsTombstoneEvents(self) -> bool:
            return True

    return Handler()


def _engine(properties: dict[str, str], handler: Any, ended: list[str]) -> Any:
    """Debezium's engine, with its JSON. ended: gets what it says at its end."""

    @jpype.JImplements("io/debezium/engine/DebeziumEngine$CompletionCallback", deferred=True)
    class Completion:
        @jpype.JOverride
        def handle(self, success: bool, message: Any, error: Any) -> None:
            ended.append(f"{success} {message} {error}")

    made = jpype.JClass("java.util.Properties")()
    for name, value in properties.items():
        made.setProperty(name, value)
    return (
        jpype.JClass("io.debezium.engine.DebeziumEngine")
        .create(jpype.JClass("io.debezium.engine.format.Json"))
        .using(made)
        .using(Completion())
        .notifying(handler)
        .build()
    )
