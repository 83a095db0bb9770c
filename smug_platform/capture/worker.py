"""All shards of one process: their engines run, run again, or given up.

What may pass is tried again with exponential back-off and full jitter, so that many shards do not
come back at one moment. What a new snapshot puts right starts again at once. What a person has to
put right ends that shard and leaves the others running; it is raised when they have ended.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from smug_platform.capture.engine import Engine
from smug_platform.capture.failures import NeedsSnapshot, SourceUnavailable
from smug_platform.capture.server import preflight
from smug_platform.capture.sink import NOTHING_LANDED, Landed, Sink
from smug_platform.capture.status import Status
from smug_platform.errors import SmugError
from smug_platform.settings import Settings, Shard
from smug_platform.tables.table import Source

_log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_MOST_SNAPSHOTS = 5
# A run this long was a good one: the next failure is the first again.
_GOOD_SECONDS = 60.0

SinkFactory = Callable[[threading.Event], Sink]
"""Makes the sink of one run of one engine; the event ends its waiting."""


def run_worker(
    settings: Settings,
    source: Source,
    sink_factory: SinkFactory,
    *,
    landed: Landed = NOTHING_LANDED,
    on_status: Callable[[Status], None] = lambda _status: None,
    stop: threading.Event,
) -> None:
    """Capture all shards until `stop` is set, or until none of them can go on.

    on_status: called from the engines' threads, about once a second for each shard.

    A shard that does not answer is waited for, and keeps no other from being captured.

    Raises SmugError: at once when there are no shards, when one can't be captured as it stands
    (wrong password, a missing table) or when the stream can't be reached; at the end when a shard
    was given up.
    """
    _check(settings, source)
    sink_factory(stop).close()  # a stream that isn't there is told at once
    keepers = [
        _Keeper(
            shard,
            lambda sink, shard=shard: Engine(  # type: ignore[misc]
                shard,
                source,
                sink,
                folder=settings.capture_dir(shard.name),
                logs=settings.home / "logs",
                landed=landed,
                on_status=on_status,
            ),
            sink_factory,
            stop,
        )
        for shard in settings.shards
    ]
    threads = [
        threading.Thread(target=keeper.run, name=f"capture-{keeper.shard.name}", daemon=True)
        for keeper in keepers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)  # with a limit, so that ctrl-C is seen
    for keeper in keepers:
        if keeper.failure is not None:
            raise keeper.failure


def _check(settings: Settings, source: Source) -> None:
    """Raise what a person has to put right before anything can be captured."""
    settings.require_shards()
    for shard in settings.shards:
        try:
            preflight(shard, source)
        except SourceUnavailable as error:
            _log.warning("%s", error)


@dataclass
class _Keeper:
    """Keeps one shard captured."""

    shard: Shard
    make: Callable[[Sink], Engine]
    sink_factory: SinkFactory
    stop: threading.Event
    failure: BaseException | None = field(default=None, init=False)

    def run(self) -> None:
        """Run engines one after another until told to stop, or until one can't go on."""
        failures = 0
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self._run_once()
            except BaseException as error:  # noqa: BLE001  raised by run_worker
                if self.stop.is_set():
                    return
                failures = 1 if time.monotonic() - began > _GOOD_SECONDS else failures + 1
                if not may_restart(error, failures):
                    self.failure = error
                    _log.error("%s: given up: %s", self.shard.name, error)
                    return
                _log.warning("%s", error)
                self.stop.wait(pause(error, failures))

    def _run_once(self) -> None:
        """One engine, which `stop` ends."""
        sink = self.sink_factory(self.stop)
        engine = self.make(sink)
        ended = threading.Event()
        stopper = threading.Thread(target=self._pass_on, args=(engine, ended), daemon=True)
        stopper.start()
        try:
            engine.run()
        finally:
            ended.set()
            stopper.join()
            sink.close()

    def _pass_on(self, engine: Engine, ended: threading.Event) -> None:
        while not ended.wait(0.1):
            if self.stop.is_set():
                engine.stop()
                return


def may_restart(error: BaseException, failures: int) -> bool:
    """Whether the same shard can be captured again without a person.

    failures: in a row, this one included. What a new snapshot did not put right in so many tries
    it never will.

    >>> gone = SourceUnavailable("no answer", remedy="wait")
    >>> may_restart(gone, 99), may_restart(KeyError(), 1)
    (True, False)
    """
    if isinstance(error, NeedsSnapshot):
        return failures <= _MOST_SNAPSHOTS
    return isinstance(error, SmugError) and error.passes


def pause(error: BaseException, failures: int) -> float:
    """Seconds to wait before the next try; failures: in a row, this one included."""
    if failures <= 1 and not isinstance(error, SourceUnavailable):
        return 0.0
    longest = min(_FIRST_PAUSE * 2 ** min(failures, 16), _LONGEST_PAUSE)
    return random.uniform(longest / 4, longest)
