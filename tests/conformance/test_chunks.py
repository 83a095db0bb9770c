"""Tables whose rows are read in pieces by their key while their shard is streamed."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from smug_platform.capture import pieces, server
from smug_platform.capture.resources import open_store
from smug_platform.capture.state import State
from smug_platform.local.mariadb import connect
from smug_platform.raw import deltas as raw
from smug_platform.settings import Settings, Shard
from smug_platform.tables.table import Table
from tests.conformance.bulk import SOURCE, capture_process, kill_when
from tests.conformance.stack import Capture, Stack, wait
from tests.conformance.test_bulk import assert_equal, stack
from tests.pipeline.test_whole_way import aside
from tests.states import state_of

__all__ = ["stack"]
KEYS = {
    "moments": ("at", "DATETIME(3)"),
    "uuids": ("id", "CHAR(36) CHARACTER SET latin1"),
    "sparse": ("id", "BIGINT UNSIGNED"),
    "pairs": ("a", "VARCHAR(9)"),
    "bits": ("id", "VARBINARY(20)"),
}
ROWS = 30_000


def ask(stack: Stack, *tables: str) -> None:
    for table in tables:
        open_store(stack.settings).ask("shard_0", table)


def wait_read(stack: Stack, capture: Capture) -> None:
    wait(
        lambda: (
            not open_store(stack.settings).asked("shard_0")
            and (state := state_of(stack.settings)) is not None
            and not state.unread
        ),
        alive=capture.check,
    )


def rows_read(stack: Stack) -> Counter[tuple[str, str]]:
    """How often each row came from a snapshot, by table and key."""
    deltas = raw.open_deltas(stack.platform.lakehouse.catalog).scan().to_arrow().to_pylist()
    return Counter((row["table_name"], row["key"]) for row in deltas if row["op"] == "r")


def test_C17_K04_K09_pieces_of_one_row_skip_and_repeat_none_whatever_the_key(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [Table(name=name, domain="cases", owner="team:tests", key=(key,))
              for name, (key, _) in KEYS.items() if name != "pairs"]  # fmt: skip
    pairs = Table(name="pairs", domain="cases", owner="team:tests", key=("a", "b"))
    stack.source = replace(SOURCE, tables=(*others, pairs))
    for name, (key, kind) in KEYS.items():
        more = ", b INT NOT NULL" if name == "pairs" else ""
        primary = f"{key}, b" if name == "pairs" else key
        stack.write(
            0, f"CREATE TABLE {name} ({key} {kind}{more}, v VARCHAR(60), PRIMARY KEY ({primary}))"
        )
    stack.write(
        0,
        "INSERT INTO moments SELECT '2026-03-29 01:59:59.9' + INTERVAL seq * 1000 MICROSECOND, seq"
        " FROM seq_1_to_120",
        "INSERT INTO uuids SELECT UUID(), seq FROM seq_1_to_60",
        "INSERT INTO sparse SELECT POW(2, seq), seq FROM seq_0_to_63",
        "INSERT INTO pairs SELECT CONCAT('é\\'', seq DIV 9), CAST(seq % 9 AS SIGNED) - 4, seq"
        " FROM seq_1_to_60",
        "INSERT INTO bits SELECT UNHEX(SHA1(seq)), seq FROM seq_1_to_60",
    )
    expected = 120 + 60 + 64 + 60 + 60
    with stack.capturing() as capture:
        capture.wait_streaming()
        monkeypatch.setattr(pieces, "_PIECE_ROWS", 1)
        ask(stack, *KEYS)
        wait_read(stack, capture)
        capture.reach()
        stack.sync()
        assert set(rows_read(stack).values()) == {2}  # by the first snapshot, and by this one
        assert len(rows_read(stack)) == expected
        before = rows_read(stack).total()
        ask(stack, "moments")
        wait(lambda: _has_read(state_of(stack.settings), 1), alive=capture.check)
        with aside(partial(_grow, stack)):  # its end was looked up: the rows of now and no more
            wait_read(stack, capture)
        capture.reach()
        stack.sync()
        assert rows_read(stack).total() - before < _count(stack, "moments") / 2
        ask(stack, "sparse")
        wait(lambda: _has_read(state_of(stack.settings), 1), alive=capture.check)
        stack.write(
            0,
            "DELETE FROM sparse WHERE v IN (1, 62)",
            "INSERT INTO sparse VALUES (0, 'first'), (18446744073709551615, 'last')",
            "UPDATE sparse SET id = 3 WHERE v = '63'",
        )
        wait_read(stack, capture)
        capture.reach()
    assert stack.sync() == {}
    with connect(stack.settings.shards[0], database=SOURCE.database) as cursor:
        cursor.execute("SELECT id, v FROM sparse")
        held = Counter(cursor.fetchall())
    lake = stack.platform.lakehouse.catalog.load_table("lake.sparse").scan().to_arrow().to_pylist()
    assert Counter((row["id"], row["v"]) for row in lake if not row["_is_deleted"]) == held


def _grow(stack: Stack, stop: threading.Event) -> None:
    """Rows at the end of a table, more than are read of it meanwhile."""
    for turn in itertools.count(1):
        if stop.wait(0.05):
            return
        stack.write(
            0,
            "INSERT INTO moments SELECT '2030-01-01' + INTERVAL"
            f" {turn} * 100000 + seq * 1000 MICROSECOND, seq FROM seq_1_to_90",
        )


def _count(stack: Stack, table: str) -> int:
    with connect(stack.settings.shards[0], database=SOURCE.database) as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        ((count,),) = cursor.fetchall()
    return int(count)


def test_K13_G23_a_table_that_is_being_read_is_read_on_after_kills_and_a_schema_change(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pieces, "_PIECE_ROWS", 200)
    stack.write(
        0,
        "ALTER TABLE lefts ADD COLUMN w INT NOT NULL DEFAULT 5",
        f"INSERT INTO lefts (id, v) SELECT seq, 'old' FROM seq_1_to_{ROWS}",
    )
    with stack.capturing() as capture:
        capture.reach()
    stack.sync()

    def churn(stop: threading.Event) -> None:
        for turn in itertools.count(1):
            if stop.wait(0.01):
                return
            stack.write(
                0,
                f"INSERT IGNORE INTO lefts (id, v) VALUES ({ROWS + turn}, 'new')",
                f"UPDATE lefts SET v = 'turn {turn}' WHERE id = {1 + turn * 7919 % ROWS}",
                f"UPDATE IGNORE lefts SET id = id + 1000000 WHERE id = {1 + turn * 6007 % ROWS}",
                f"DELETE FROM lefts WHERE id = {1 + turn * 7001 % ROWS}",
            )

    ask(stack, "lefts")
    _kill_first_reader(stack.settings, monkeypatch)
    with aside(churn):
        with capture_process(stack.settings) as process:
            left = kill_when(process, stack.settings, lambda state: _has_read(state, 5_000))
        with stack.capturing() as capture:
            wait(lambda: "is read on later" in caplog.text, alive=capture.check)
            assert _has_read(state_of(stack.settings), left.unread[0].rows)
            stack.write(0, "ALTER TABLE lefts ADD COLUMN extra INT DEFAULT 7, ALGORITHM=COPY")
            wait(lambda: _has_read(state_of(stack.settings), left.unread[0].rows + 8_000))
            stack.write(0, "ALTER TABLE lefts CHANGE w x INT NOT NULL DEFAULT 5, ALGORITHM=INSTANT")
            wait_read(stack, capture)
            stack.write(0, "UPDATE lefts SET extra = 8 WHERE id % 5 = 0")
    with stack.capturing() as capture:
        capture.reach()
    assert left.unread[0].rows >= 5_000
    assert_equal(stack, ("lefts",))
    lake = stack.platform.lakehouse.catalog.load_table("lake.lefts").scan().to_arrow().to_pylist()
    assert {row["x"] for row in lake if not row["_is_deleted"]} == {5}
    counts = Counter(rows_read(stack).values())
    assert counts[2] > 0.9 * ROWS  # once by each snapshot
    assert counts[3] + counts[4] <= 4 * 4096  # what was sent, and not yet remembered
    payloads = raw.open_deltas(stack.platform.lakehouse.catalog).scan().to_arrow().to_pylist()
    images = [json.loads(row["payload"])["after"] for row in payloads if row["op"] == "r"]
    assert {image.get("extra", "none yet") for image in images} == {7, "none yet"}


def _has_read(state: State | None, rows: int) -> bool:
    return state is not None and bool(state.unread) and state.unread[0].rows >= rows


def _kill_first_reader(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the first connection that reads rows here amid its reading, as an operator would."""
    open_view = server.open_view
    killed: list[int] = []

    def kill(number: int) -> None:
        with connect(settings.shards[0]) as cursor:
            cursor.execute(f"KILL CONNECTION {number}")

    def opened(
        connection: server.Connection, shard: Shard, tables: Sequence[str]
    ) -> tuple[str, int]:
        if not killed:
            killed.append(connection.thread_id())
            threading.Timer(0.2, kill, killed).start()
        return open_view(connection, shard, tables)

    monkeypatch.setattr(server, "open_view", opened)
