"""The whole way over real parts: shards, Debezium, Kinesis, raw, lake, warehouse, marts.

The source is the oracle. One stack serves the module; the tests stand in the order of its life, and
those that spoil something come last.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pymysql
import pytest

from smug_platform.capture import server
from smug_platform.capture.position import file_number
from smug_platform.cli import main
from smug_platform.local import mariadb
from smug_platform.local.kinesis import forget_streams
from smug_platform.local.mariadb import connect
from smug_platform.local.stack import settings_environ
from smug_platform.local.workload import run_workload
from smug_platform.oracle.arrival import (
    Cut,
    NotArrived,
    capture_states,
    uncaptured,
    unlanded,
)
from smug_platform.oracle.reconcile import Comparison, reconcile
from smug_platform.raw.deltas import open_deltas
from smug_platform.settings import Settings, StreamSettings, load_settings
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.sync import Platform
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source, Table
from tests.conftest import free_port, fresh_database
from tests.states import keep_state, state_of

PATIENCE = 90.0


@dataclass
class Way:
    """The stack of this module, and what moves changes along it."""

    settings: Settings
    platform: Platform
    capture: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """The capture worker, as the command line runs it."""
        log = self.settings.home / "capture.log"
        with log.open("ab") as output:
            self.capture = subprocess.Popen(
                [sys.executable, "-m", "smug_platform.cli", "capture"],
                env={**os.environ, **settings_environ(self.settings)},
                stdout=output,
                stderr=output,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the worker with a signal; its exit code."""
        assert self.capture is not None
        self.capture.send_signal(number)
        return self.capture.wait(60)

    def write(self, changes: int, seed: int, **more: object) -> None:
        run_workload(self.settings.shards, seed=seed, changes=changes, **more)  # type: ignore[arg-type]

    def bring(self) -> None:
        """Land, merge and load what is there, without building on it."""
        list(self.platform.land())
        for target in self.platform.unmerged():
            self.platform.merge(target)
        for loaded in self.platform.load():
            assert not isinstance(loaded, Exception), loaded

    def catch_up(self) -> None:
        """Until all that the shards hold now has been loaded."""
        cuts = []
        for shard in self.settings.shards:
            with server.connect(shard) as connection:
                file, offset = server.newest_position(connection)
            cuts.append(Cut(shard.name, 1, file_number(file), offset))

        def arrived() -> bool:
            states = capture_states(self.settings)
            if uncaptured(states, cuts) is not None:
                return False
            self.bring()
            return unlanded(states, open_deltas(self.platform.lakehouse.catalog)) is None

        eventually(arrived)

    def verified(self, *tables: str) -> list[Comparison]:
        """Compare these tables, or all; fails with what differs."""
        found = reconcile(self.settings, FLICKR, tables=tables or None, timeout=PATIENCE)
        assert [str(d) for one in found for d in one.differences] == []
        assert all(one.equal for one in found)
        return found


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def way(
    shards: Settings, kinesis: StreamSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Way]:
    for shard in shards.shards:
        fresh_database(shard)
    forget_streams(kinesis)
    ensure_stream(kinesis_client(kinesis), kinesis)
    home = tmp_path_factory.mktemp("way")
    moved = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})
    settings = replace(moved, shards=shards.shards, stream=kinesis, ui_port=shards.ui_port)
    made = Way(settings, Platform(settings, FLICKR))
    yield made
    if made.capture is not None and made.capture.poll() is None:
        made.stop()


@contextmanager
def aside(work: Callable[[threading.Event], None]) -> Iterator[threading.Event]:
    """Run something beside until the block ends; its failure fails the test."""
    stop, failures = threading.Event(), list[Exception]()

    def run() -> None:
        try:
            work(stop)
        except Exception as error:  # noqa: BLE001  told below
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(60)
        if failures:
            raise failures[0]


