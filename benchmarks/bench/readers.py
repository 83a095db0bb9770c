"""Four ways from a binlog: the engine alone, ours, what one would write first, and pure Python.

Each is called in a fresh process, begins where the state in its home says (or with a snapshot), and
ends when it has had so many changes of each shard. Times run from the first batch to the last, so
the start of a virtual machine is not counted. All shards are read in the one process, as by a
worker.
"""

# mypy: disable-error-code="untyped-decorator"

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jpype
import psutil
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import UpdateRowsEvent

from bench.sources import source_of
from smug_platform.capture.begin import begin
from smug_platform.capture.change import Change
from smug_platform.capture.config import engine_properties
from smug_platform.capture.consumer import Completion
from smug_platform.capture.doctor import preflight
from smug_platform.capture.engine import Engine, build
from smug_platform.capture.jvm import start_jvm
from smug_platform.capture.resources import open_store
from smug_platform.capture.sink import Published
from smug_platform.capture.store import Hold
from smug_platform.settings import Settings, Shard
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.tables.table import Source

_PATIENCE = 900.0
_REQUEST = 500
_TUNED = (
    "max.batch.size", "max.queue.size", "max.queue.size.in.bytes", "poll.interval.ms",
    "record.processing.threads",
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What one run reads. changes: of each shard; its home has the state."""

    settings: Settings
    shape: str
    changes: int
    tuned: tuple[tuple[str, str], ...] = ()

    @property
    def source(self) -> Source:
        return source_of(self.shape)


@dataclass
class Clock:
    """From the first batch to the last, of all shards. cpu: seconds of this process."""

    left: dict[str, int]
    first: float = 0.0
    last: float = 0.0
    cpu: float = 0.0
    begun: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        with self._lock:
            if not self.first:
                self.first, self.begun = time.monotonic(), _cpu()

    def count(self, shard: str, changes: int) -> None:
        with self._lock:
            self.left[shard] -= changes
            if all(left <= 0 for left in self.left.values()):
                self.last, self.cpu = self.last or time.monotonic(), self.cpu or _cpu() - self.begun
                self.done.set()

    def result(self) -> tuple[float, float]:
        """Seconds, and those of the cores, once all is read."""
        if not self.done.wait(_PATIENCE):
            raise TimeoutError(f"left: {self.left}")
        if self.failure:
            raise self.failure
        return self.last - self.first, self.cpu


def _cpu() -> float:
    return sum(psutil.Process().cpu_times()[:2])


def ours(job: Job) -> tuple[float, float]:
    """Engine, publisher and producer, as a worker runs them."""
    return _ours(job, _clock(job))


def settle(job: Job) -> None:
    """Capture the rows that there are, and remember a place after them."""
    clock, store = _clock(job), open_store(job.settings)

    def look() -> None:
        while not clock.done.wait(0.2):
            states = [store.state(shard.name) for shard in job.settings.shards]
            if all(state and not state.in_snapshot for state in states):
                clock.done.set()

    clock.left = dict.fromkeys(clock.left, sys.maxsize)
    threading.Thread(target=look, daemon=True).start()
    _ours(job, clock)


def _ours(job: Job, clock: Clock) -> tuple[float, float]:

    class Counting(Producer):
        def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
            clock.begin()
            super().publish(shard, epoch, changes)
            clock.count(shard, sum(change.topic != shard for change in changes))

    def run(shard: Shard) -> None:
        stream = job.settings.stream
        sink = Counting(kinesis_client(stream), stream.name, Claims(job.settings.claims))
        engine = Engine(
            shard,
            job.source,
            sink,
            hold=_hold(job, shard),
            folder=_folder(job, shard),
            logs=job.settings.home / "logs",
            landed=_ALL_LANDED,
        )
        stopper = threading.Thread(target=lambda: (clock.done.wait(), engine.stop()))
        stopper.start()
        engine.run()
        sink.close()

    return _each(job, clock, run)


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
        client = kinesis_client(stream)

        def handle(records: Any, committer: Any) -> None:
            clock.begin()
            entries, had = [], 0
            for record in records:
                key, value = str(record.key()), str(record.value())
                if str(record.destination()).startswith(f"{shard.name}.flickr."):
                    had += 1
                entries.append({"Data": value.encode(), "PartitionKey": key[:256]})
                committer.markProcessed(record)
            _put(client, stream.name, entries)
            committer.markBatchFinished()
            clock.count(shard.name, had)

        return handle

    return _raw(job, handler, untuned=True)


def pure_python(job: Job) -> tuple[float, float]:
    """The `mysql-replication` package, its rows as JSON, put 500 at a time."""
    clock, stream = _clock(job), job.settings.stream

    def run(shard: Shard) -> None:
        state = open_store(job.settings).state(shard.name)
        assert state is not None
        assert state.log is not None
        client = kinesis_client(stream)
        reader = BinLogStreamReader(
            connection_settings={
                "host": shard.host, "port": shard.port, "user": shard.user,
                "passwd": shard.password,
            },
            server_id=900 + shard.port % 100,
            log_file=state.log[0],
            log_pos=state.log[1],
            resume_stream=True,
            only_events=[UpdateRowsEvent],
            only_tables=[job.source.tables[0].name],
        )  # fmt: skip
        for event in reader:
            clock.begin()
            entries = [
                {
                    "Data": json.dumps(
                        {
                            "before": row["before_values"],
                            "after": row["after_values"],
                            "file": reader.log_file,
                            "pos": reader.log_pos,
                        },
                        default=str,
                    ).encode(),
                    "PartitionKey": str(row["after_values"]["id"]),
                }
                for row in event.rows
            ]
            _put(client, stream.name, entries)
            clock.count(shard.name, len(entries))
            if clock.left[shard.name] <= 0:
                break
        reader.close()

    return _each(job, clock, run)


def _put(client: Any, stream: str, entries: list[dict[str, Any]]) -> None:
    for first in range(0, len(entries), _REQUEST):
        client.put_records(StreamName=stream, Records=entries[first : first + _REQUEST])


def _raw(
    job: Job, handler: Callable[[Clock, Shard], Callable[[Any, Any], None]], *, untuned: bool
) -> tuple[float, float]:
    """Debezium's engines with a handler of their own, from the same place as ours."""
    clock = _clock(job)

    def run(shard: Shard) -> None:
        columns = preflight(shard, job.source)
        start_jvm(job.settings.home / "logs")
        folder = _folder(job, shard)
        begin(_hold(job, shard), folder, shard, job.source, _Nothing(), landed=_ALL_LANDED)
        properties = engine_properties(shard, job.source, folder, columns=columns) | dict(job.tuned)
        for name in _TUNED if untuned else ():
            properties.pop(name, None)
        completion = Completion()
        engine = build(properties, _handler(handler(clock, shard)), completion)
        thread = threading.Thread(target=engine.run, daemon=True)
        thread.start()
        while not clock.done.wait(0.1):
            if completion.done.is_set():
                raise RuntimeError(completion.message)
        engine.close()
        thread.join(20)

    return _each(job, clock, run)


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


class _Nothing:
    """A sink that is asked for its name alone, which is that of the stream before."""

    incarnation = "bench"

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        raise NotImplementedError

    def tips(self, shard: str) -> dict[str, str]:
        del shard
        return {}

    def close(self) -> None:
        pass


class _AllLanded:
    """So that a stream that is not the one before is no reason for a snapshot."""

    def covers(self, shard: str, published: Published) -> bool:
        del shard, published
        return True

    def epoch(self, shard: str) -> int:
        del shard
        return 0


_ALL_LANDED = _AllLanded()


def _clock(job: Job) -> Clock:
    return Clock({shard.name: job.changes for shard in job.settings.shards})


def _hold(job: Job, shard: Shard) -> Hold:
    store = open_store(job.settings)
    store.seconds = _PATIENCE
    hold = store.take(shard.name, "bench", store.leases().get(shard.name))
    assert hold is not None
    return hold


def _folder(job: Job, shard: Shard) -> Path:
    return job.settings.capture_dir(shard.name) / "9"


def _each(job: Job, clock: Clock, run: Callable[[Shard], None]) -> tuple[float, float]:
    """One thread a shard, as a worker has."""

    def guarded(shard: Shard) -> None:
        try:
            run(shard)
        except BaseException as error:  # noqa: BLE001  raised by `result`
            clock.failure = clock.failure or error
            clock.done.set()

    threads = [
        threading.Thread(target=guarded, args=(shard,), daemon=True)
        for shard in job.settings.shards
    ]
    for thread in threads:
        thread.start()
    result = clock.result()
    for thread in threads:
        thread.join(30)
    return result
