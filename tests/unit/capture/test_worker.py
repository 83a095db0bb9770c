"""What workers decide: whether a shard is tried again, and who captures which.

The store is a real one and time is given; only the engines are left out.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_platform.capture.failures import SchemaDrift, SourceUnavailable
from smug_platform.capture.items import SqliteItems
from smug_platform.capture.keeper import may_restart, pause
from smug_platform.capture.share import give_count, take_count
from smug_platform.capture.sink import StreamRestarted
from smug_platform.capture.status import Phase, Status
from smug_platform.capture.store import Hold, LeaseLost, Store
from smug_platform.capture.worker import Worker, run_worker
from smug_platform.errors import SettingsError, SourceError, StateError, StreamError
from smug_platform.settings import Shard
from smug_platform.tables.flickr import FLICKR
from tests.conftest import local_settings

GONE = SourceUnavailable("no answer", remedy="wait")
DRIFT = SchemaDrift("drifted", remedy="nothing")


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (GONE, True),
        (DRIFT, True),
        (StreamRestarted("another stream", remedy="nothing"), True),
        (SourceError("no such table", remedy="create it"), False),
        (StreamError("no such stream", remedy="create it"), False),
        (KeyError("a bug"), False),
    ],
)
def test_only_what_can_pass_is_tried_again(error: BaseException, again: bool):
    assert may_restart(error, 1) is again


def test_R05_snapshots_that_do_not_help_come_to_an_end():
    assert [may_restart(DRIFT, n) for n in (1, 5, 6)] == [True, True, False]
    assert may_restart(GONE, 1000)


def test_a_healing_snapshot_starts_at_once_and_an_absent_server_is_not_stormed():
    assert pause(DRIFT, 1) == 0
    pauses = [pause(GONE, failures) for failures in range(1, 20)]
    assert all(0 < seconds <= 30 for seconds in pauses)
    assert min(pauses[8:]) > 5


def test_O10_many_shards_do_not_come_back_at_one_moment():
    assert len({pause(GONE, 5) for _ in range(64)}) > 60


def test_no_shards_are_no_success(tmp_path: Path):
    settings = replace(local_settings(tmp_path), shards=())
    with pytest.raises(SettingsError, match="SMUG_SHARDS"):
        run_worker(
            settings, lambda: FLICKR, lambda _stop: pytest.fail("asked"), stop=threading.Event()
        )


@dataclass
class Kept:
    """A keeper without an engine: at work until it is told to stop."""

    shard: Shard
    hold: Hold
    status: Status
    failure: BaseException | None = None
    lost: bool = False
    stopping: bool = False
    alive: bool = False

    def start(self) -> None:
        self.alive = True

    def stop(self) -> None:
        self.stopping, self.alive = True, False

    def lose(self) -> None:
        self.lost = True
        self.stop()


@dataclass
class Fleet:
    """Workers over one store, which take their turns one after the other, once a second."""

    folder: Path
    shards: int
    phase: Phase = "streaming"
    now: float = 1000.0
    workers: dict[str, Worker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(SqliteItems(self.folder / "state.db"), seconds=6, clock=lambda: self.now)

    def start(self, name: str, *, meant: int = 1) -> Worker:
        names = [f"s{number}" for number in range(self.shards)]
        self.workers[name] = Worker(
            {each: Shard(each, "localhost", 1, "u", "p") for each in names},
            self.store,
            lambda shard, hold: Kept(shard, hold, Status(shard.name, self.phase, heard=True)),  # type: ignore[arg-type, return-value]
            meant,
            name,
            grace=0.0,
            rest=0.0,
            clock=lambda: self.now,
        )
        return self.workers[name]

    def end(self, name: str) -> None:
        """SIGTERM."""
        stop = threading.Event()
        stop.set()
        self.workers.pop(name).run(stop)

    def kill(self, name: str) -> Worker:
        return self.workers.pop(name)

    def turns(self, count: int) -> None:
        for _ in range(count):
            for worker in self.workers.values():
                worker.turn()
                self.check()
            self.now += 1

    def check(self) -> None:
        """No shard is at work twice."""
        at_work = Counter(
            shard
            for worker in self.workers.values()
            for shard, keeper in worker.keepers.items()
            if keeper.alive
        )
        assert max(at_work.values(), default=0) <= 1

    def counts(self) -> list[int]:
        return sorted(len(worker.keepers) for worker in self.workers.values())


def test_workers_that_come_get_their_share_and_those_that_go_leave_it(tmp_path: Path):
    fleet = Fleet(tmp_path, shards=8)
    seen = []
    for name in "abcd":
        fleet.start(name)
        fleet.turns(12)
        seen.append(fleet.counts())
    assert seen == [[8], [4, 4], [2, 3, 3], [2, 2, 2, 2]]
    fleet.end("b")
    fleet.end("c")
    assert sum(lease.worker is None for lease in fleet.store.leases().values()) == 4
    fleet.turns(2)
    assert fleet.counts() == [4, 4]
    assert fleet.store.workers().keys() == {"a", "d"}


def test_a_worker_that_dies_loses_its_shards_once_its_leases_ran_out(tmp_path: Path):
    fleet = Fleet(tmp_path, shards=8)
    fleet.start("a")
    fleet.start("b")
    fleet.turns(12)
    dead = fleet.kill("b")
    fleet.turns(5)
    assert fleet.counts() == [4]  # it may still live
    fleet.turns(3)
    assert fleet.counts() == [8]
    for keeper in dead.keepers.values():
        with pytest.raises(LeaseLost):
            keeper.hold.check()
    fleet.turns(60)
    assert fleet.store.workers().keys() == {"a"}


def test_one_that_comes_back_late_lets_go_and_gets_its_share_anew(tmp_path: Path):
    fleet = Fleet(tmp_path, shards=4)
    fleet.start("a")
    fleet.start("b")
    fleet.turns(12)
    late = fleet.kill("b")  # as SIGSTOP does
    fleet.turns(9)
    held = list(late.keepers.values())
    fleet.workers["b"] = late
    late.turn()
    assert all(keeper.lost and not keeper.alive for keeper in held)
    fleet.turns(8)
    assert fleet.counts() == [2, 2]


def test_room_is_left_for_those_that_are_meant_to_come_but_not_for_long(tmp_path: Path):
    fleet = Fleet(tmp_path, shards=8)
    fleet.start("a", meant=3)
    fleet.turns(2)
    assert fleet.counts() == [3]
    fleet.turns(12)
    assert fleet.counts() == [8]


@pytest.mark.parametrize("then", [{"phase": "streaming"}, {"in_pieces": True}])
def test_a_shard_that_debezium_reads_stays_where_it_is(tmp_path: Path, then: dict[str, Any]):
    fleet = Fleet(tmp_path, shards=4, phase="snapshot")
    fleet.start("a")
    fleet.turns(1)
    fleet.start("b")
    fleet.turns(5)
    assert fleet.counts() == [0, 4]
    for keeper in fleet.workers["a"].keepers.values():
        keeper.status = replace(keeper.status, **then)  # type: ignore[type-var]
    fleet.turns(8)
    assert fleet.counts() == [2, 2]


def test_a_shard_that_takes_long_to_end_is_kept_until_it_has(tmp_path: Path):
    fleet = Fleet(tmp_path, shards=2)
    worker = fleet.start("a")
    fleet.turns(1)
    slow = worker.keepers["s1"]
    fleet.start("b")
    slow.stop = lambda: setattr(slow, "stopping", True)  # type: ignore[method-assign]
    fleet.turns(12)
    assert slow.stopping
    assert fleet.counts() == [0, 2]
    slow.alive = False  # type: ignore[misc]
    fleet.turns(3)
    assert fleet.counts() == [1, 1]


def test_a_shard_that_was_given_up_stays_and_says_why(tmp_path: Path):
    """Handed on it would fail at every worker in turn."""
    fleet = Fleet(tmp_path, shards=2)
    worker = fleet.start("a")
    fleet.turns(1)
    keeper = worker.keepers["s0"]
    keeper.failure, keeper.alive = SourceError("no grants", remedy="grant"), False  # type: ignore[misc]
    keeper.status = Status("s0", "failed", note="no grants")
    fleet.turns(9)
    assert fleet.store.leases()["s0"].worker == "a"
    told = fleet.store.status("s0")
    assert told is not None
    assert (told.phase, told.note) == ("failed", "no grants")
    worker.keepers["s1"].failure = SourceError("no grants either", remedy="grant")
    with pytest.raises(SourceError, match="no grants"):
        worker.run(threading.Event())
    assert [lease.worker for lease in fleet.store.leases().values()] == [None, None]


def test_a_lease_of_which_the_answer_was_lost_is_taken_again(tmp_path: Path):
    fleet = Fleet(tmp_path, shards=1)
    fleet.store.take("s0", "a", None)
    fleet.start("a")
    fleet.turns(1)
    assert fleet.workers["a"].keepers["s0"].hold.lease.counter == 2


def test_a_store_that_is_away_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fleet, stop, away = Fleet(tmp_path, shards=1), threading.Event(), []
    worker = fleet.start("a")
    whole = worker.turn

    def turn() -> None:
        away.append(1)
        if len(away) < 3:
            raise StateError("throttled", remedy="wait", passes=True)
        whole()
        stop.set()

    monkeypatch.setattr(worker, "turn", turn)
    monkeypatch.setattr(stop, "wait", lambda _seconds: False)
    worker.run(stop)
    assert len(away) == 3
    assert fleet.store.leases()["s0"].counter == 1


EVENTS = st.lists(st.tuples(st.sampled_from(["start", "end", "kill"]), st.integers(0, 4)))


@settings(max_examples=8)
@given(shards=st.integers(1, 9), events=EVENTS)
def test_whoever_comes_and_goes_every_shard_has_one_worker_and_each_its_share(
    tmp_path_factory: pytest.TempPathFactory, shards: int, events: list[tuple[str, int]]
):
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), shards)
    for number, (event, which) in enumerate(events):
        if event == "start" and len(fleet.workers) < 5:
            fleet.start(f"w{number}")
        elif event == "end" and fleet.workers:
            fleet.end(list(fleet.workers)[which % len(fleet.workers)])
        elif fleet.workers:
            fleet.kill(list(fleet.workers)[which % len(fleet.workers)])
        fleet.turns(which)
    fleet.start("last")
    fleet.turns(30)
    counts = fleet.counts()
    assert sum(counts) == shards
    assert max(counts) - min(counts) <= 1


@given(st.integers(1, 40), st.lists(st.integers(0, 12), max_size=6))
def test_nobody_takes_above_or_gives_below_the_share(shards: int, counts: list[int]):
    others = {f"w{number}": count for number, count in enumerate(counts)}
    workers = len(others) + 1
    for mine in range(shards + 1):
        assert mine + take_count(mine, others, shards=shards) <= max(mine, -(-shards // workers))
        give = give_count("m", mine, others, shards=shards)
        assert give == 0 or mine - give >= shards // workers
