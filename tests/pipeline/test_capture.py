"""Capture from real servers through the real engine, into a sink that keeps everything."""

import os
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

import jpype
import orjson
import pytest

from smug_platform.capture import chunks, engine
from smug_platform.capture.consumer import Batch
from smug_platform.capture.doctor import preflight
from smug_platform.capture.failures import SourceUnavailable
from smug_platform.capture.items import SqliteItems
from smug_platform.capture.reread import Reread
from smug_platform.capture.resources import open_store, prepare_store
from smug_platform.capture.sink import Published
from smug_platform.errors import SmugError, SourceError
from smug_platform.local.mariadb import connect, start_shard
from smug_platform.settings import Settings, Shard
from smug_platform.settings_capture import StoreSettings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.stream.reader import Reader
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source, Table
from tests.conftest import fresh_database, local_settings
from tests.pipeline.capturing import PATIENCE, Kept, Own, capturing, one_shard
from tests.states import state_of, status_of

ROOT = Path(__file__).parents[2]
SMALL = Source(
    database="flickr",
    tables=tuple(FLICKR.table(name) for name in ("accounts", "albums", "photo_views")),
)


def sql(shard: Shard, *statements: str) -> None:
    with connect(shard, database="flickr") as cursor:
        for statement in statements:
            cursor.execute(statement)


def album(key: int, title: str = "An album") -> str:
    return (
        "INSERT INTO albums (id, account_id, title, created_at)"
        f" VALUES ({key}, 1, '{title}', '2026-01-01')"
    )


def albums(count: int) -> str:
    """Albums 1 to `count`."""
    return (
        "INSERT INTO albums (id, account_id, title, created_at)"
        f" SELECT seq, 1, 'x', '2026-01-01' FROM seq_1_to_{count}"
    )


@pytest.fixture
def one(fresh_shards: Settings) -> Settings:
    """One running shard with an empty flickr database."""
    return one_shard(fresh_shards)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """A server that a test may stop, and of which it may be root."""
    settings = one_shard(local_settings(tmp_path_factory.mktemp("own")))
    own = Own(settings, settings.home / "mysql")
    own.start()
    yield own
    own.process.stop()


@pytest.fixture
def own(own_server: Own, tmp_path: Path) -> Own:
    """The same with an empty flickr database and a home of this test's own."""
    fresh_database(own_server.settings.shards[0])
    own_server.settings = replace(own_server.settings, home=tmp_path)
    return own_server


def test_a_snapshot_then_the_binlog(fresh_shards: Settings):
    first, second = fresh_shards.shards
    sql(first, album(1), album(2))
    sql(
        second,
        "INSERT INTO photo_views VALUES (1,'DE','x','2026-01-01'),(1,'DE','x','2026-01-01')",
        "INSERT INTO accounts (id, screen_name, email, password_hash, country, created_at)"
        " VALUES (9, 'nine', 'nine@example.org', REPEAT('p', 32), 'DE', '2026-01-01')",
    )
    kept = Kept()
    with capturing(fresh_shards, SMALL, kept) as worker:
        worker.wait(lambda: len(kept.rows("albums")) == 2 and len(kept.rows("photo_views")) == 2)
        worker.wait(
            lambda: (
                {s.shard for s in worker.statuses if s.phase == "streaming"}
                == {"shard_0", "shard_1"}
            )
        )
        sql(
            first,
            album(3),
            "UPDATE albums SET title='T' WHERE id=3",
            "DELETE FROM albums WHERE id=3",
        )
        sql(first, "UPDATE albums SET id=22 WHERE id=2", "TRUNCATE photo_views")
        sql(second, "ALTER TABLE albums ADD COLUMN mood VARCHAR(20) NULL")
        worker.wait(
            lambda: (
                b"ADD COLUMN mood" in kept.changes[-1][1].value
                or any(b"ADD COLUMN mood" in change.value for _, change in kept.changes)
            )
        )
        worker.wait(lambda: any(row["op"] == "t" for row in kept.rows("photo_views")))
        began = time.monotonic()
    assert time.monotonic() - began < 15
    assert [row["op"] for row in kept.rows("albums")] == ["r", "r", "c", "u", "d", "d", "c"]
    assert "password_hash" not in "".join(map(str, kept.rows("accounts")))
    views = [change for _, change in kept.changes if change.topic == "shard_1.flickr.photo_views"]
    assert [(view.key, view.number) for view in views] == [(None, 1), (None, 2)]
    for shard in fresh_shards.shards:
        status = status_of(fresh_shards, shard.name)
        assert status is not None
        assert (status.phase, status.epoch) == ("stopped", 1)


