"""Where the stream stops for a table that is read anew, and what is remembered then."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from smug_platform.capture.change import Change
from smug_platform.capture.consumer import Batch
from smug_platform.capture.history import History
from smug_platform.capture.items import SqliteItems
from smug_platform.capture.position import Position
from smug_platform.capture.publisher import Publisher
from smug_platform.capture.state import State
from smug_platform.capture.status import Meter
from smug_platform.capture.store import Store
from tests.pipeline.capturing import Kept, position


def _change(offset: int) -> Change:
    source = {"file": "b.000002", "pos": offset, "row": 0, "ts_ms": 0}
    return Change("shard_0.f.t", '{"id":1}', json.dumps({"source": source}))


def _batch(*offsets: int, after: int) -> Batch:
    return Batch([_change(one) for one in offsets], json.dumps({"file": "b.000002", "pos": after}))


def _published(tmp_path: Path, batches: Sequence[Batch]) -> tuple[list[int], State, bool]:
    """What is on the stream once these batches came, a table's rows after them at offset 100."""
    hold = Store(SqliteItems(tmp_path / "state.db"), seconds=60).take("shard_0", "a test", None)
    assert hold is not None
    state = State(1, 7, None, "first", ("f.t",), '{"file":"b.000002","pos":4}', Position(1, 2, 4))
    kept, meter = Kept(), Meter("shard_0")
    publisher = Publisher(hold, kept, state, meter, history=History(hold, tmp_path / "history"))
    publisher.stop_before((2, 100))
    publisher.start()
    for batch in (*batches, Batch([_change(100)], None)):
        publisher.offer(batch)
    while not publisher.is_idle:
        time.sleep(0.001)
    publisher.close(5)
    told = hold.state()
    assert told is not None
    places = [position(*one).offset for one in kept.changes]
    return places, told, publisher.has_stopped.is_set()


def test_what_is_past_the_place_is_left_for_the_next_start(tmp_path: Path) -> None:
    batches = [_batch(10, 20, after=20), _batch(30, 110, 120, after=120), _batch(130, after=130)]
    places, state, has_stopped = _published(tmp_path, batches)
    assert places == [10, 20, 30, 100]
    assert has_stopped
    assert state.log == ("b.000002", 20)  # so that 30 comes twice, and 110 does not get lost
    assert state.position == Position(1, 2, 20)
    assert state.sequences == {"shardId-0": "4"}


def test_a_source_without_changes_reaches_the_place_too(tmp_path: Path) -> None:
    places, state, has_stopped = _published(tmp_path, [_batch(after=100)])
    assert (places, has_stopped) == ([100], True)
    assert state.log == ("b.000002", 100)


def test_before_the_place_the_stream_goes_on(tmp_path: Path) -> None:
    places, state, has_stopped = _published(tmp_path, [_batch(10, after=99)])
    assert (places, has_stopped) == ([10, 100], False)
    assert state.log == ("b.000002", 99)
