"""One shard that this worker holds: its engines run, run again, or given up.

What may pass is tried again with exponential back-off and full jitter, so that many shards do not
come back at one moment. What a new snapshot puts right starts again at once. What a person has to
put right ends that shard and leaves the others running.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from smug_platform.capture.engine import Engine
from smug_platform.capture.failures import NeedsSnapshot, SourceUnavailable
from smug_platform.capture.sink import Sink
from smug_platform.capture.status import Status
from smug_platform.capture.store import Hold, LeaseLost
from smug_platform.errors import SmugError, StateError
from smug_platform.settings import Shard

_log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_MOST_SNAPSHOTS = 5
# A run this long was a good one: the next failure is the first again.
_GOOD_SECONDS = 60.0

SinkFactory = Callable[[threading.Event], Sink]
"""Makes the sink of one run of one engine; the event ends its waiting."""
EngineFactory = Callable[[Shard, Sink, Hold, Callable[[Status], None]], Engine]


@dataclass
class Keeper:
    """Keeps one shard captured, on a thread of its own.

    make: makes an engine. failure: what gave the shard up; lost: whether another worker took it.
    """

    shard: Shard
    hold: Hold
    make: EngineFactory
    sink_factory: SinkFactory
    on_status: Callable[[Status], None]
    status: Status | None = field(default=None, init=False)
    failure: BaseException | None = field(default=None, init=False)
    lost: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._heard_at, self._passed_over = 0.0, 0
        self._thread = threading.Thread(
            target=self._run, name=f"capture-{self.shard.name}", daemon=True
        )

    @property
    def alive(self) -> bool:
        """Whether it is still at work, or at its end."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def start(self) -> None:
        """Begin to capture."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch under way; returns at once."""
        self._stop.set()

    def lose(self) -> None:
        """End, for another worker has the shard; returns at once."""
        self.lost = True
        self._stop.set()

    def _run(self) -> None:
        """Run engines one after another until told to stop, or until one can't go on."""
        failures = 0
        with suppress(StateError):  # for people alone
            before = self.hold.status()
            self._heard_at = before.heard_at if before else 0.0
            self._passed_over = before.passed_over if before else 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self.hold.check()
                self._run_once()
            except LeaseLost:
                self.lose()
            except BaseException as error:  # noqa: BLE001  raised by run_worker
                if self._stop.is_set():
                    return
                failures = 1 if time.monotonic() - began > _GOOD_SECONDS else failures + 1
                if not may_restart(error, failures):
                    self.failure = error
                    _log.error("%s: given up: %s", self.shard.name, error)
                    return
                _log.warning("%s", error)
                self._stop.wait(pause(error, failures))

    def _run_once(self) -> None:
        """One engine, which `stop` ends."""
        if self.status:
            self._passed_over = self.status.passed_over
        sink = self.sink_factory(self._stop)
        try:
            engine = self.make(self.shard, sink, self.hold, self._tell)
            ended = threading.Event()
            stopper = threading.Thread(target=self._pass_on, args=(engine, ended), daemon=True)
            stopper.start()
            try:
                engine.run()
            finally:
                ended.set()
                stopper.join()
        finally:
            sink.close()

    def _pass_on(self, engine: Engine, ended: threading.Event) -> None:
        while not ended.wait(0.1):
            if self._stop.is_set():
                engine.stop()
                return

    def _tell(self, status: Status) -> None:
        self.status = status.after(self._heard_at, passed_over=self._passed_over)
        self._heard_at = self.status.heard_at
        self.on_status(self.status)


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
