"""One run of a reader of binlogs: what it reads, its clock, and the state from which it begins."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import psutil

from bench.sources import source_of
from smug_platform.capture.change import Change
from smug_platform.capture.resources import open_store
from smug_platform.capture.sink import AtOnce, Published
from smug_platform.capture.store import Hold
from smug_platform.settings import Settings, Shard, StreamSettings
from smug_platform.tables.table import Source

_PATIENCE = 900.0
_REQUEST = 500


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


class Nothing(AtOnce):
    """A sink that is asked for its name alone, which is that of the stream before."""

    incarnation = "bench"

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        raise NotImplementedError

    def tips(self, shard: str) -> dict[str, str]:
        del shard
        return {}

    def heat(self) -> None:
        """Nothing is measured."""

    def close(self) -> None:
        pass


class AllLanded:
    """So that a stream that is not the one before is no reason for a snapshot."""

    def covers(self, shard: str, published: Published) -> bool:
        del shard, published
        return True

    def epoch(self, shard: str) -> int:
        del shard
        return 0


ALL_LANDED = AllLanded()


def clock_of(job: Job) -> Clock:
    return Clock({shard.name: job.changes for shard in job.settings.shards})


def hold_of(job: Job, shard: Shard) -> Hold:
    store = open_store(job.settings)
    store.seconds = _PATIENCE
    hold = store.take(shard.name, "bench", store.leases().get(shard.name))
    assert hold is not None
    return hold


def folder_of(job: Job, shard: Shard) -> Path:
    return job.settings.capture_dir(shard.name) / "9"


def each_shard(job: Job, clock: Clock, run: Callable[[Shard], None]) -> tuple[float, float]:
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


def plain_client(stream: StreamSettings) -> Any:
    """boto3's own, as one would write it first."""
    return boto3.client(
        "kinesis",
        region_name=stream.region,
        endpoint_url=stream.endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def put(client: Any, stream: str, entries: list[dict[str, Any]]) -> None:
    for first in range(0, len(entries), _REQUEST):
        client.put_records(StreamName=stream, Records=entries[first : first + _REQUEST])
