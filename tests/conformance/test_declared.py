"""A contract that changes while capture runs."""

import itertools
import threading
from dataclasses import replace

from pyiceberg.expressions import And, EqualTo, NotEqualTo

from smug_platform.capture.config import captured
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import KeyScope, Table
from tests.conformance.bulk import SOURCE
from tests.conformance.stack import Capture, Stack, wait
from tests.conformance.test_bulk import assert_equal, raw_counts, stack
from tests.pipeline.test_whole_way import aside
from tests.states import state_of

__all__ = ["stack"]
ROWS = 20_000
LEFTS, RIGHTS = SOURCE.tables
LOOSE = Table(name="loose", domain="cases", owner="team:tests", key=(), key_scope="shard")


def captured_tables(stack: Stack) -> set[str]:
    state = state_of(stack.settings)
    assert state is not None
    return {line.split()[0].partition(".")[2] for line in state.tables}


def declare(stack: Stack, capture: Capture, *tables: Table) -> None:
    """Change the contract, and wait until capture goes by it."""
    stack.source = replace(SOURCE, tables=tables)
    stack.__dict__.pop("platform", None)
    wait(lambda: captured_tables(stack) == {table.name for table in tables}, alive=capture.check)


def test_G20_a_table_that_is_declared_while_capture_runs_comes_without_a_restart(
    stack: Stack,
) -> None:
    fill = f"INSERT INTO {{}} SELECT seq, 'old' FROM seq_1_to_{ROWS}"
    stack.write(0, "DROP TABLE rights", fill.format("lefts"))
    stack.source = replace(SOURCE, tables=(LEFTS,))

    def churn(stop: threading.Event) -> None:
        """Rows that come, change, move and go, each for some time beside a copy without a key."""
        for turn in itertools.count(1):
            if stop.wait(0.01):
                return
            for table in ("lefts", "rights"):
                stack.write(
                    0,
                    f"INSERT INTO {table} VALUES ({ROWS + turn}, 'new')",
                    f"UPDATE {table} SET v = 'turn {turn}' WHERE id = {1 + turn * 7 % ROWS}",
                    f"UPDATE IGNORE {table} SET id = id + 1000000 WHERE id = {1 + turn * 3 % ROWS}",
                    f"DELETE FROM {table} WHERE id = {1 + turn * 5 % ROWS}",
                )
            stack.write(
                0,
                f"INSERT INTO loose VALUES ({turn % 9}, 'twin')",
                f"DELETE FROM loose WHERE id = {turn % 4} LIMIT 1",
            )

    with stack.capturing() as capture:
        capture.wait_streaming()
        stack.write(
            0,
            "CREATE TABLE rights (id INT UNSIGNED PRIMARY KEY, v VARCHAR(60))",
            "CREATE TABLE loose (id INT, v VARCHAR(60))",
            fill.format("rights"),
            "INSERT INTO loose SELECT seq % 9, 'twin' FROM seq_1_to_1000",
        )
        with aside(churn):
            declare(stack, capture, LEFTS, RIGHTS, LOOSE)
        capture.reach()
        assert_equal(stack, ("lefts", "rights", "loose"))
        state = state_of(stack.settings)
        assert state is not None
        assert (state.epoch, state.resnapshot) == (1, None)
        assert read_rows(stack, "lefts") == ROWS
        assert read_rows(stack, "rights") > ROWS / 2


def test_a_table_is_waited_for_and_given_up_and_stops_no_other(
    stack: Stack,
) -> None:
    stack.write(0, "DROP TABLE rights")
    stack.source = replace(SOURCE, tables=(LEFTS,))
    with stack.capturing() as capture:
        capture.wait_streaming()
        stack.source = SOURCE
        wait(lambda: any("rights is declared but" in n for n in capture.notes), alive=capture.check)
        stack.write(0, "INSERT INTO lefts VALUES (1, 'meanwhile')")
        capture.reach()
        assert captured_tables(stack) == {"lefts"}
        stack.write(
            0,
            "CREATE TABLE rights (id INT UNSIGNED PRIMARY KEY, v VARCHAR(60))",
            "INSERT INTO rights VALUES (2, 'at last')",
        )
        declare(stack, capture, LEFTS, RIGHTS)
        capture.reach()
        assert_equal(stack)
        declare(stack, capture, LEFTS)
        stack.write(0, "INSERT INTO lefts VALUES (3, 'x')", "INSERT INTO rights VALUES (4, 'x')")
        capture.reach()
    stack.sync()
    assert raw_counts(stack)["c"] == 2  # 1 and 3 of lefts