def smug(
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    environ: dict[str, str] | None = None,
) -> int:
    """Run the command line here, in this module's environment; its exit code."""
    for name, value in {**settings_environ(way.settings), **(environ or {})}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["smug", *arguments])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_a_workload_arrives_and_is_verified(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    way.write(1_000, seed=1, evolve=False)
    way.start()
    eventually(lambda: len(capture_states(way.settings)) == 2)
    way.write(2_000, seed=2)
    way.catch_up()
    assert smug(way, monkeypatch, "sync", "--until-quiet") == 0
    assert "failed" not in capsys.readouterr().out
    assert smug(way, monkeypatch, "verify") == 0
    assert "verified: source = lake = warehouse" in capsys.readouterr().out
    assert smug(way, monkeypatch, "status") == 0
    shown = capsys.readouterr().out
    assert "streaming" in shown
    assert "quarantine: empty" in shown
    assert smug(way, monkeypatch, "dashboard") == 0
    assert Path(capsys.readouterr().out.strip()).stat().st_size > 500_000


def test_capture_that_is_killed_in_mid_stream_loses_and_doubles_nothing(way: Way) -> None:
    state = state_of(way.settings)
    assert state is not None
    assert state.position is not None
    before = state.position

    def moved() -> bool:
        now = state_of(way.settings)
        return now is not None and now.position is not None and now.position > before

    with aside(lambda stop: way.write(6_000, seed=3, rate=1_500, stop=stop)) as stop:
        eventually(moved)
        assert way.stop(signal.SIGKILL) == -signal.SIGKILL
        way.start()
        way.bring()
        stop.wait(1)
        stop.set()
    way.catch_up()
    way.verified()


def test_R08_verified_while_members_write(way: Way) -> None:
    def bring(stop: threading.Event) -> None:
        while not stop.wait(0.5):
            way.bring()

    def write(stop: threading.Event) -> None:
        way.write(50_000, seed=4, rate=100, stop=stop)

    with aside(write), aside(bring):
        time.sleep(1)
        found = way.verified("photos", "comments", "photo_views")
    assert sum(one.rows for one in found) > 1_000
    way.catch_up()


def test_sigterm_ends_capture_cleanly(way: Way) -> None:
    assert way.stop() == 0
    log = (way.settings.home / "capture.log").read_text()
    assert "Traceback" not in log
    assert "stopped at" in log


def test_what_has_not_arrived_is_named(way: Way) -> None:
    with connect(way.settings.shards[0], database="flickr") as cursor:
        cursor.execute("INSERT INTO photo_views VALUES (5, 'DE', 'by hand', '2024-01-01')")
    with pytest.raises(NotArrived, match=r"not captured.*shard_0 before.*smug up"):
        reconcile(way.settings, FLICKR, tables=["photo_views"], timeout=0.5)
    way.start()
    eventually(lambda: _captured(way))
    with pytest.raises(NotArrived, match=r"not landed.*shard_0.*smug sync"):
        reconcile(way.settings, FLICKR, tables=["photo_views"], timeout=0.5)
    list(way.platform.land())
    with pytest.raises(NotArrived, match=r"not merged.*photo_views.*smug sync"):
        reconcile(way.settings, FLICKR, tables=["photo_views"], timeout=0.5)
    for target in way.platform.unmerged():
        way.platform.merge(target)
    with pytest.raises(NotArrived, match=r"not loaded.*photo_views.*smug sync"):
        reconcile(way.settings, FLICKR, tables=["photo_views"], timeout=0.5)
    way.bring()
    assert all(one.equal for one in reconcile(way.settings, FLICKR, tables=["photo_views"]))


def test_a_capture_that_fell_back_an_epoch_is_not_verified(way: Way) -> None:
    """Every row then stands after the place at which the source is read, and none is compared."""
    assert way.stop() == 0
    state = state_of(way.settings)
    assert state is not None
    keep_state(way.settings, replace(state, epoch=state.epoch - 1))
    found = reconcile(way.settings, FLICKR, tables=["photos"], timeout=PATIENCE)
    keep_state(way.settings, state)
    way.start()
    assert {one.shard: one.equal for one in found} == {"shard_0": False, "shard_1": True}
    assert "source is only at 0/" in str(found[0].differences[0])


def _captured(way: Way) -> bool:
    shard = way.settings.shards[0]
    with server.connect(shard) as connection:
        file, offset = server.newest_position(connection)
    cut = Cut(shard.name, 1, file_number(file), offset)
    return uncaptured(capture_states(way.settings), [cut]) is None


BAD: list[tuple[tuple[str, ...], dict[str, str], str]] = [
    (("verify",), {"SMUG_MYSQL_PASSWORD": "guessed"}, "SMUG_MYSQL_PASSWORD"),
    (("workload",), {"SMUG_MYSQL_PASSWORD": "guessed"}, "SMUG_MYSQL_PASSWORD"),
    (("status",), {"SMUG_ENV": "production"}, "local, test, staging, prod"),
    (("sync",), {"SMUG_KINESIS_PORT": "free"}, "smug up"),
    (("capture",), {"SMUG_KINESIS_PORT": "free", "SMUG_HOME": "elsewhere"}, "smug up"),
    (
        ("capture",),
        {"SMUG_MYSQL_PASSWORD": "guessed", "SMUG_HOME": "elsewhere"},
        "SMUG_MYSQL_PASSWORD",
    ),
    (("up",), {"SMUG_HOME": "elsewhere"}, "SMUG_MYSQL_PORT"),
    (("verify", "fotos"), {}, "no table 'fotos' is declared"),
    (("workload",), {"SMUG_MYSQL_PORT": "free"}, "smug up"),
]


@pytest.mark.parametrize(("arguments", "environ", "remedy"), BAD)
def test_bad_input_is_one_line_that_says_what_to_do(
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    *,
    arguments: tuple[str, ...],
    environ: dict[str, str],
    remedy: str,
) -> None:
    given = {"free": lambda: str(free_port(2)), "elsewhere": lambda: str(tmp_path)}
    environ = {n: given[v]() if v in given else v for n, v in environ.items()}
    assert smug(way, monkeypatch, *arguments, environ=environ) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert remedy in said


def test_without_mariadbd_one_line_says_what_to_install(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(mariadb, "_SERVER_FOLDERS", "")
    environ = {"PATH": "/nowhere", "SMUG_HOME": str(tmp_path), "SMUG_MYSQL_PORT": str(free_port(2))}
    assert smug(way, monkeypatch, "up", environ=environ) == 2
    assert "apt-get install mariadb-server" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["verify", "capture"])
def test_a_declared_table_that_the_source_lacks(
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    *,
    command: str,
) -> None:
    from smug_platform.cli import capture, show

    more = Table(name="contests", domain="community", owner="team:community")
    source = Source(database="flickr", tables=(*FLICKR.tables, more))
    monkeypatch.setattr(show, "FLICKR", source)
    monkeypatch.setattr(capture, "Declared", lambda: lambda: source)
    environ = {"SMUG_HOME": str(tmp_path)} if command == "capture" else {}
    arguments = ["verify", "contests"] if command == "verify" else ["capture"]
    assert smug(way, monkeypatch, *arguments, environ=environ) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "flickr.contests is declared" in said


def test_R08_a_row_changed_by_hand_in_the_source_is_found(
    way: Way, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with as_root(way) as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("SELECT MIN(id) FROM comments")
        (id_,) = cursor.fetchone() or (0,)
        cursor.execute("UPDATE comments SET body = 'by hand' WHERE id = %s", (id_,))
        cursor.execute(
            "UPDATE photos SET rating = rating + 1e-6 WHERE rating BETWEEN 1 AND 2 LIMIT 1"
        )
    assert smug(way, monkeypatch, "verify", "comments", "photos", "albums") == 1
    shown = capsys.readouterr().out
    assert f"id={id_}" in shown
    assert "'by hand'" in shown
    assert "rating" in shown
    assert "not verified: 2 rows differ, in photos, comments" in shown


def test_R08_a_row_changed_by_hand_in_the_warehouse_is_found(way: Way) -> None:
    with duckdb.connect(str(way.settings.warehouse_path)) as connection:
        connection.execute(
            "update warehouse.orders set total = total + 0.01"
            " where _shard = 'shard_0' and id = (select min(id) from warehouse.orders"
            " where _shard = 'shard_0' and not _is_deleted)"
        )
        connection.execute("delete from warehouse.album_photos where _shard = 'shard_1'")
    compared = reconcile(way.settings, FLICKR, tables=["orders", "album_photos"])
    found = {(one.table, one.shard): one for one in compared}
    (difference,) = found["orders", "shard_0"].differences
    assert difference.column == "total"
    assert difference.source == difference.lake != difference.warehouse
    gone = found["album_photos", "shard_1"]
    assert gone.different == gone.rows > 0
    assert {(one.lake, one.warehouse) for one in gone.differences} == {("1", "0")}
    assert found["orders", "shard_1"].equal
    assert found["album_photos", "shard_0"].equal


def test_R08_a_row_changed_by_hand_in_the_lake_is_found(way: Way) -> None:
    table = way.platform.lakehouse.catalog.load_table("lake.albums")
    rows = table.scan(row_filter="_shard = 'shard_0' and _is_deleted = false").to_arrow()
    bad = rows.slice(0, 1)
    id_ = bad["id"][0].as_py()
    wrong = pa.array(["by hand"], bad.schema.field("title").type)
    bad = bad.set_column(bad.schema.get_field_index("title"), "title", wrong)
    table.overwrite(
        bad.cast(table.schema().as_arrow()), overwrite_filter=f"_shard = 'shard_0' and id = {id_}"
    )
    found = {
        one.shard: one for one in reconcile(way.settings, FLICKR, tables=["albums"], timeout=5)
    }
    assert found["shard_1"].equal
    (difference,) = found["shard_0"].differences
    assert difference.key == f"id={id_}"
    assert (difference.column, difference.lake) == ("title", "'by hand'")
    assert difference.source == difference.warehouse
    assert pc.count(rows["id"]).as_py() == found["shard_0"].rows


@contextmanager
def as_root(way: Way) -> Iterator[pymysql.cursors.Cursor]:
    """The first shard as its system user, who may write past the binlog."""
    with connect(way.settings.shards[0]) as cursor:
        cursor.execute("SELECT @@datadir")
        (folder,) = cursor.fetchone() or ("",)
    connection = pymysql.connect(
        unix_socket=f"{folder}mariadbd.sock", user="root", database="flickr", autocommit=True
    )
    with connection, connection.cursor() as cursor:
        yield cursor
