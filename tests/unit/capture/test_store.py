"""Leases, state and schema history: one suite, over SQLite and DynamoDB (moto, on loopback)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from smug_platform.capture.dynamo import DynamoItems, dynamo_client
from smug_platform.capture.history import History
from smug_platform.capture.items import Items, SqliteItems
from smug_platform.capture.position import Position
from smug_platform.capture.state import State
from smug_platform.capture.status import Status
from smug_platform.capture.store import Hold, LeaseLost, Store
from smug_platform.errors import StateError
from smug_platform.settings_capture import StoreSettings
from tests.conftest import free_port

STATE = State(1, 7, None, "stream", ("f.t",), '{"file":"b.000001","pos":4}', Position(1, 1, 4))


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["sqlite", "dynamodb"])
def items(request: pytest.FixtureRequest, tmp_path: Path) -> Items:
    if request.param == "sqlite":
        return SqliteItems(tmp_path / "capture" / "state.db")
    settings = StoreSettings(endpoint=request.getfixturevalue("dynamodb"))
    made = DynamoItems(dynamo_client(settings), tmp_path.name)
    made.prepare()
    made.prepare()  # a second time does no harm
    return made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(items: Items, clock: Clock) -> Store:
    return Store(items, seconds=6, clock=clock)


def take(store: Store, worker: str = "a", shard: str = "s0") -> Hold:
    hold = store.take(shard, worker, store.leases().get(shard))
    assert hold is not None
    return hold


def test_an_item_is_changed_only_where_it_is_as_expected(items: Items):
    assert items.get("g", "n") == {}
    assert items.group("g") == {}
    assert items.update("g", "n", {"a": 1, "b": "x", "c": b"\0\xff"}, expect={"a": None})
    assert not items.update("g", "n", {"a": 2}, expect={"a": None})
    assert not items.update("g", "n", {"a": 2}, expect={"a": 1, "b": "y"})
    assert items.get("g", "n") == {"a": 1, "b": "x", "c": b"\0\xff"}
    assert items.update("g", "n", {"a": 2, "b": None}, expect={"a": 1, "b": "x"})
    assert items.update("g", "m", {"a": 3}, expect={})
    assert items.group("g") == {"n": {"a": 2, "c": b"\0\xff"}, "m": {"a": 3}}
    assert items.group("other") == {}
    assert not items.remove("g", "n", expect={"a": 1})
    assert items.remove("g", "n", expect={"a": 2, "b": None})
    assert list(items.group("g")) == ["m"]


def test_of_many_that_reach_for_a_lease_one_gets_it(store: Store):
    seen = store.leases().get("s0")
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda name: store.take("s0", name, seen), "abcdefgh"))
    winners = [hold.lease.worker for hold in got if hold is not None]
    assert len(winners) == 1
    lease = store.leases()["s0"]
    assert (lease.worker, lease.counter) == (winners[0], 1)


def test_the_counter_rises_with_each_taking_and_stays_when_nobody_has_it(store: Store):
    first = take(store)
    first.renew()
    first.release(Status("s0", "stopped", note="n"))
    assert [(x.worker, x.counter) for x in store.leases().values()] == [(None, 1)]
    assert take(store, "b").lease.counter == 2
    told = store.status("s0")
    assert told is not None
    assert (told.phase, told.note) == ("stopped", "n")


def test_a_lease_that_moved_since_it_was_seen_is_not_taken(store: Store):
    hold = take(store)
    seen = store.leases()["s0"]
    hold.renew()
    assert store.take("s0", "b", seen) is None
    hold.save(STATE)
    assert store.state("s0") == STATE


def test_one_that_comes_back_late_writes_nothing(store: Store, clock: Clock):
    """Its clock says that it still has the lease: the counter alone decides."""
    late = take(store, "late")
    late.save(STATE)
    heir = take(store, "heir")
    names = late.add_history((), b"{}\n")
    late.check()
    for write in (
        lambda: late.save(replace(STATE, epoch=9)),
        lambda: late.save(replace(STATE, history=names)),
        late.renew,
        late.release,
    ):
        with pytest.raises(LeaseLost, match="s0 was taken by another worker"):
            write()
    assert store.state("s0") == STATE
    lease = store.leases()["s0"]
    assert (lease.worker, lease.counter) == ("heir", 2)
    heir.save(replace(STATE, epoch=2))
    with pytest.raises(LeaseLost):
        late.check()
    clock.now += 5.9
    heir.check()


def test_a_holder_stops_by_its_own_clock_before_others_may_take_the_lease(
    store: Store, clock: Clock
):
    hold = take(store)
    clock.now += 5.9
    hold.check()
    hold.renew()
    clock.now += 5.9
    hold.check()
    clock.now += 0.2
    with pytest.raises(LeaseLost):
        hold.check()
    hold.renew()  # nobody has taken it
    hold.check()


def test_the_fence_stands_before_the_heir_reads(store: Store, items: Items):
    """Between lease and fence the old worker may still write, and the heir reads what it wrote."""
    late = take(store, "late")
    items.update("leases", "s0", {"counter": 2, "worker": "heir", "beat": 0}, expect={})
    late.save(STATE)
    assert store.take("s0", "third", store.leases()["s0"]) is not None
    with pytest.raises(LeaseLost):
        late.save(replace(STATE, epoch=5))
    assert store.state("s0") == STATE


def test_schema_history_is_kept_with_the_state_that_needs_it(store: Store, tmp_path: Path):
    hold, path = take(store), tmp_path / "history"
    history = History(hold, path)
    assert history.keep() == ()
    path.write_bytes(b'{"a":1}\n{"b":')
    names = history.keep()
    assert (len(names), history.keep()) == (1, names)  # L11: half a line waits for its end
    with path.open("ab") as file:
        file.write(b"2}\n")
    hold.save(replace(STATE, history=history.keep()))
    with path.open("ab") as file:
        file.write(b'{"c":3}\n')
    history.keep()  # killed before the offset that needs it was kept

    heir = take(store, "heir")
    state = heir.state()
    assert state is not None
    found = History(heir, tmp_path / "other", state.history)
    assert found.restore()
    assert (tmp_path / "other").read_bytes() == b'{"a":1}\n{"b":2}\n'
    with (tmp_path / "other").open("ab") as file:
        file.write(b'{"d":4}\n')
    heir.save(replace(STATE, history=found.keep()))
    hold.add_history(state.history, b"late\n")
    hold.forget_history(state.history)  # of one that comes back late
    assert take(store, "third").history(found.names) == b'{"a":1}\n{"b":2}\n{"d":4}\n'


def test_a_large_history_comes_back_whole_and_what_is_not_named_goes(
    store: Store, items: Items, tmp_path: Path
):
    hold, path = take(store), tmp_path / "history"
    text = b"".join(b'{"n":"%d"}\n' % (n * 0x9E3779B97F4A7C15 % (1 << 64)) for n in range(60_000))
    path.write_bytes(text)
    names = History(hold, path).keep()
    assert len(names) > 1
    hold.add_history(names, b"{}\n")
    hold.save(replace(STATE, history=names))
    hold.forget_history(names)
    assert {name for name in items.group("s0") if name != "state"} == set(names)
    assert take(store, "b").history(names) == text


@pytest.mark.parametrize("left", [0, 1])
def test_L11_a_history_that_is_gone_is_told(store: Store, items: Items, tmp_path: Path, left: int):
    hold = take(store)
    names = hold.add_history(hold.add_history((), b"{}\n"), b"{}\n")
    items.remove("s0", names[left], expect={})
    assert not History(hold, tmp_path / "history", names).restore()
    assert not History(hold, tmp_path / "history").restore()


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"epoch": 1}'])
def test_R03_a_damaged_state_is_an_error_and_no_silent_snapshot(
    store: Store, items: Items, text: str
):
    assert store.state("s0") is None
    hold = take(store)
    assert hold.state() is None
    hold.save(STATE)
    items.update("s0", "state", {"state": text}, expect={})
    with pytest.raises(StateError, match="restore it, or remove it"):
        hold.state()


def test_workers_sign_and_are_struck_out(store: Store):
    store.sign("a", 1)
    store.sign("a", 2)
    store.sign("b", 1)
    assert store.workers() == {"a": 2, "b": 1}
    store.unsign("a", beat=1)
    store.unsign("b")
    assert store.workers() == {"a": 2}


def test_a_file_that_is_no_database_is_told(tmp_path: Path):
    (tmp_path / "state.db").write_text("no database, and long enough to be looked at " * 20)
    with pytest.raises(StateError, match="remove it to capture all shards") as told:
        Store(SqliteItems(tmp_path / "state.db"), seconds=6).leases()
    assert not told.value.passes


def test_a_table_that_is_not_there_is_told(dynamodb: str):
    client = dynamo_client(StoreSettings(endpoint=dynamodb))
    with pytest.raises(StateError, match="smug capture --prepare") as told:
        Store(DynamoItems(client, "absent"), seconds=6).leases()
    assert not told.value.passes


def test_an_endpoint_that_is_away_may_come_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = dynamo_client(StoreSettings(endpoint=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(StateError) as told:
        Store(DynamoItems(client, "t"), seconds=6).sign("a", 1)
    assert told.value.passes


def test_a_table_that_is_asked_for_again_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    store = Store(SqliteItems(tmp_path / "state.db"), seconds=6)
    for table in ("photos", "albums"):
        store.ask("shard_0", table)
    asked = store.asked("shard_0")
    assert list(asked) == ["photos", "albums"]
    assert store.asked("shard_1") == {}
    store.ask("shard_0", "photos")
    for table, at in asked.items():
        store.answer("shard_0", table, at)
    assert list(store.asked("shard_0")) == ["photos"]


def test_K07_each_condition_is_a_request_of_its_own(tmp_path: Path) -> None:
    store = Store(SqliteItems(tmp_path / "state.db"), seconds=6)
    for where in ("id < 5", "v = 'a/b'", "id < 5"):
        store.ask("shard_0", "photos", where)
    first, second = store.filtered("shard_0")
    assert [one.where for one in (first, second)] == ["v = 'a/b'", "id < 5"]
    assert {one.table for one in (first, second)} == {"photos"}
    assert store.asked("shard_0") == {}
    assert store.filtered("shard_1") == []
    store.answer("shard_0", "photos", first.at, second.where)
    store.answer("shard_0", "photos", first.at)
    assert store.filtered("shard_0") == [first, second]
    store.answer("shard_0", "photos", first.at, first.where)
    assert store.filtered("shard_0") == [second]
