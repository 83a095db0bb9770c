"""One worker process: it holds leases of its share of the shards, and captures those.

Once a second it renews its leases, looks at those of the others, takes what is free up to its share
and hands over what is above it. All engines of the process share one JVM. Whatever this loop does
late or wrong, two workers on one shard can't both write its state: see `store`.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from smug_platform.capture.config import streamed
from smug_platform.capture.doctor import preflight
from smug_platform.capture.engine import Engine, warm_up
from smug_platform.capture.failures import Refused, SourceUnavailable
from smug_platform.capture.keeper import Keeper, SinkFactory
from smug_platform.capture.resources import open_store
from smug_platform.capture.share import Claimed, Watched, plan
from smug_platform.capture.sink import NOTHING_LANDED, Landed, Sink
from smug_platform.capture.status import Status
from smug_platform.capture.store import Hold, Lease, LeaseLost, Store
from smug_platform.errors import StateError
from smug_platform.settings import Settings, Shard
from smug_platform.tables.table import Source

_log = logging.getLogger(__name__)

_TURN_SECONDS = 1.0
_LOOK_SECONDS = 0.1
# Fargate kills 30 s after SIGTERM. Engines end sooner, unless their stream does not answer.
GRACE_SECONDS = 25.0
# A worker that stood still for so many lives of a lease is struck out.
_FORGET_LIVES = 10


def run_worker(
    settings: Settings,
    declared: Callable[[], Source],
    sink_factory: SinkFactory,
    *,
    landed: Landed = NOTHING_LANDED,
    on_status: Callable[[Status], None] = lambda _status: None,
    stop: threading.Event,
) -> None:
    """Capture this worker's share of the shards until `stop` is set, or until none can go on.

    declared: gives what is declared at that moment. A table that is declared later is read and
    then captured while the others go on, one that is declared no more is captured no more.
    on_status: called from the engines' threads, about once a second for each shard. A stop takes at
    most `GRACE_SECONDS`, and gives the leases back.

    A shard that does not answer is waited for, and keeps no other from being captured.

    Raises SmugError: at once when there are no shards, when one can't be captured as it stands
    (wrong password, a missing table) or when the stream or the store can't be reached; at the end
    when a shard was given up.
    """
    store = _check(settings, declared())
    sink_factory(stop).close()  # a stream that isn't there is told at once
    first, logs = settings.shards[0], settings.home / "logs"
    warm_up(first, declared(), folder=settings.capture_dir(first.name), logs=logs)

    def engine(shard: Shard, sink: Sink, hold: Hold, tell: Callable[[Status], None]) -> Engine:
        return Engine(
            shard,
            declared,
            sink,
            hold=hold,
            folder=settings.capture_dir(shard.name) / str(hold.lease.counter),
            logs=logs,
            landed=landed,
            on_status=tell,
        )

    worker = Worker(
        shards={shard.name: shard for shard in settings.shards},
        store=store,
        keep=lambda shard, hold: Keeper(shard, hold, engine, sink_factory, on_status),
        meant=settings.store.workers,
    )
    worker.run(stop)


def _check(settings: Settings, source: Source) -> Store:
    """The workers' store; raises what a person has to put right before anything can be captured."""
    settings.require_shards()
    store = open_store(settings)
    for shard in settings.shards:
        state = store.state(shard.name)
        try:
            checked = preflight(shard, streamed(source, state.tables if state else None))
            if state is None:
                checked.readable()
        except Refused:
            raise
        except SourceUnavailable as error:
            _log.warning("%s", error)
    return store


