"""Capture under load and kill: large transactions, and a snapshot killed again and again."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pymysql
import pytest

from smug_platform.capture.change import Change
from smug_platform.capture.sink import Sink
from smug_platform.capture.state import State
from smug_platform.local import mariadb
from smug_platform.raw import deltas as raw
from smug_platform.settings import Settings
from smug_platform.warehouse.connect import connect
from tests.conformance.bulk import SOURCE, TABLES, capture_process, create_tables, kill_when
from tests.conformance.oracle import lake_copy, source_rows, tally, warehouse_copy
from tests.conformance.stack import Stack, of_its_own

# A transaction of this many rows in each of two tables: past every bound of engine and producer.
ROWS = 20_000
MOST_IN_A_BATCH = 4096


@pytest.fixture
def stack(servers: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Stack:
    """Empty tables on one shard, a stream and a home of the test's own."""
    made = Stack(of_its_own(servers, tmp_path, request.node.name), SOURCE)
    create_tables(made)
    return made


def one_transaction(stack: Stack, statement: str) -> None:
    stack.write(0, "BEGIN", *(statement.format(table=table) for table in TABLES), "COMMIT")


def assert_equal(stack: Stack, tables: Sequence[str] = TABLES) -> None:
    """Each row of all shards once, on the shard that holds it, in lake and warehouse."""
    assert stack.sync() == {}
    for shard in stack.settings.shards:
        source = source_rows(shard, SOURCE.database, tables)
        with connect(stack.settings) as warehouse:
            for table in tables:
                expected = tally(source[table], ("id", "v"))
                lake = lake_copy(stack.platform.lakehouse.catalog, table)
                assert tally(lake.live(shard.name), ("id", "v")) == expected
                held = warehouse_copy(warehouse, table)
                assert tally(held.live(shard.name), ("id", "v")) == expected


def raw_counts(stack: Stack) -> Counter[str]:
    deltas = raw.open_deltas(stack.platform.lakehouse.catalog).scan(selected_fields=("op",))
    return Counter(deltas.to_arrow()["op"].to_pylist())