def table(name: str, *key: str) -> Table:
    scope: KeyScope = "global" if key else "shard"
    return Table(name=name, domain="cases", owner="team:tests", key=key, key_scope=scope)


# By table: its key before and after, and what becomes of it at the source.
KEYS = {
    "other": (
        ("id",),
        ("k",),
        (
            "ALTER TABLE other ADD COLUMN k INT UNSIGNED NOT NULL DEFAULT 0",
            "UPDATE other SET k = 100 - id",
            "ALTER TABLE other DROP PRIMARY KEY, ADD PRIMARY KEY (k)",
            "UPDATE other SET id = 7 WHERE id < 7",
        ),
    ),
    "dropped": (
        ("id",),
        (),
        (
            "ALTER TABLE dropped DROP PRIMARY KEY",
            "INSERT INTO dropped SELECT * FROM dropped",
            "DELETE FROM dropped WHERE id = 3 LIMIT 1",
        ),
    ),
    "added": (
        (),
        ("id",),
        (
            "DELETE FROM added WHERE id = 3",
            "ALTER TABLE added ADD PRIMARY KEY (id)",
            "UPDATE added SET v = 'keyed' WHERE id > 5",
        ),
    ),
}


def test_F07_rows_are_told_apart_by_the_key_that_a_table_gets(stack: Stack) -> None:
    for name, (former, _, _) in KEYS.items():
        primary = ", PRIMARY KEY (id)" if former else ""
        stack.write(
            0,
            f"CREATE TABLE {name} (id INT UNSIGNED NOT NULL, v VARCHAR(60){primary})",
            f"INSERT INTO {name} SELECT seq, 'old' FROM seq_1_to_9",
        )
    stack.source = replace(
        SOURCE, tables=(RIGHTS, *(table(name, *former) for name, (former, _, _) in KEYS.items()))
    )
    with stack.capturing() as capture:
        capture.wait_streaming()
        capture.reach()
        assert_equal(stack, ("rights", *KEYS))
        for _, _, statements in KEYS.values():
            stack.write(0, *statements)
        stack.write(0, "INSERT INTO rights VALUES (1, 'goes on')")
        capture.reach()
        problems = {name: str(problem) for name, problem in stack.sync().items()}
        assert problems.keys() == {"other", "dropped"}, problems
        assert all("(id) is no unique index of shard_0 any more" in p for p in problems.values())
        assert keys(stack, "added") == set()  # so that its changes stay in one lane
        now = tuple(table(name, *key) for name, (_, key, _) in KEYS.items())
        stack.source = replace(SOURCE, tables=(RIGHTS, *now))
        del stack.platform
        wanted = set(captured(stack.source))
        wait(
            lambda: (s := state_of(stack.settings)) is not None and set(s.tables) == wanted,
            alive=capture.check,
        )
        for name in KEYS:
            stack.write(0, f"INSERT INTO {name} (id, v) VALUES (500, 'new')")
            stack.write(0, f"UPDATE {name} SET v = 'z' WHERE id > 6")
        capture.reach()
        assert_equal(stack, ("rights", *KEYS))


def read_rows(stack: Stack, table: str) -> int:
    """How many rows of a table came from snapshots."""
    rows = raw.open_deltas(stack.platform.lakehouse.catalog).scan(
        row_filter=And(EqualTo("table_name", table), EqualTo("op", "r"))
    )
    return rows.count()


def keys(stack: Stack, table: str) -> set[str]:
    """The keys of a table's changes."""
    rows = raw.open_deltas(stack.platform.lakehouse.catalog).scan(
        row_filter=And(EqualTo("table_name", table), NotEqualTo("op", "ddl"))
    )
    return set(rows.to_arrow()["key"].to_pylist()) - {None}