def worker_name() -> str:
    """A name that no other worker has or had: host, pid, and something of its own."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


@dataclass
class Worker:
    """Holds leases, and a keeper for each.

    keep: makes the keeper of a shard that was taken. meant: so many workers are to run, for which
    room is left in the beginning. grace: seconds that a stop may take; rest: from turn to turn.
    clock: of this process.
    """

    shards: dict[str, Shard]
    store: Store
    keep: Callable[[Shard, Hold], Keeper]
    meant: int = 1
    name: str = field(default_factory=worker_name)
    grace: float = GRACE_SECONDS
    rest: float = _TURN_SECONDS
    clock: Callable[[], float] = time.monotonic
    keepers: dict[str, Keeper] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._watched = Watched(self.store.seconds)
        self._forget = Watched(_FORGET_LIVES * self.store.seconds)
        self._began, self._beat = self.clock(), 0

    def run(self, stop: threading.Event) -> None:
        """Capture until `stop`, or until all that it has was given up; raises what gave it up."""
        self.store.sign(self.name, self._beat)
        try:
            while not stop.is_set() and not self._has_failed():
                try:
                    self.turn()
                except StateError as error:
                    if not error.passes:
                        raise
                    _log.warning("%s", error)
                self._rest(stop)
        finally:
            self._end()
        for keeper in self.keepers.values():
            if keeper.failure is not None:
                raise keeper.failure

    def turn(self) -> None:
        """Renew, look at the others, take and give."""
        self._settle()
        self._beat += 1
        self.store.sign(self.name, self._beat)
        now, leases = self.clock(), self.store.leases()
        claimed = [
            Claimed(shard, self._owner(shard, leases.get(shard), now)) for shard in self.shards
        ]
        meant = self.meant if now - self._began < 2 * self.store.seconds else 1
        due = plan(self.name, claimed, self._alive(now), meant=meant)
        taken = 0
        for shard in due.take:
            if taken < due.most and self._take(shard, leases.get(shard)):
                taken += 1
        if due.give and not self._is_moving(leases):
            self._give(due.give)

    def _rest(self, stop: threading.Event) -> None:
        """Until the next turn; what is handed over is given back as soon as it has ended."""
        until = time.monotonic() + self.rest
        while not stop.wait(_LOOK_SECONDS) and time.monotonic() < until:
            self._hand_over()

    def _hand_over(self) -> None:
        for shard, keeper in list(self.keepers.items()):
            if keeper.stopping and not keeper.alive and not keeper.lost:
                del self.keepers[shard]
                self._release(keeper)

    def _settle(self) -> None:
        """Renew what is held, give back what has ended, let go of what was lost."""
        self._hand_over()
        for shard, keeper in list(self.keepers.items()):
            if keeper.lost and not keeper.alive:
                _log.warning("%s was taken by another worker", shard)
                del self.keepers[shard]
            elif not keeper.lost:
                self._renew(keeper)

    def _owner(self, shard: str, lease: Lease | None, now: float) -> str | None:
        """Who has a shard; None when it is free. Our own without a keeper is from a lost answer."""
        if shard in self.keepers:
            return self.name
        if lease is None or lease.worker in (None, self.name):
            return None
        moves = self._watched.moves(f"lease {shard}", (lease.counter, lease.beat), now)
        return lease.worker if moves else None

    def _alive(self, now: float) -> list[str]:
        """The other workers that moved lately. Who stood still for long is struck out."""
        alive = []
        for name, beat in self.store.workers().items():
            if name == self.name:
                continue
            if self._watched.moves(f"worker {name}", beat, now):
                alive.append(name)
            if not self._forget.moves(name, beat, now):
                self.store.unsign(name, beat=beat)
        return alive

    def _take(self, shard: str, seen: Lease | None) -> bool:
        hold = self.store.take(shard, self.name, seen)
        if hold is None:
            return False
        from_whom = f", which {seen.worker} let lapse" if seen and seen.worker else ""
        _log.info("%s taken%s (lease %d)", shard, from_whom, hold.lease.counter)
        keeper = self.keepers[shard] = self.keep(self.shards[shard], hold)
        keeper.start()
        return True

    def _is_moving(self, leases: Mapping[str, Lease]) -> bool:
        """Whether a shard is on its way from one worker to another, and not yet captured there."""
        if any(keeper.stopping for keeper in self.keepers.values()):
            return True
        elsewhere = [s for s, lease in leases.items() if lease.worker and s not in self.keepers]
        told = [self.store.status(shard) for shard in elsewhere]
        return any(
            status is not None
            and (status.phase == "stopped" or (_can_move(status) and not status.heard))
            for status in told
        )

    def _give(self, count: int) -> None:
        """Begin to hand over. A shard that Debezium reads stays: elsewhere it would begin anew."""
        ready = [
            keeper
            for _, keeper in sorted(self.keepers.items())
            if keeper.status and _can_move(keeper.status)
        ]
        for keeper in ready[-count:]:
            _log.info("%s is handed over", keeper.shard.name)
            keeper.stop()

    def _release(self, keeper: Keeper) -> None:
        try:
            keeper.hold.release(keeper.status)
        except StateError as error:
            _log.warning("%s", error)

    def _has_failed(self) -> bool:
        """Whether all that this worker has was given up."""
        kept = self.keepers.values()
        return bool(kept) and all(keeper.failure is not None for keeper in kept)

    def _end(self) -> None:
        """Stop all engines at once and give each lease back as its engine ends; what has not ended
        in time is given back as well, for its state is fenced.
        """
        left = dict(self.keepers)
        for keeper in left.values():
            keeper.stop()
        deadline = renewed = time.monotonic()
        deadline += self.grace
        while left:
            late = time.monotonic() > deadline
            for shard in [shard for shard, keeper in left.items() if late or not keeper.alive]:
                keeper = left.pop(shard)
                if not keeper.lost:
                    self._release(keeper)
            if time.monotonic() - renewed > _TURN_SECONDS:
                renewed = time.monotonic()
                for keeper in left.values():
                    self._renew(keeper)
            time.sleep(_LOOK_SECONDS)
        try:
            self.store.unsign(self.name)
        except StateError as error:
            _log.warning("%s", error)

    def _renew(self, keeper: Keeper) -> None:
        try:
            keeper.hold.renew(keeper.status)
        except LeaseLost:
            keeper.lose()
        except StateError as error:
            _log.warning("%s", error)


def _can_move(status: Status) -> bool:
    """Whether another worker would go on where this one is."""
    return status.phase == "streaming" or status.in_pieces