@dataclass
class Counting:
    """A sink that notes the size of each batch that it hands on."""

    inner: Sink
    sizes: list[int] = field(default_factory=list)

    @property
    def incarnation(self) -> str:
        return self.inner.incarnation

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        self.sizes.append(len(changes))
        self.inner.publish(shard, epoch, changes)

    def offer(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        self.sizes.append(len(changes))
        self.inner.offer(shard, epoch, changes)

    def unsent(self, shard: str) -> int:
        return self.inner.unsent(shard)

    def tips(self, shard: str) -> Mapping[str, str]:
        return self.inner.tips(shard)

    def heat(self) -> None:
        """Nothing is measured."""

    def close(self) -> None:
        self.inner.close()


def test_J06_one_transaction_over_two_tables_comes_in_bounded_batches_and_once(
    stack: Stack,
) -> None:
    sinks: list[Counting] = []

    def counting(stop: threading.Event) -> Sink:
        sinks.append(Counting(stack.producer(stop)))
        return sinks[-1]

    with stack.capturing(counting) as capture:
        capture.wait_streaming()
        one_transaction(stack, f"INSERT INTO {{table}} SELECT seq, 'new' FROM seq_1_to_{ROWS}")
        capture.reach()
    sizes = [size for sink in sinks for size in sink.sizes]
    assert max(sizes) <= MOST_IN_A_BATCH
    assert sum(size > 0 for size in sizes) > 2 * ROWS / MOST_IN_A_BATCH
    assert sum(bool(sink.sizes) for sink in sinks) == 1  # no second engine: it never reconnected
    assert_equal(stack)
    assert raw_counts(stack)["c"] == 2 * ROWS


def test_J07_a_kill_in_the_middle_of_a_transaction_neither_loses_nor_doubles(
    stack: Stack,
) -> None:
    one_transaction(stack, f"INSERT INTO {{table}} SELECT seq, 'old' FROM seq_1_to_{ROWS}")
    with stack.capturing() as capture:
        capture.reach()
    one_transaction(stack, "UPDATE {table} SET v = CONCAT('new ', id)")
    arrived = [0]
    for least in (10, 60):  # of some 120 events, of about 330 rows each
        with capture_process(stack.settings) as process:
            kill_when(process, stack.settings, events_of_it(least))
        assert stack.sync() == {}
        arrived.append(raw_counts(stack)["u"])
        assert arrived[-2] < arrived[-1] < 2 * ROWS
    with stack.capturing() as capture:
        capture.reach()
    assert_equal(stack)
    counts = raw_counts(stack)
    assert (counts["r"], counts["c"]) == (2 * ROWS, 0)
    assert counts["u"] >= 2 * ROWS  # what was on the stream and not yet remembered comes twice


def events_of_it(least: int) -> Callable[[State], bool]:
    """Whether so many binlog events of one transaction have been published."""
    return lambda state: int(json.loads(state.offset or "{}").get("event", 0)) >= least


def rows_of_the_snapshot(least: int) -> Callable[[State], bool]:
    """Whether so many rows of both tables have been published."""
    return lambda state: (
        state.offset is not None
        and not state.in_snapshot
        and (2 - len(state.unread)) * ROWS + sum(one.rows for one in state.unread) >= least
    )


def test_K02_a_snapshot_killed_in_chunk_after_chunk_ends_equal(stack: Stack) -> None:
    one_transaction(stack, f"INSERT INTO {{table}} SELECT seq, 'first' FROM seq_1_to_{ROWS}")
    read, histories = [0], set()
    for chunk in (3, 5):
        with capture_process(stack.settings) as process:
            left = kill_when(process, stack.settings, rows_of_the_snapshot(chunk * ROWS // 4))
        assert not left.is_whole
        histories.add(left.history)  # of the one snapshot of the schemas
        # Rows that were read already, and some that were not.
        one_transaction(stack, f"DELETE FROM {{table}} WHERE id % 97 = {chunk}")
        one_transaction(stack, f"UPDATE {{table}} SET v = 'kill {chunk}' WHERE id % 89 = {chunk}")
        one_transaction(stack, f"INSERT INTO {{table}} VALUES ({100_000 + chunk}, 'late')")
        assert stack.sync() == {}
        read.append(raw_counts(stack)["r"])
        assert read[-1] - read[-2] in range(1, 2 * ROWS)
    with stack.capturing() as capture:
        capture.reach()
        stack.write(0, "DELETE FROM lefts WHERE id = 50")
        capture.reach()
    assert_equal(stack)
    assert len(histories) == 1
    assert raw_counts(stack)["r"] < 3 * ROWS  # and not all of them again after each kill


@pytest.mark.xfail(
    raises=pymysql.OperationalError,
    reason="MariaDB 10.11 has no binlog_transaction_compression (its log_bin_compress is another"
    " event); MySQL 8.0.20 and later have",
)
def test_I02_compressed_transactions_are_captured(shards: Settings) -> None:
    with mariadb.connect(shards.shards[0]) as cursor:
        cursor.execute("SET SESSION binlog_transaction_compression = ON")
        cursor.execute("SELECT @@SESSION.binlog_transaction_compression")
        assert cursor.fetchone() == (1,)


def test_G18_a_database_that_is_dropped_and_made_again_holds_new_tables(stack: Stack) -> None:
    one_transaction(stack, "INSERT INTO {table} SELECT seq, 'old' FROM seq_1_to_50")
    with stack.capturing() as capture:
        capture.wait_streaming()
        one_transaction(stack, "UPDATE {table} SET v = 'older' WHERE id > 40")
        capture.reach()
        assert_equal(stack)
        create_tables(stack)
        one_transaction(stack, "INSERT INTO {table} VALUES (7, 'new'), (60, 'newer')")
        capture.reach()
        assert_equal(stack)
        stack.write(0, "DELETE FROM lefts WHERE id = 7", "UPDATE rights SET id = 8 WHERE id = 7")
        capture.reach()
    assert_equal(stack)


def test_O07_rows_are_there_once_while_a_shard_is_split_and_while_one_is_retired(
    stack: Stack, servers: Settings
) -> None:
    one_transaction(stack, "INSERT INTO {table} SELECT seq, 'old' FROM seq_1_to_1000")
    with stack.capturing() as capture:
        capture.reach()
    both = Stack(replace(stack.settings, shards=servers.shards), SOURCE)
    with mariadb.connect(servers.shards[1]) as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {SOURCE.database}")
        cursor.execute(f"CREATE DATABASE {SOURCE.database}")
    for table in TABLES:
        both.write(1, f"CREATE TABLE {table} (id INT UNSIGNED PRIMARY KEY, v VARCHAR(60))")
    with both.capturing() as capture:
        capture.reach()
        _move(both, 0, 1, every=2)
        both.write(1, "UPDATE lefts SET v = 'there' WHERE id < 100")
        capture.reach()
        assert_equal(both)
        _move(both, 1, 0, every=1)
        both.write(0, "UPDATE rights SET v = 'back' WHERE id > 900")
        capture.reach()
        assert_equal(both)
    with stack.capturing() as capture:
        one_transaction(stack, "DELETE FROM {table} WHERE id < 50")
        capture.reach()
    assert_equal(stack)


def _move(stack: Stack, source: int, target: int, *, every: int) -> None:
    """Rows move between shards as Flickr moves them: copied there, then removed here."""
    rows = source_rows(stack.settings.shards[source], SOURCE.database, TABLES)
    for table in TABLES:
        moved = [row for row in rows[table] if row["id"] % every == 0]
        values = ", ".join(f"({row['id']}, '{row['v']}')" for row in moved)
        stack.write(target, f"INSERT INTO {table} VALUES {values}")
        stack.write(source, f"DELETE FROM {table} WHERE id % {every} = 0")
