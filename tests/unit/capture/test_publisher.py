"""Where the stream stops for a table that is read anew, and what is remembered then."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from smug_platform.capture.change import Change
from smug_platform.capture.consumer import Batch
from smug_platform.capture.history import History
from smug_platform.capture.items import SqliteItems
from smug_platform.capture.position import Position
from smug_platform.capture.publisher import Publisher
from smug_platform.capture.state import State, Unread
from smug_platform.capture.status import Meter
from smug_platform.capture.store import Hold, LeaseLost, Store
from smug_platform.capture.walk import is_being_sent, is_sent
from tests.pipeline.capturing import Kept, position


def _change(offset: int, key: int = 1) -> Change:
    source = {"file": "b.000002", "pos": offset, "row": 0, "ts_ms": 0}
    return Change("shard_0.f.t", b'{"id":%d}' % key, json.dumps({"source": source}).encode())


def _batch(*offsets: int, after: int) -> Batch:
    return Batch([_change(one) for one in offsets], json.dumps({"file": "b.000002", "pos": after}))


@contextmanager
def _publishing(
    tmp_path: Path, kept: Kept | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[tuple[Publisher, Kept, Hold]]:
    store = Store(SqliteItems(tmp_path / "state.db"), seconds=60, clock=clock)
    hold = store.take("shard_0", "a test", None)
    assert hold is not None
    state = State(1, 7, None, "first", ("f.t",), '{"file":"b.000002","pos":4}', Position(1, 2, 4))
    kept, meter = kept or Kept(), Meter("shard_0")
    publisher = Publisher(hold, kept, state, meter, history=History(hold, tmp_path / "history"))
    try:
        yield publisher, kept, hold
    finally:
        publisher.close(5)


def _await(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.001)


def _places(kept: Kept) -> list[int]:
    return [position(*one).offset for one in kept.changes]


def test_what_is_past_the_place_waits_until_the_rows_are_published(tmp_path: Path) -> None:
    with _publishing(tmp_path) as (publisher, kept, hold):
        publisher.stop_before((2, 100))
        publisher.start()
        publisher.offer_rows([_change(100)])
        publisher.offer(_batch(10, 20, after=20))
        publisher.offer(_batch(30, 110, 120, after=120))
        publisher.offer(_batch(130, after=130))
        _await(lambda: publisher.is_idle)
        assert publisher.has_stopped.is_set()
        assert _places(kept) == [10, 20, 30, 100]
        state = hold.state()
        assert state is not None
        assert state.log == ("b.000002", 20)  # so that 30 comes twice, and 110 does not get lost
        assert state.position == Position(1, 2, 20)
        assert state.sequences == {"shardId-0": "4"}
        publisher.go_on()
        _await(lambda: len(kept.changes) == 7)
    assert _places(kept) == [10, 20, 30, 100, 110, 120, 130]
    assert publisher.state.log == ("b.000002", 130)


def test_a_source_without_changes_reaches_the_place_too(tmp_path: Path) -> None:
    with _publishing(tmp_path) as (publisher, kept, _):
        publisher.stop_before((2, 100))
        publisher.start()
        publisher.offer_rows([_change(100)])
        publisher.offer(_batch(after=100))
        _await(lambda: publisher.is_idle)
    assert _places(kept) == [100]
    assert publisher.state.log == ("b.000002", 100)


def test_an_offset_past_the_place_waits_too(tmp_path: Path) -> None:
    """Changes of a table that is not streamed yet may lie between: the next run takes them."""
    with _publishing(tmp_path) as (publisher, kept, hold):
        publisher.stop_before((2, 100))
        publisher.start()
        publisher.offer_rows([_change(100)])
        publisher.offer(_batch(10, after=150))
        _await(lambda: publisher.is_idle)
        assert _places(kept) == [10, 100]
        state = hold.state()
        assert state is not None
        assert state.log == ("b.000002", 4)
        publisher.go_on()
        _await(lambda: publisher.reached == (2, 150))
    assert _places(kept) == [10, 100]


def test_what_was_held_at_one_place_goes_on_to_the_next(tmp_path: Path) -> None:
    with _publishing(tmp_path) as (publisher, kept, _):
        publisher.stop_before((2, 100))
        publisher.start()
        publisher.offer(_batch(10, 110, 210, after=210))
        _await(publisher.has_stopped.is_set)
        publisher.stop_before((2, 200))
        publisher.offer_rows([_change(200)])
        _await(lambda: publisher.is_idle)
        assert _places(kept) == [10, 110, 200]
        publisher.go_on()
        _await(lambda: publisher.reached == (2, 210))
    assert _places(kept) == [10, 110, 200, 210]


def test_before_the_place_the_stream_goes_on_and_the_rows_wait(tmp_path: Path) -> None:
    with _publishing(tmp_path) as (publisher, kept, _):
        publisher.stop_before((2, 100))
        publisher.start()
        publisher.offer_rows([_change(100)])
        publisher.offer(_batch(10, after=99))
        _await(lambda: publisher.reached == (2, 99))
    assert _places(kept) == [10]
    assert not publisher.has_stopped.is_set()


def test_the_stream_can_be_stopped_where_it_is_and_then_at_a_place(tmp_path: Path) -> None:
    with _publishing(tmp_path) as (publisher, kept, _):
        publisher.stop_before()
        publisher.start()
        publisher.offer(_batch(10, after=10))
        _await(publisher.has_stopped.is_set)
        assert _places(kept) == []
        publisher.stop_before((2, 50))
        publisher.offer_rows([_change(50)])
        publisher.offer(_batch(60, after=60))
        _await(lambda: publisher.is_idle)
        publisher.remember(lambda state: replace(state, unread=(Unread("t"),)))
        publisher.go_on()
        _await(lambda: publisher.reached == (2, 60))
    assert _places(kept) == [10, 50, 60]
    assert publisher.state.unread == (Unread("t"),)


@dataclass
class Late(Kept):
    """A sink of which so many of the last calls are not durable yet, until all has to be."""

    late: int = 0
    asked: int = 0

    def unsent(self, shard: str) -> int:
        del shard
        self.asked += 1
        return self.late

    def offer(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        self.late += 1
        super().publish(shard, epoch, changes)

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        super().publish(shard, epoch, changes)
        self.late = 0


def test_a_batch_is_remembered_when_it_and_those_before_it_are_durable(tmp_path: Path) -> None:
    kept = Late()
    with _publishing(tmp_path, kept) as (publisher, _, hold):

        def remembered() -> int:
            state = hold.state()
            return state.place[1] if state else -1

        publisher.start()
        for at in (10, 20):
            publisher.offer(_batch(at, after=at))
        publisher.offer(_batch(after=25))  # a heartbeat stands behind them
        _await(lambda: len(kept.changes) == 2)
        assert (remembered(), publisher.busy) == (-1, True)
        kept.late = 1
        _await(lambda: remembered() == 10)
        kept.late = 0
        _await(lambda: remembered() == 25)
        assert not publisher.busy
        publisher.offer(_batch(30, after=30))
        publisher.stop_before((2, 100))
        publisher.offer(_batch(40, 120, after=120))
        publisher.offer_rows([_change(100)])
        _await(lambda: publisher.is_behind)
        kept.late = 0
        _await(lambda: publisher.is_idle)
        assert (remembered(), _places(kept)) == (30, [10, 20, 30, 40, 100])
        state = hold.state()
        assert state is not None
        assert state.position == Position(1, 2, 30)


@pytest.mark.parametrize("place", [(0, 0), (2, 100)])
def test_where_it_is_to_stop_while_a_lane_waits_it_has_not_stopped_and_can_go_on(
    tmp_path: Path, place: tuple[int, int]
) -> None:
    """Neither a lock of the source nor the changes of others last as long as one key waits."""
    kept = Late()
    with _publishing(tmp_path, kept) as (publisher, _, _hold):
        publisher.start()
        publisher.offer(_batch(30, after=30))
        _await(lambda: publisher.is_behind)

        def some_steps() -> None:
            since = kept.asked
            _await(lambda: kept.asked > since + 3)

        publisher.stop_before(place)
        some_steps()
        publisher.offer(_batch(40, 110, after=110))
        some_steps()
        assert not publisher.has_stopped.is_set()
        assert _places(kept) == [30]
        publisher.go_on()
        _await(lambda: _places(kept) == [30, 40, 110])


def test_what_waits_is_not_sent_once_others_may_have_the_shard(tmp_path: Path) -> None:
    kept, now = Late(), [0.0]
    with _publishing(tmp_path, kept, clock=lambda: now[0]) as (publisher, _, _hold):
        publisher.start()
        publisher.offer(_batch(10, after=10))
        _await(lambda: publisher.is_behind)
        now[0] = 61.0
        _await(lambda: publisher.is_closed)
    assert isinstance(publisher.failure, LeaseLost)


def test_changes_of_rows_that_are_yet_to_be_read_are_left_out_and_passed(tmp_path: Path) -> None:
    with _publishing(tmp_path) as (publisher, kept, _):
        unread = Unread("t", low=("2",), high=("9",), numbers=("id",))
        publisher.remember(lambda state: replace(state, unread=(unread,)))
        publisher.stop_before((2, 30))
        publisher.start()
        changes = [_change(10, 2), _change(20, 3), _change(30, 3), _change(40, 4), _change(50, 10)]
        publisher.offer(Batch(changes, json.dumps({"file": "b.000002", "pos": 50})))
        publisher.offer_rows(
            [_change(30, 3)],
            lambda state: replace(state, unread=(replace(unread, low=("3",)),)),
        )
        _await(lambda: publisher.is_idle)
        assert _places(kept) == [10, 30]
        publisher.go_on()
        _await(lambda: publisher.reached == (2, 50))
    assert _places(kept) == [10, 30, 30, 50]  # of the row that was read, and of one after the last
    assert publisher.state.position == Position(1, 2, 50)


def test_a_table_that_changed_unheard_is_asked_for_before_the_offset_passes_it(
    tmp_path: Path,
) -> None:
    with _publishing(tmp_path) as (publisher, kept, hold):
        asked: list[set[str]] = []
        kept.fail = lambda _changes: asked.append(set(hold.asked()))
        publisher.start()
        publisher.offer(_batch(10, after=20))
        publisher.offer(replace(_batch(30, after=40), unheard=("t",)))
        _await(lambda: len(asked) == 2)
    assert asked == [set(), {"t"}]


def test_what_was_published_past_the_offset_is_not_published_again_after_a_kill(
    tmp_path: Path,
) -> None:
    with _publishing(tmp_path) as (publisher, kept, hold):
        publisher.stop_before((2, 100))
        publisher.start()
        publisher.offer(_batch(10, 110, after=110))
        publisher.offer_rows([_change(100)])
        _await(lambda: publisher.is_idle)
        state = hold.state()
    assert _places(kept) == [10, 100]
    assert state is not None
    assert (state.log, state.passed) == (("b.000002", 4), (2, 100))
    history = History(hold, tmp_path / "history")
    again = Publisher(hold, kept, state, Meter("shard_0"), history=history)
    again.start()
    again.offer(_batch(10, 100, 110, after=110))
    again.offer(_batch(120, after=120))
    _await(lambda: again.reached == (2, 120))
    again.close(5)
    assert _places(kept) == [10, 100, 100, 110, 120]  # the row of 100, and the change


def test_which_rows_are_sent_is_noted_before_they_are(tmp_path: Path) -> None:
    noted: list[State | None] = []
    with _publishing(tmp_path) as (publisher, kept, hold):
        kept.fail = lambda _changes: noted.append(hold.state())
        unread = Unread("t", high=("9",), numbers=("id",))
        publisher.remember(lambda state: replace(state, unread=(unread,)))
        publisher.stop_before((2, 4))
        publisher.start()
        for low in ("5", "7"):
            now = replace(unread, low=(low,))
            publisher.offer_rows(
                [_change(4)], partial(is_sent, now=now), before=partial(is_being_sent, now=now)
            )
        _await(lambda: publisher.is_idle)
    found = [state.unread[0] for state in noted if state]
    assert [(one.low, one.sent) for one in found] == [(None, ("5",)), (("5",), ("7",))]
    assert all(one.is_in_doubt for one in found)
    assert not publisher.state.unread[0].is_in_doubt
