"""Rows of pieces that come again, from a later place and as they are by then."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from smug_platform.capture.change import Change
from smug_platform.capture.state import Unread
from smug_platform.capture.walk import read_again, without_unread
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.store import Store
from smug_platform.realtime.tables import PROVISIONAL, SCHEMA
from tests.unit.realtime.conftest import Live, at

DAY = 24 * 60
UNREAD = Unread("photos", low=("0",), high=("9999",), numbers=("id",))


def source(live: Live, **more: object) -> dict[str, object]:
    live.shard.offset += 100
    place = {"file": "binlog.000001", "pos": live.shard.offset, "row": 0}
    return {"ts_ms": 1, "ts_us": 1000, **place, "db": "flickr", **more}


def change(live: Live, op: str, key: int, before: int | None, after: int | None) -> Change:
    """A change of a photo that was uploaded on one day, and then is on another."""
    images = {
        name: None if day is None else {"id": key, "title": "t", "uploaded_at": at(day * DAY)}
        for name, day in (("before", before), ("after", after))
    }
    value = {**images, "source": source(live), "op": op, "ts_ms": 2}
    return Change("shard_0.flickr.photos", b'{"id":%d}' % key, orjson.dumps(value))


def piece(live: Live, after_rows: int, rows: Mapping[int, int]) -> list[Change]:
    """Rows (key and day) of a piece, at one place."""
    place = source(live, after_rows=after_rows)
    return [
        one._replace(value=orjson.dumps(orjson.loads(one.value) | {"source": place}))
        for one in (change(live, "r", key, None, day) for key, day in rows.items())
    ]


def days(live: Live) -> dict[int, int]:
    found = live.rows("select day, sum(value) from days where metric = 'uploads' group by day")
    first = at(0) // 86_400_000_000
    return {day - first: value for day, value in found if value}


def windows(live: Live) -> dict[str, tuple[int, int]]:
    """Changes, which are rows here, and those that are late, by operation."""
    rows = live.rows(
        "select op, sum(changes), sum(value), sum(late_changes) from windows group by 1"
    )
    assert all(changes == value for _, changes, value, _ in rows)
    return {op: (value, late) for op, _, value, late in rows}


def send(live: Live, *changes: Change) -> None:
    live.stream.publish("shard_0", 1, changes)
    live.step()


@pytest.mark.parametrize("sent", [0, 17, 40])
def test_a_piece_that_comes_again_counts_as_it_is_the_last_time(live: Live, sent: int) -> None:
    """Whatever part of it was sent before; rows come, go and change meanwhile."""
    unread = replace(UNREAD, rows=100, low=("100",), sent=("140",))
    send(live, *piece(live, 0, dict.fromkeys(range(1, 101), 0)))
    send(live, *piece(live, 100, dict.fromkeys(range(101, 141), 1))[:sent])
    assert days(live) == {0: 100} | ({1: sent} if sent else {})
    meanwhile = [
        change(live, "u", 7, 0, 2),  # of a row that was read
        change(live, "u", 102, 1, 3),
        change(live, "d", 103, 1, None),
        change(live, "u", 139, 1, 3),
        change(live, "d", 140, 1, None),
        change(live, "c", 99, None, 2),
        change(live, "c", 141, None, 3),  # of one that is yet to be read
    ]
    told = without_unread(meanwhile, [unread])
    assert len(told) == 6
    send(live, *told)
    assert days(live) == {0: 99, 2: 2} | ({1: sent} if sent else {})
    again = dict.fromkeys(range(101, 139), 1) | {102: 3, 139: 3}
    del again[103]
    for _ in range(2):  # the second time after another kill, of which nothing was known
        place = source(live)
        send(live, read_again("shard_0", unread, place, at=live.shard.offset))
        assert days(live) == {0: 99, 2: 2}
        send(live, *piece(live, 100, again))
        assert days(live) == {0: 99, 1: 36, 2: 2, 3: 2}
    send(live, *piece(live, 138, {200: 4}))
    place = source(live)
    send(live, read_again("shard_0", replace(unread, rows=138), place, at=1))
    assert days(live) == {0: 99, 1: 36, 2: 2, 3: 2}  # what came before is known to be sent


def test_a_record_that_holds_a_piece_and_what_takes_it_back_is_read_in_order(live: Live) -> None:
    rows = dict.fromkeys(range(1, 41), 0)
    unread = replace(UNREAD, low=None, sent=("40",))
    first = piece(live, 0, rows)
    again = read_again("shard_0", unread, source(live), at=1)
    second = piece(live, 0, dict.fromkeys(range(1, 31), 0))
    live.stream.most = 1_000
    send(live, *first, again, *second)
    assert days(live) == {0: 30}
    live.do("photos", "truncate")
    send(live, read_again("shard_0", unread, source(live), at=2))
    assert days(live) == {}


def test_numbers_are_brought_back_to_before_a_piece_was_taken_back(live: Live) -> None:
    send(live, *piece(live, 0, {1: 0, 2: 1}))
    before = live.consumer.progress.positions
    send(live, read_again("shard_0", replace(UNREAD, rows=0), source(live), at=1))
    assert sum(sums_at(live.store, "uploads").values()) == 0
    assert sum(sums_at(live.store, "uploads", before).values()) == 2


def test_windows_lose_what_they_got(live: Live) -> None:
    live.now += 7200
    send(live, change(live, "c", 1, None, 0))
    send(live, *piece(live, 0, dict.fromkeys(range(10, 30), 0)))
    found = windows(live)
    send(live, read_again("shard_0", UNREAD, source(live), at=1))
    assert found["r"][0] == 20
    assert windows(live) == found | {"r": (0, 0)}


def test_a_file_of_the_version_before_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(SCHEMA.replace(PROVISIONAL, "") + "pragma user_version = 1;")
        connection.execute("insert into days values ('uploads', 'shard_0', 'lane-00', '', 1, 5)")
    for _ in range(2):
        with Store(path) as store, store.reading() as connection:
            assert connection.execute("select value from days").fetchall() == [(5,)]
            assert connection.execute("select * from provisional").fetchall() == []
