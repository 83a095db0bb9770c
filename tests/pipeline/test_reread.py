"""Tables read anew while their shard is streamed: the source is the oracle, over the real parts.

Written to meanwhile: updates, deletes, rows that change their key, members that move. The tests
stand in the order of the stack's life.
"""

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

from smug_platform.capture.resources import open_store
from smug_platform.errors import SmugError
from smug_platform.local.mariadb import connect
from smug_platform.oracle.reconcile import reconcile
from smug_platform.raw.deltas import open_deltas
from smug_platform.settings import Shard
from smug_platform.tables.flickr import FLICKR
from tests.pipeline.test_whole_way import PATIENCE, Way, aside, eventually, smug, way
from tests.states import state_of

__all__ = ["way"]
TABLES = ("albums", "photos", "photo_views")  # the last has no key, so that doubles show
ALBUMS = 25_000


def _unlogged(shard: Shard, *statements: str) -> None:
    """Change rows without a word in the binlog, as root may."""
    with connect(shard) as cursor:
        cursor.execute("SELECT CONCAT(@@datadir, @@socket) AS at")
        (path,) = cursor.fetchone() or ("",)
    os.chdir(Path(str(path)).parent)  # a socket's whole path has 107 bytes at most
    with (
        pymysql.connect(
            unix_socket=Path(str(path)).name, user="root", database="flickr", autocommit=True
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET sql_log_bin = 0")
        for statement in statements:
            cursor.execute(statement)


def _churn(shard: Shard, stop: threading.Event) -> None:
    """Updates, deletes, inserts and moved keys, all over the tables that are read."""
    with connect(shard, database="flickr") as cursor:
        for turn in itertools.count():
            if stop.wait(0.02):
                return
            low = 1 + turn * 37 % ALBUMS
            cursor.execute(f"UPDATE albums SET photo_count={turn % 999} WHERE id={low}")
            cursor.execute(f"DELETE FROM albums WHERE id={low + 5}")
            cursor.execute(f"UPDATE IGNORE albums SET id=id+1000000 WHERE id={low + 9}")
            cursor.execute(f"UPDATE IGNORE albums SET id=id-1000000 WHERE id={1000000 + low - 28}")
            cursor.execute(f"INSERT INTO photo_views VALUES ({turn}, 'DE', 'x', '2026-01-01')")
            cursor.execute(f"DELETE FROM photo_views WHERE photo_id={turn - 3} LIMIT 1")
            if turn % 50 == 0:
                cursor.execute(f"UPDATE photo_views SET referrer='{turn}' LIMIT 20")


@contextmanager
def written(way: Way) -> Iterator[None]:
    def members(stop: threading.Event) -> None:
        way.write(100_000, seed=7, rate=100, stop=stop, evolve=False)

    first, second = way.settings.shards
    with (
        aside(members),
        aside(lambda stop: _churn(first, stop)),
        aside(lambda stop: _churn(second, stop)),
    ):
        yield


def _await_read(way: Way) -> None:
    store = open_store(way.settings)
    eventually(lambda: not any(store.asked(shard.name) for shard in way.settings.shards))


def _differ(way: Way) -> set[tuple[str, str]]:
    found = reconcile(way.settings, FLICKR, tables=TABLES, timeout=PATIENCE)
    return {(one.table, one.shard) for one in found if not one.equal}


def test_I09_K05_what_the_binlog_never_told_comes_with_a_table_that_is_read_anew(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(way.settings.home)
    for shard in way.settings.shards:
        start = 1 if shard.name == "shard_0" else 500_000
        with connect(shard, database="flickr") as cursor:
            cursor.execute(
                "INSERT INTO albums (id, account_id, title, created_at)"
                f" SELECT seq, 1, 'x', '2026-01-01' FROM seq_{start}_to_{start + ALBUMS}"
            )
    way.write(1_000, seed=1, evolve=False)
    way.start()
    eventually(
        lambda: all(
            (state := state_of(way.settings, shard.name)) and not state.in_snapshot
            for shard in way.settings.shards
        )
    )
    way.catch_up()
    first = way.settings.shards[0]
    _unlogged(
        first,
        "DELETE FROM albums WHERE id % 100 = 3",
        "UPDATE albums SET title='unseen' WHERE id % 100 = 4",
        "INSERT INTO albums (id, account_id, title, created_at)"
        " VALUES (900001, 1, 'unheard', '2026-01-01')",
        "INSERT INTO photo_views VALUES (5000077, 'FR', 'unheard', '2026-01-01')",
    )
    assert _differ(way) == {("albums", "shard_0"), ("photo_views", "shard_0")}
    epochs = [state_of(way.settings, shard.name) for shard in way.settings.shards]
    with written(way):
        assert smug(way, monkeypatch, "snapshot", *TABLES) == 0
        assert "shard_1" in capsys.readouterr().out
        assert smug(way, monkeypatch, "status") == 0
        assert "albums" in capsys.readouterr().out
        _await_read(way)
    way.catch_up()
    assert _differ(way) == set()
    way.verified()
    for before, shard in zip(epochs, way.settings.shards, strict=True):
        now = state_of(way.settings, shard.name)
        assert before is not None
        assert now is not None
        assert now.epoch == before.epoch
        assert now.resnapshot is None


def test_K07_only_the_rows_of_a_condition_come_and_the_stream_stays_full(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(way.settings.home)
    first, store = way.settings.shards[0], open_store(way.settings)
    with connect(first, database="flickr") as cursor:
        cursor.execute(
            "INSERT INTO albums (id, account_id, title, created_at)"
            " SELECT seq, 1, 'x', '2026-01-01' FROM seq_800001_to_800099"
        )
    way.catch_up()
    _unlogged(
        first,
        "UPDATE albums SET title='unseen' WHERE id IN (800011, 800051)",
        "DELETE FROM albums WHERE id = 800012",
    )
    bad = ("snapshot", "albums", "--where", "id < 5) OR (1 = 1")
    assert smug(way, monkeypatch, *bad) == 2
    assert "can't be asked of" in capsys.readouterr().err
    assert not store.filtered("shard_0")
    before = _read_rows(way)
    with written(way):
        some = ("--where", "id BETWEEN 800001 AND 800040", "--shard", "shard_0")
        assert smug(way, monkeypatch, "snapshot", "albums", *some) == 0
        eventually(lambda: not store.filtered("shard_0"))
    eventually(lambda: (state := state_of(way.settings)) is not None and not state.unread)
    way.catch_up()
    came = _read_rows(way) - before
    assert came == {("albums", f'{{"id":{key}}}') for key in range(800001, 800041) if key != 800012}
    found = reconcile(way.settings, FLICKR, tables=TABLES, timeout=PATIENCE)
    told = [str(each) for one in found for each in one.differences]
    assert len(told) == 2
    assert all(any(str(key) in each for each in told) for key in (800012, 800051))
    assert smug(way, monkeypatch, "snapshot", "albums", "--shard", "shard_0") == 0
    _await_read(way)
    way.catch_up()
    assert _differ(way) == set()


def _read_rows(way: Way) -> set[tuple[str, str]]:
    """Table and key of each row that a snapshot brought to the first shard."""
    deltas = open_deltas(way.platform.lakehouse.catalog).scan().to_arrow().to_pylist()
    found = [one for one in deltas if (one["op"], one["shard"]) == ("r", "shard_0")]
    return {(one["table_name"], one["key"]) for one in found}


def test_K06_capture_that_is_killed_amid_a_table_reads_all_that_were_asked_for_meanwhile(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(way.settings.home)
    first = way.settings.shards[0]
    _unlogged(first, "DELETE FROM albums WHERE id % 100 = 13")

    def amid() -> bool:
        """Whether it has begun with the rows; asked for again where it ended unseen."""
        if "albums" not in open_store(way.settings).asked("shard_0"):
            assert smug(way, monkeypatch, "snapshot", "albums", "--shard", "shard_0") == 0
        state = state_of(way.settings)
        return state is not None and any(unread.rows for unread in state.unread)

    with written(way):
        for _ in range(2):
            eventually(amid)
            asked = ("albums", "photos", "--shard", "shard_0")
            assert smug(way, monkeypatch, "snapshot", *asked) == 0
            assert way.stop(signal.SIGKILL) == -signal.SIGKILL
            assert set(open_store(way.settings).asked("shard_0")) == {"albums", "photos"}
            way.bring()
            way.start()
        _await_read(way)
    way.catch_up()
    way.verified()


def test_K06_a_table_that_is_not_there_is_told(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in (("fotos",), ("photos", "--shard", "shard_9")):
        assert smug(way, monkeypatch, "snapshot", *given) == 2
        assert given[-1] in capsys.readouterr().err
    with pytest.raises(SmugError, match="fotos"):
        reconcile(way.settings, FLICKR, tables=["fotos"])
    assert not any(open_store(way.settings).asked(s.name) for s in way.settings.shards)
