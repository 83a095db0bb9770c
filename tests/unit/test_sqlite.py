import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smug_platform.capture.items import SqliteItems
from smug_platform.realtime.store import Store
from smug_platform.sqlite import ensure_database

TOGETHER = 8
ROUNDS = 25


def open_live(path: Path) -> None:
    with Store(path) as store:
        store.progress()


def take_a_lease(path: Path) -> None:
    SqliteItems(path).update("lease", threading.current_thread().name, {"n": 1}, expect={})


@pytest.mark.parametrize("use", [open_live, take_a_lease])
def test_a_file_can_be_used_while_another_makes_it(
    use: Callable[[Path], None], tmp_path: Path
) -> None:
    start = threading.Barrier(TOGETHER)

    def at_once(path: Path) -> None:
        start.wait()
        use(path)

    with ThreadPoolExecutor(TOGETHER) as pool:
        for number in range(ROUNDS):
            path = tmp_path / f"{number}.db"
            for done in [pool.submit(at_once, path) for _ in range(TOGETHER)]:
                done.result()
    assert sorted(p.name for p in tmp_path.glob(".*")) == []


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    ensure_database(path, "create table a (b); insert into a values (1);")
    ensure_database(path, "create table another (b);")
    with sqlite3.connect(path) as connection:
        assert connection.execute("select b from a").fetchall() == [(1,)]
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()


def test_half_a_file_is_left_by_nobody(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        ensure_database(tmp_path / "one.db", "create table a (b); no statement;")
    assert list(tmp_path.iterdir()) == []
