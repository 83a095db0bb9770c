"""The windows: what each operation does to them, what is late, what is closed, what is kept."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smug_platform.errors import NewerState, StreamError
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.keep import HISTORY_SECONDS, WINDOW_MINUTES
from smug_platform.realtime.moment import NotThere, sums_at
from smug_platform.realtime.store import Store
from smug_platform.stream.reader import StreamPositions
from smug_platform.tables.flickr import FLICKR
from tests.history import START
from tests.lanes import LaneStream, changes_of
from tests.unit.realtime.conftest import Live, at
from tests.unit.realtime.flickr import server

ORDER = {"id": 1, "status": "placed", "total": "12.50", "currency": "EUR", "placed_at": at(3)}
OF_REVENUE = (
    "select substr(window_start, 12, 5), op, currency, changes, value from windows"
    " where metric = 'revenue' order by 1, 2, 3"
)


def test_each_operation_adds_and_takes_back_in_the_rows_own_window(live: Live) -> None:
    live.do("orders", "insert", ORDER)
    live.step()
    live.do("orders", "update", {"id": 1}, total="20.00")
    live.step()
    live.do("orders", "update", {"id": 1}, placed_at=at(5), currency="USD")
    live.step()
    assert live.rows(OF_REVENUE) == [
        ("00:03", "c", "EUR", 1, 1250),
        ("00:03", "u", "EUR", 2, -1250),
        ("00:05", "u", "USD", 1, 2000),
    ]
    live.do("orders", "update", {"id": 1}, status="refunded")
    live.do("orders", "delete", {"id": 1})
    live.step()
    assert live.total("revenue") == live.total("orders") == 0
    of_orders = "select op, sum(value) from windows where metric = 'orders' group by op order by op"
    assert live.rows(of_orders) == [("c", 1), ("d", -1), ("u", 0)]


def test_a_key_that_changes_is_one_row_as_before(live: Live) -> None:
    live.do("favorites", "insert", {"account_id": 1, "photo_id": 1, "created_at": at(1)})
    for photo in range(2, 40):  # some of them stay in their lane, where both are at one position
        live.do("favorites", "update", {"account_id": 1}, photo_id=photo)
    live.step()
    assert live.total("favorites") == 1


def test_the_watermark_is_that_of_the_shard_that_is_behind(live: Live) -> None:
    other = server("shard_1")
    live.stream.publish("shard_1", 1, changes_of(other.snapshot()))
    live.step()
    for _ in range(30):
        live.do("photos", "insert", {"id": len(live.shard.tables["photos"].rows), "uploaded_at": 0})
    live.now += 1
    live.step()
    behind = max(delta["committed_at"] for t in other.tables.values() for delta in t.deltas)
    assert live.consumer.progress.watermark == behind.timestamp() * 1e6
    live.do("photos", "delete", {"id": 3})
    live.now += 20  # the other one sends nothing: it is idle, and holds nobody back
    live.step()
    ahead = live.shard.tables["photos"].deltas[-1]["committed_at"]
    assert live.consumer.progress.watermark == ahead.timestamp() * 1e6


def test_a_change_of_a_closed_window_counts_and_is_told_as_late(live: Live) -> None:
    live.do("photos", "insert", *({"id": n, "uploaded_at": at(1)} for n in range(90)))
    live.step()  # a second a change: the watermark passes the window of the first minute
    live.do(
        "photos", "insert", {"id": 100, "uploaded_at": at(0.5)}, {"id": 101, "uploaded_at": at(9)}
    )
    live.step()
    query = (
        "select substr(window_start, 12, 5), value, late_changes, is_closed from windows"
        " where metric = 'uploads' order by 1"
    )
    assert live.rows(query) == [("00:00", 1, 1, 1), ("00:01", 90, 0, 0), ("00:09", 1, 0, 0)]


def test_a_window_goes_after_some_hours_and_its_day_stays(live: Live) -> None:
    live.do("photos", "insert", {"id": 1, "uploaded_at": at(1)})
    live.step()
    photos = live.shard.tables["photos"]
    photos.deltas += [{}] * (WINDOW_MINUTES * 60 + 120)  # so many seconds later, by its clock
    live.shard.taken["photos"] = len(photos.deltas)
    live.do("photos", "insert", {"id": 2, "uploaded_at": at(WINDOW_MINUTES + 2)})
    live.now += HISTORY_SECONDS + 60
    live.step()
    live.do("photos", "insert", {"id": 3, "uploaded_at": at(1)})  # too late for a window
    live.now += 60
    live.step()
    assert live.rows("select count(*) from windows where metric = 'uploads'") == [(1,)]
    assert live.total("uploads") == 3


def test_numbers_of_a_position_that_is_not_kept_or_not_there_are_refused(live: Live) -> None:
    before = live.consumer.progress.positions
    live.do("photos", "insert", {"id": 1, "uploaded_at": at(1)})
    live.step()
    assert before is not None
    assert sums_at(live.store, "uploads", before) == {}
    ahead = {shard: str(int(last) + 1000) for shard, last in before.sequences.items()}
    with pytest.raises(NotThere, match="not there yet") as problem:
        sums_at(live.store, "uploads", StreamPositions(before.incarnation, ahead))
    assert problem.value.passes
    with pytest.raises(NotThere, match="another stream"):
        sums_at(live.store, "uploads", StreamPositions("another", before.sequences))
    live.now += HISTORY_SECONDS + 60
    live.step()
    with pytest.raises(NotThere, match="is not kept any more"):
        sums_at(live.store, "uploads", before)
    assert sums_at(live.store, "orders", before) == {}  # of these nothing was added since


def test_a_stream_that_is_created_anew_is_read_from_its_start(live: Live) -> None:
    live.do("photos", "insert", {"id": 1, "uploaded_at": at(1)})
    live.step()
    old = live.stream
    live.stream = LaneStream(incarnation="anew")
    live.consumer = Consumer(live.store, live.stream, FLICKR, clock=lambda: live.now)  # type: ignore[arg-type]
    live.stream.records = {shard: records[-2:] for shard, records in old.records.items()}  # copies
    live.do("photos", "insert", {"id": 2, "uploaded_at": at(1)})
    live.step()
    assert live.total("uploads") == 2
    assert live.consumer.progress.positions is not None
    assert live.consumer.progress.positions.incarnation == "anew"


def test_two_consumers_do_not_count_into_one_store(live: Live) -> None:
    second = Consumer(live.store, live.stream, FLICKR)  # type: ignore[arg-type]
    live.do("photos", "insert", {"id": 1, "uploaded_at": at(1)})
    live.step()
    with pytest.raises(StreamError, match="another consumer"):
        second.step()
    assert live.total("uploads") == 1


def test_a_reader_never_sees_half_a_step(live: Live, tmp_path: Path) -> None:
    with Store(tmp_path / "live.db", read_only=True) as reader:
        with reader.reading() as connection:
            query = "select (select count(*) from minutes), (select value from meta)"
            before = connection.execute(query).fetchall()
            live.do("photos", "insert", {"id": 1, "uploaded_at": at(1)})
            live.step()
            assert connection.execute(query).fetchall() == before
        assert sum(sums_at(reader, "uploads").values()) == 1


def test_a_store_of_another_version_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="smug realtime"):
        Store(tmp_path / "none.db", read_only=True)
    with Store(tmp_path / "live.db") as store, store.writing() as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(NewerState, match=r"format 99.*install the release that wrote it"):
        Store(tmp_path / "live.db")
    with closing(sqlite3.connect(tmp_path / "live.db")) as connection:
        connection.execute("pragma user_version = 0")
    with pytest.raises(StreamError, match="version 0"):
        Store(tmp_path / "live.db")


def test_delays_are_those_of_streamed_changes(live: Live) -> None:
    live.do("photos", "insert", *({"id": n, "uploaded_at": at(1)} for n in range(100)))
    live.now = START.timestamp() + 130
    live.step()
    ((buckets, counted),) = live.rows("select count(*), sum(changes) from delays")
    assert buckets > 1
    assert counted == 100  # and not the snapshot's schemas