def test_debezium_prints_no_row_for_a_metric_that_nobody_reads(one: Settings):
    kept, java = Kept(), jpype.JClass
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(one.shards[0], album(1))
        worker.wait(lambda: kept.ids("albums") == {1})
        name = "debezium.mysql:type=connector-metrics,context=streaming,server=shard_0"
        bean = java("javax.management.ObjectName")(name)
        beans = java("java.lang.management.ManagementFactory").getPlatformMBeanServer()
        assert beans.getAttribute(bean, "Connected")
        assert beans.getAttribute(bean, "TotalNumberOfCreateEventsSeen") == 0
        assert beans.getAttribute(bean, "MilliSecondsBehindSourceMaxValue") is None


def test_capture_goes_on_from_the_state_of_an_older_version_and_of_a_newer(one: Settings):
    shard, kept = one.shards[0], Kept()
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
    items = SqliteItems(one.home / "capture" / "state.db")
    assert items.get(shard.name, "state")
    for number in (2, 3):
        found = orjson.loads(str(items.get(shard.name, "state")["state"]))
        if number == 2:
            del found["unread"]  # as before there was such a thing
        else:
            found["compass"] = {"north": 1}  # as there may be one day
        text = orjson.dumps(found).decode()
        assert items.update(shard.name, "state", {"state": text}, expect={})
        sql(shard, album(number))
        with capturing(one, SMALL, kept) as worker:
            worker.wait(lambda: number in kept.ids("albums"))  # noqa: B023
    assert [row["op"] for row in kept.rows("albums")] == ["r", "c", "c"]


def test_a_statement_that_is_read_again_stands_once_in_the_schema_history(one: Settings):
    """The history may be ahead of the offset that is remembered with it: then it comes again."""
    shard, kept = one.shards[0], Kept()
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(shard, album(9))
        worker.wait(lambda: kept.ids("albums") == {9})
        worker.wait(lambda: worker.statuses[-1].lag == 0)
    items = SqliteItems(one.home / "capture" / "state.db")

    def state() -> dict[str, Any]:
        return dict(orjson.loads(str(items.get(shard.name, "state")["state"])))

    before = state()
    sql(shard, "ALTER TABLE albums ADD COLUMN mood INT, ADD COLUMN w INT", album(1))
    sql(shard, "ALTER TABLE albums CHANGE w x INT, DROP COLUMN mood", album(2))
    with capturing(one, SMALL, kept) as worker:
        worker.wait(lambda: kept.ids("albums") == {9, 1, 2})
        worker.wait(lambda: state()["history"] != before["history"])
    ahead = orjson.dumps(state() | {"offset": before["offset"], "position": before["position"]})
    assert items.update(shard.name, "state", {"state": ahead.decode()}, expect={})
    for number in (3, 4):
        sql(shard, album(number))
        with capturing(one, SMALL, kept) as worker:
            worker.wait(lambda: number in kept.ids("albums"))  # noqa: B023
            worker.wait(lambda: worker.statuses[-1].lag == 0)
        assert not worker.notes
    last = kept.rows("albums")[-1]["after"]
    assert ("x" in last, "w" in last, "mood" in last) == (True, False, False)


def test_a_restart_goes_on_where_it_was(one: Settings):
    shard, kept = one.shards[0], Kept()
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(shard, album(2))
        worker.wait(lambda: kept.ids("albums") == {1, 2})
    sql(shard, "ALTER TABLE albums ADD COLUMN mood INT NULL", album(3), "UPDATE albums SET mood=7")
    seen = len(kept.changes)
    with capturing(one, SMALL, kept) as worker:
        worker.wait(lambda: len(kept.rows("albums", since=seen)) == 4)
        worker.wait(lambda: worker.statuses[-1].lag == 0)
    assert [row["op"] for row in kept.rows("albums", since=seen)] == ["c", "u", "u", "u"]
    assert all(row["after"]["mood"] == 7 for row in kept.rows("albums", since=seen)[1:])
    assert kept.positions() == sorted(kept.positions())


