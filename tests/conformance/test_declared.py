"""A contract that changes while capture runs."""

import itertools
import threading
from dataclasses import replace

from pyiceberg.expressions import And, EqualTo

from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Table
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


def read_rows(stack: Stack, table: str) -> int:
    """How many rows of a table came from snapshots."""
    rows = raw.open_deltas(stack.platform.lakehouse.catalog).scan(
        row_filter=And(EqualTo("table_name", table), EqualTo("op", "r"))
    )
    return rows.count()