def test_a_stream_that_does_not_answer_holds_up_no_stop(
    one: Settings, monkeypatch: pytest.MonkeyPatch
):
    """The lease is given back all the same; what was being sent the next worker sends again."""
    monkeypatch.setattr(engine, "_CLOSE_SECONDS", 0.5)
    shard, kept, answers = one.shards[0], Kept(), threading.Event()
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        kept.fail = lambda _changes: answers.wait(PATIENCE) and None
        sql(shard, album(2))
        worker.wait(lambda: (status := status_of(one)) is not None and status.updated_at > 0)
        time.sleep(0.5)
    lease = open_store(one).leases()["shard_0"]
    assert (lease.worker, lease.counter) == (None, 1)
    kept.fail = lambda _changes: None
    with capturing(one, SMALL, kept) as worker:
        worker.wait(lambda: kept.ids("albums") == {1, 2})
        before = state_of(one)
        answers.set()  # the batch of the first goes out, and can't be remembered
        worker.wait(lambda: len(kept.rows("albums")) == 3)
        sql(shard, album(3))
        worker.wait(lambda: 3 in kept.ids("albums"))
    after = state_of(one)
    assert before is not None
    assert after is not None
    assert after.position == kept.positions()[-1]
    assert open_store(one).leases()["shard_0"].counter == 2


def test_leases_and_state_in_dynamodb(one: Settings, dynamodb: str):
    """The same worker over a table: it goes on where it was, and finds the schema history there."""
    settings = replace(one, store=StoreSettings("capture", endpoint=dynamodb))
    assert prepare_store(settings) == "capture"
    shard, kept = one.shards[0], Kept()
    sql(shard, album(1))
    with capturing(settings, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(shard, "ALTER TABLE albums ADD COLUMN mood VARCHAR(20) NULL", album(2))
        worker.wait(lambda: kept.ids("albums") == {1, 2})
    seen = len(kept.changes)
    rmtree(settings.capture_dir("shard_0"))  # another machine
    sql(shard, "UPDATE albums SET mood='calm' WHERE id=2")
    with capturing(settings, SMALL, kept) as worker:
        worker.wait(lambda: kept.ids("albums", since=seen) == {2})
    assert kept.rows("albums", since=seen)[0]["after"]["mood"] == "calm"
    assert worker.notes == ""
    lease = open_store(settings).leases()["shard_0"]
    assert (lease.worker, lease.counter) == (None, 2)
    assert not (one.home / "capture" / "state.db").exists()


def test_I10_an_idle_source_has_no_lag_and_its_position_advances(one: Settings):
    kept = Kept()
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        before = state_of(one)
        with connect(one.shards[0]) as cursor:  # nothing that is captured
            cursor.execute("CREATE DATABASE IF NOT EXISTS flickr_other")
            cursor.execute("CREATE TABLE IF NOT EXISTS flickr_other.t (a INT)")
        assert before is not None
        worker.wait(lambda: _offset(one) > (before.log or ("", 0)))
        worker.wait(lambda: worker.statuses[-1].lag == 0)


def _offset(settings: Settings) -> tuple[str, int]:
    state = state_of(settings)
    return (state and state.log) or ("", 0)


def test_H05_ghost_tables_are_never_captured(one: Settings):
    shard, kept = one.shards[0], Kept()
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(
            shard,
            "CREATE TABLE _albums_gho LIKE albums",
            "CREATE TABLE albums_old LIKE albums",
            album(1).replace("albums", "_albums_gho"),
            album(2).replace("albums", "albums_old"),
            album(3),
        )
        worker.wait(lambda: kept.ids("albums") == {3})
    assert {change.topic for _, change in kept.changes} <= {"shard_0", "shard_0.flickr.albums"}


def test_a_sink_that_fails_ends_the_engine_and_nothing_is_lost(one: Settings):
    shard, kept = one.shards[0], Kept()

    def fail(changes: Any) -> None:
        if any(b'"id":5' in (change.key or b"") for change in changes):
            raise SmugError("the stream is gone", remedy="bring it back")

    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        kept.fail = fail
        sql(shard, album(5))
        with pytest.raises(SmugError, match="the stream is gone"):
            worker.wait(lambda: False)
    assert kept.ids("albums") == set()
    kept.fail = lambda _changes: None
    with capturing(one, SMALL, kept) as worker:
        worker.wait(lambda: kept.ids("albums") == {5})


def test_L04_numbering_that_restarts_while_running_is_a_new_epoch(one: Settings):
    shard, kept = one.shards[0], Kept()
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(shard, "RESET MASTER", album(2))
        worker.wait(lambda: kept.ids("albums") == {1, 2})
        sql(shard, album(3))
        worker.wait(lambda: kept.ids("albums") == {1, 2, 3})
    assert {epoch for epoch, _ in kept.changes} == {1, 2}
    assert kept.positions() == sorted(kept.positions())
    assert "numbering" in worker.notes


def test_L04_numbering_that_restarted_and_grew_past_is_told_by_what_stands_there(one: Settings):
    """The same statements again: every number fits, and only the transactions differ."""
    shard, kept = one.shards[0], Kept()
    sql(shard, "RESET MASTER")
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(shard, album(1), album(2))
        worker.wait(lambda: kept.ids("albums") == {1, 2})
        worker.wait(lambda: (state := state_of(one)) is not None and state.mark is not None)
    sql(shard, "RESET MASTER", "DELETE FROM albums", *(album(key) for key in range(1, 20)))
    seen = len(kept.changes)
    with capturing(one, SMALL, kept) as worker:
        worker.wait(lambda: kept.ids("albums", since=seen) == set(range(1, 20)))
    assert {epoch for epoch, _ in kept.changes[seen:]} == {2}
    assert "holds other events" in worker.notes


def test_L01_a_purged_binlog_is_named_and_healed_by_a_snapshot(own: Own):
    one, shard, kept = own.settings, own.settings.shards[0], Kept()
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
    seen = len(kept.changes)
    sql(shard, album(2), "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    own.purge()
    with capturing(one, SMALL, kept) as worker:
        worker.wait(lambda: kept.ids("albums", since=seen) == {1, 2})
    assert "was purged" in worker.notes
    assert {epoch for epoch, _ in kept.changes} == {1}
    assert min(kept.positions(since=seen)) > max(kept.positions()[:seen])


def test_G24_schema_drift_is_named_and_healed_by_a_snapshot(own: Own):
    one, shard, kept = own.settings, own.settings.shards[0], Kept()
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        seen = len(kept.changes)
        own.as_root("SET sql_log_bin=0", "ALTER TABLE flickr.albums ADD COLUMN mood INT NULL")
        sql(shard, album(2), "UPDATE albums SET mood=3")
        worker.wait(lambda: kept.ids("albums", since=seen) == {1, 2})
        worker.wait_streaming()
    assert "without the binlog saying so" in worker.notes
    assert {row["after"]["mood"] for row in kept.rows("albums", since=seen)} == {3}
    assert min(kept.positions(since=seen)) > max(kept.positions()[:seen])


def test_G12_a_statement_that_cannot_be_read_is_shown_and_passed_by_a_snapshot(one: Settings):
    shard, kept = one.shards[0], Kept()
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(shard, "CREATE OR REPLACE TABLE scratch LIKE albums", album(2))
        worker.wait(lambda: kept.ids("albums") == {1, 2})
        worker.wait_streaming()
    assert "CREATE OR REPLACE TABLE scratch" in worker.notes


@dataclass
class Holds:
    """What a raw table would hold: all of the stream or nothing, and this epoch."""

    landed: bool = False
    highest: int = 0
    asked: list[tuple[str, Published]] = field(default_factory=list)

    def covers(self, shard: str, published: Published) -> bool:
        self.asked.append((shard, published))
        return self.landed

    def epoch(self, shard: str) -> int:
        assert shard == "shard_0"
        return self.highest


def test_a_lost_capture_folder_begins_above_what_raw_holds(one: Settings):
    shard, kept = one.shards[0], Kept()
    sql(shard, album(1))
    with capturing(one, SMALL, kept, landed=Holds(highest=3)) as worker:
        worker.wait(lambda: kept.ids("albums") == {1})
    assert {epoch for epoch, _ in kept.changes} == {4}
    assert "the state was lost" in worker.notes


@pytest.mark.parametrize("landed", [True, False], ids=["landed", "lost"])
def test_a_stream_that_was_lost_is_filled_again_unless_all_had_landed(one: Settings, landed: bool):
    shard, kept = one.shards[0], Kept()
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
    state, raw = state_of(one), Holds(landed=landed)
    kept.incarnation = "second"
    seen = len(kept.changes)
    sql(shard, album(2))

    with capturing(one, SMALL, kept, landed=raw) as worker:
        worker.wait(lambda: 2 in kept.ids("albums", since=seen))
    assert state is not None
    assert raw.asked == [("shard_0", state.published)]
    assert kept.ids("albums", since=seen) == ({2} if landed else {1, 2})
    assert ("the stream lost changes" in worker.notes) is not landed


def _killed_after(kept: Kept, table: str) -> None:
    """Let the sink fail once it has rows of that table."""

    def fail(_changes: Any) -> None:
        if any(change.topic.endswith(table) for _, change in kept.changes):
            raise SmugError("killed", remedy="start again")

    kept.fail = fail


def test_a_kill_amid_the_rows_of_tables_without_a_key_begins_the_snapshot_anew(one: Settings):
    shard, kept = one.shards[0], Kept()
    sql(
        shard,
        "INSERT INTO photo_views SELECT seq, 'DE', 'x', '2026-01-01' FROM seq_1_to_9000",
        album(1),
    )
    _killed_after(kept, "photo_views")
    with capturing(one, SMALL, kept) as worker, pytest.raises(SmugError, match="killed"):
        worker.wait(lambda: False)
    seen, kept.fail = len(kept.changes), lambda _changes: None
    assert 0 < len(kept.rows("photo_views")) < 9000
    with capturing(one, SMALL, kept) as worker:
        worker.wait(lambda: len(kept.rows("photo_views", since=seen)) == 9000)
        worker.wait_streaming()
    assert min(kept.positions(since=seen)) > max(kept.positions()[:seen])
    numbers = [change.number for _, change in kept.changes[seen:] if change.key is None]
    assert numbers == list(range(1, 9001))
    assert [row["op"] for row in kept.rows("albums")] == ["r"]


def test_K02_a_kill_amid_a_first_snapshot_goes_on_after_the_last_key(one: Settings):
    """Rows come once, in the order of positions, behind the CREATE of their table; those that are
    changed, deleted or moved come as they then are, and what comes of them before is marked.
    """
    shard, kept = one.shards[0], Kept()
    sql(shard, albums(9000), "INSERT INTO photo_views VALUES (1,'DE','x','2026-01-01')")
    _killed_after(kept, "albums")
    with capturing(one, SMALL, kept) as worker, pytest.raises(SmugError, match="killed"):
        worker.wait(lambda: False)
    before = state_of(one)
    assert before is not None
    (left,) = before.unread
    assert (left.table, left.rows, left.low) == ("albums", 500, ("500",))
    seen, kept.fail = len(kept.changes), lambda _changes: None
    assert kept.ids("albums") == set(range(1, 501))
    sql(
        shard,
        "UPDATE albums SET title='now' WHERE id IN (7, 700)",
        "DELETE FROM albums WHERE id IN (8, 800)",
        "UPDATE albums SET id=id+20000 WHERE id IN (9, 900)",
        "UPDATE albums SET id=9 WHERE id=901",
        album(8, "anew"),
        album(20000, "late"),
    )
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        worker.wait(lambda: 20000 in kept.ids("albums"))
    assert worker.notes == ""
    read = [row["after"] for row in kept.rows("albums", since=seen) if row["op"] == "r"]
    assert [row["id"] for row in read] == [
        key for key in range(501, 9001) if key not in {800, 900, 901}
    ]
    assert [row["id"] for row in read if row["title"] == "now"] == [700]
    sure, in_doubt = [], []
    for row in kept.rows("albums", since=seen):
        if row["op"] != "r":
            known = in_doubt if row.get("in_doubt") else sure
            known.append((row["op"], (row["after"] or row["before"])["id"]))
    assert sure == [
        ("u", 7), ("d", 8), ("d", 9), ("c", 20009), ("c", 20900), ("c", 9), ("c", 8), ("c", 20000),
    ]  # fmt: skip
    assert in_doubt == [("u", 700), ("d", 800), ("d", 900), ("d", 901)]
    ops = Counter(row["op"] for row in kept.rows("albums") if not row.get("in_doubt"))
    assert ops["r"] + ops["c"] - ops["d"] == 9000 - 3 + 3  # as who only adds up would have it
    assert kept.positions() == sorted(kept.positions())
    assert [row["op"] for row in kept.rows("photo_views")] == ["r"]
    first = next(n for n, (_, change) in enumerate(kept.changes) if change.topic.endswith("albums"))
    created = [
        n for n, (_, change) in enumerate(kept.changes) if b"CREATE TABLE `albums`" in change.value
    ]
    assert len(created) == 1
    assert created[0] < first


def test_K02_a_table_that_is_altered_as_it_is_looked_up_is_read_with_all_its_columns(
    one: Settings, monkeypatch: pytest.MonkeyPatch
):
    """Its columns were asked for before the ALTER, and its rows are read after it."""
    shard, kept, look, looked = one.shards[0], Kept(), chunks.read_tables, []
    sql(shard, album(1), album(2))

    def altered(connection: Any, source: Source) -> Any:
        found = look(connection, source)
        if not looked:
            looked.append(found)
            sql(shard, "ALTER TABLE albums ADD COLUMN mood INT NOT NULL DEFAULT 7")
        return found

    monkeypatch.setattr(chunks, "read_tables", altered)
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        worker.wait(lambda: kept.ids("albums") == {1, 2})
    assert [row["after"].get("mood") for row in kept.rows("albums")] == [7, 7]


def test_K05_nothing_from_after_the_place_of_a_table_that_is_read_anew_comes_before_it(
    one: Settings, monkeypatch: pytest.MonkeyPatch
):
    shard, kept, take = one.shards[0], Kept(), Reread._take
    written: list[int] = []

    def late(self: Reread, batch: Batch) -> None:
        """The stream has time to send what is written once the snapshot has its place."""
        if not written:
            written.append(2)
            sql(shard, album(2))
            time.sleep(1.5)
        take(self, batch)

    monkeypatch.setattr(Reread, "_take", late)
    sql(shard, album(1))
    with capturing(one, SMALL, kept) as worker:
        worker.wait_streaming()
        open_store(one).ask("shard_0", "albums")
        worker.wait(lambda: bool(written) and not open_store(one).asked("shard_0"))
        worker.wait(lambda: 2 in kept.ids("albums"))
    assert kept.positions() == sorted(kept.positions())


def test_a_server_that_goes_away_and_comes_back_is_waited_for(
    own: Own,
):
    settings, shard, kept = own.settings, own.settings.shards[0], Kept()
    sql(shard, album(1))
    with capturing(settings, SMALL, kept) as worker:
        worker.wait_streaming()
        own.process.stop()
        worker.wait(lambda: worker.statuses[-1].phase == "failed")
        assert "shard_0" in worker.notes
        own.start()
        sql(shard, album(2))
        worker.wait(lambda: kept.ids("albums") == {1, 2})
    assert [row["op"] for row in kept.rows("albums")] == ["r", "c"]
    assert {epoch for epoch, _ in kept.changes} == {1}


# -- values ----------------------------------------------------------------------------------------

HARD = Source(
    database="flickr", tables=(Table(name="hard", domain="d", owner="team:d", description=""),)
)
_HARD_TABLE = """
CREATE TABLE hard (
  id BIGINT UNSIGNED PRIMARY KEY, latin VARCHAR(40) CHARACTER SET latin1,
  wide VARCHAR(40) CHARACTER SET utf8mb4, cyrillic VARCHAR(20) CHARACTER SET cp1251,
  kind ENUM('free','héll') CHARACTER SET latin1, flags SET('a','ö') CHARACTER SET latin1,
  f FLOAT, f2 FLOAT(7,3), d DOUBLE, ts TIMESTAMP(3) NULL, ts6 TIMESTAMP(6) NULL, dt DATETIME(6),
  t TIME(6), day DATE, y YEAR, bit1 BIT(1), bit9 BIT(9), bit64 BIT(64), bin BINARY(16),
  vbin VARBINARY(16), exact DECIMAL(10,2), huge DECIMAL(65,30), u64 BIGINT UNSIGNED,
  tiny TINYINT(1), u24 MEDIUMINT UNSIGNED, i24 MEDIUMINT, js JSON, secret INT INVISIBLE)
"""
_HARD_ROWS = """
INSERT INTO hard (id, latin, wide, cyrillic, kind, flags, f, f2, d, ts, ts6, dt, t, day, y, bit1,
  bit9, bit64, bin, vbin, exact, huge, u64, tiny, u24, i24, js, secret) VALUES
  ({0}+1, 'Heizölrückstoß', 'Grüße 😀', 'Привет', 'héll', 'a,ö', 16777217, 123.4567, 0.1,
   '2024-11-03 06:30:00', '2024-11-03 07:30:00.123456', '9999-12-31 23:59:59.999999',
   '-838:59:59', '1000-01-01', 2155, b'1', b'101010101', 18446744073709551615, UNHEX('0102'),
   UNHEX('00'), -99999999.99, 12345678901234567890123456789012345.123456789012345678901234567891,
   18446744073709551615, -1, 16777215, -8388608, '{{"a": 1.0}}', 42),
  ({0}+2, '', '', '', 'free', '', 1.17549435e-38, -0.001, 5e-324, '2024-03-10 08:30:00.5',
   '1970-01-01 00:00:01', '1969-12-31 23:59:59.5', '-00:00:00.000001', '9999-12-31', 1901, b'0',
   b'1', 1, NULL, '', 0, 0, 9223372036854775808, 127, 0, 8388607, NULL, NULL),
  ({0}+3, NULL, NULL, NULL, NULL, NULL, 3.4028234e38, 1, 1.7976931348623157e308, NULL,
   '2038-01-19 03:14:07.999999', '2024-03-10 02:30:00', '838:59:59', NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ({0}+4, 'x', 'y', 'z', 'free', 'a', 0.1, 9999.999, -0.0e0, '2024-06-01 00:00:00', NULL, NULL,
   '25:00:00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, 1)
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            (
                (
                    "--character-set-server=latin1",
                    "--collation-server=latin1_swedish_ci",
                    "--default-time-zone=+05:30",
                ),
                "UTC",
            ),
            id="latin1-0530",
        ),
        pytest.param((("--default-time-zone=SYSTEM",), "America/Chicago"), id="utf8mb4-system"),
    ],
)
def odd_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A server with another charset and another time zone."""
    extra, zone = request.param
    settings = one_shard(local_settings(tmp_path_factory.mktemp("odd")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        process = start_shard(
            settings.shards[0], settings.home / "mysql", server_id=78, extra=extra
        )
    yield settings
    process.stop()


def test_values_are_the_same_from_snapshot_and_binlog(odd_server: Settings):
    """B06 B08 C09 C10 C11 C15 D04 D10 E08 E20: whatever the server's charset and zone."""
    shard, kept = odd_server.shards[0], Kept()
    with connect(shard) as cursor:
        cursor.execute("CREATE DATABASE flickr")
        cursor.execute("USE flickr")
        cursor.execute("SET time_zone='+00:00'")
        cursor.execute(_HARD_TABLE)
        cursor.execute(_HARD_ROWS.format(0))
    with capturing(odd_server, HARD, kept) as worker:
        worker.wait_streaming()
        with connect(shard, database="flickr") as cursor:
            cursor.execute("SET time_zone='+00:00'")
            cursor.execute(_HARD_ROWS.format(100))
        worker.wait(lambda: len(kept.rows("hard")) == 8)
    rows = [_comparable(row["after"]) for row in kept.rows("hard")]
    assert rows[:4] == rows[4:]
    first = kept.rows("hard")[0]["after"]
    assert (first["latin"], first["wide"]) == ("Heizölrückstoß", "Grüße 😀")
    assert (first["cyrillic"], first["kind"], first["flags"]) == ("Привет", "héll", "a,ö")
    assert (first["f"], first["u64"], first["secret"]) == (16777216.0, 18446744073709551615, 42)
    assert (first["ts"], first["t"]) == ("2024-11-03T06:30:00Z", -3020399000000)


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    """One instant has several spellings: the snapshot leaves out the zeros of a fraction. So has a
    number of 32 bits: the server writes all digits that it has as one of 64.
    """
    stamps = {name: row[name] and datetime.fromisoformat(row[name]) for name in ("ts", "ts6")}
    single = row["f"] and struct.unpack("f", struct.pack("f", row["f"]))
    return {**row, **stamps, "f": single, "id": row["id"] % 100}


# -- what a person has to put right ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        pytest.param(
            {"password": "wrong"}, SourceError, "SMUG_MYSQL_PASSWORD", id="wrong-password"
        ),
        pytest.param({"port": 1}, SourceUnavailable, "smug up", id="not-reachable"),
        pytest.param({"host": "nowhere.invalid"}, SourceUnavailable, "address", id="no-host"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_in_a_line(
    shards: Settings, change: dict[str, Any], kind: type[SourceError], says: str
):
    with pytest.raises(kind, match=says) as told:
        preflight(replace(shards.shards[0], **change), FLICKR)
    assert "\n" not in str(told.value)


def test_a_shard_that_does_not_answer_keeps_no_other_from_being_captured(fresh_shards: Settings):
    first, second = fresh_shards.shards
    settings = replace(fresh_shards, shards=(replace(second, port=1), first))
    sql(first, album(1))
    kept = Kept()
    with capturing(settings, SMALL, kept) as worker:
        worker.wait(lambda: kept.ids("albums") == {1})
        worker.wait(lambda: "shard_1 at 127.0.0.1:1 can't be reached" in worker.notes)


def test_a_worker_does_not_start_on_a_shard_that_cannot_be_captured(one: Settings):
    missing = Source(database="flickr", tables=(Table(name="prints", domain="d", owner="o"),))
    with capturing(one, missing, Kept()) as worker, pytest.raises(SourceError, match="prints"):
        worker.wait(lambda: False)


# -- kill ------------------------------------------------------------------------------------------


def _spawn(settings: Settings) -> "subprocess.Popen[str]":
    environ = {
        **os.environ,
        "SMUG_ENV": "test",
        "SMUG_HOME": str(settings.home),
        "SMUG_SHARD_COUNT": str(len(settings.shards)),
        "SMUG_MYSQL_PORT": str(settings.shards[0].port),
        "SMUG_KINESIS_PORT": str(settings.stream.endpoint).rpartition(":")[2],
        "PYTHONWARNINGS": "ignore",
        "SMUG_LEASE_SECONDS": "2",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.capture_process"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_SIGKILL_in_mid_stream_loses_nothing(stack: Settings):
    """Killed twice while 10,000 updates each are captured: each is on the stream, in order."""
    settings = one_shard(stack)
    shard, client = settings.shards[0], kinesis_client(settings.stream)
    ensure_stream(client, settings.stream)
    sql(
        shard,
        "INSERT INTO albums SELECT seq, 1, 'x', b'1', 0, NULL, '2026-01-01' FROM seq_1_to_1000",
    )
    process = _spawn(settings)
    try:
        _await_line(process, lambda words: words[1] == "streaming")
        for first in (1, 11):
            for count in range(first, first + 10):
                sql(shard, f"UPDATE albums SET photo_count={count}")
            _await_line(process, lambda words: int(words[2]) > 3000)
            process.kill()
            _end(process)
            process = _spawn(settings)
        seen = _read_until(settings, client, 1000, 20)
    finally:
        process.terminate()
        _end(process)
    for counts in seen.values():
        fresh = [count for n, count in enumerate(counts) if count not in counts[:n]]
        assert fresh == list(range(21))


def _end(process: "subprocess.Popen[str]") -> None:
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _await_line(process: "subprocess.Popen[str]", accept: Any) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if accept(line.split()):
            return
    pytest.fail("the capture process ended by itself")


def _read_until(settings: Settings, client: Any, keys: int, last: int) -> dict[int, list[int]]:
    """The counts of each album in the order of the stream, once every album has the last one."""
    reader = Reader(client, settings.stream.name, Claims(settings.claims))
    seen: dict[int, list[int]] = {}
    positions, until = None, time.monotonic() + PATIENCE
    while len(seen) < keys or any(last not in counts for counts in seen.values()):
        assert time.monotonic() < until, "changes are missing"
        batch = reader.read(positions, max_seconds=1)
        positions = batch.positions
        for record in batch.records:
            envelope = orjson.loads(record.data)
            if envelope["topic"].endswith(".albums"):
                after = envelope["value"]["after"]
                seen.setdefault(after["id"], []).append(after["photo_count"])
        if batch.at_tip:
            time.sleep(0.1)
    return seen
