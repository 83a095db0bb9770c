"""Tables read in pieces, whose captures fall amid a piece, as the live numbers count them."""

import signal
from collections import Counter, deque
from itertools import count

import pytest

from smug_platform.capture.resources import open_store
from smug_platform.capture.sink import StreamRestarted
from smug_platform.local.mariadb import connect
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.store import Store
from smug_platform.stream.resources import Stream
from tests.conformance.bulk import COUNTED, FALL, falling, start
from tests.conformance.oracle import lake_copy
from tests.conformance.stack import PATIENCE, Stack, wait
from tests.conformance.test_bulk import stack
from tests.conformance.test_chunks import ask
from tests.states import state_of

__all__ = ["stack"]
ROWS = 3_000
TABLES = {
    "photos": ("uploads", "uploaded_at", ("id",)),
    "favorites": ("favorites", "created_at", ("account_id", "photo_id")),
    "comments": ("comments", "created_at", ("id",)),
}
KEYS = {
    "photos": "id BIGINT UNSIGNED PRIMARY KEY",
    "favorites": "account_id INT, photo_id INT, PRIMARY KEY (account_id, photo_id)",
    "comments": "id INT PRIMARY KEY",
}


@pytest.fixture
def live(stack: Stack) -> "Live":
    stack.source = COUNTED
    for table, (_, time, _) in TABLES.items():
        stack.write(0, f"CREATE TABLE {table} ({KEYS[table]}, {time} DATETIME NOT NULL)")
        ids = "seq % 7, seq" if table == "favorites" else "seq"
        stack.write(
            0,
            f"INSERT INTO {table} SELECT {ids}, '2026-05-01' + INTERVAL seq HOUR"
            f" FROM seq_1_to_{ROWS}",
        )
    return Live(stack)


class Live:
    """A stack with its live numbers."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.path, self.turn = stack, stack.settings.home / "live.db", count(1)

    def catch_up(self) -> None:
        """Count what is there; whoever counted before was killed."""
        with Store(self.path) as store:
            consumer = Consumer(store, Stream(self.stack.settings).reader, COUNTED)
            while consumer.step(most=2_000).behind:
                pass

    def change(self) -> None:
        """Rows that go, that come, that move and that change their time, all over the tables."""
        turn = next(self.turn)
        for table, (_, time, key) in TABLES.items():
            rest, which = key[-1], f"({key[-1]} + {turn}) % 11"
            most = ROWS + 40 * turn
            ids = f"seq % 5, {most} - seq" if len(key) > 1 else f"{most} - seq"
            self.stack.write(
                0,
                f"DELETE FROM {table} WHERE {which} = 1",
                f"UPDATE {table} SET {time} = {time} + INTERVAL {turn} DAY WHERE {which} IN (2, 3)",
                f"UPDATE IGNORE {table} SET {rest} = {rest} + 11 WHERE {which} = 4",
                f"UPDATE IGNORE {table} SET {rest} = IF({rest} > 500, {rest} - 500, {rest} + 77)"
                f" WHERE {which} = 5",
                f"INSERT IGNORE INTO {table} SELECT {ids}, '2026-07-01' + INTERVAL seq HOUR"
                f" FROM seq_0_to_{most}_step_29",
            )

    def check(self) -> None:
        """Live numbers and lake are what the source holds."""
        self.catch_up()
        assert self.stack.sync() == {}
        shard, database = self.stack.settings.shards[0], COUNTED.database
        for table, (metric, time, key) in TABLES.items():
            with connect(shard, database=database) as cursor:
                cursor.execute(f"SELECT DATE({time}), COUNT(*) FROM {table} GROUP BY 1")
                days = {(day, ""): rows for day, rows in cursor.fetchall()}
                cursor.execute(f"SELECT {', '.join(key)} FROM {table}")
                keys = Counter(cursor.fetchall())
            lake = lake_copy(self.stack.platform.lakehouse.catalog, table).live(shard.name)
            assert Counter(tuple(row[name] for name in key) for row in lake) == keys, table
            with Store(self.path) as store:
                assert sums_at(store, metric) == days, table


def test_J11_K02_rows_that_were_sent_before_a_kill_count_once(live: Live) -> None:
    """A worker is killed amid a piece of a first snapshot; others fall then, and amid the pieces of
    a table that is read anew.
    """
    stack = live.stack
    with start(stack.settings, FALL) as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL
    live.catch_up()
    live.change()
    plan: deque[float | None] = deque([1.0, None, 0.4])
    shares = (plan.popleft() if plan else None for _ in count())

    def fall() -> None:
        live.catch_up()
        live.change()
        raise StreamRestarted("the stream is gone", remedy="wait")

    def is_read() -> bool:
        state = state_of(stack.settings)
        is_asked = open_store(stack.settings).asked("shard_0")
        return not plan and not is_asked and state is not None and state.is_whole

    with stack.capturing(falling(stack.settings, shares, fall)) as capture:
        wait(is_read)
        capture.reach()
    live.check()
    plan += [0.5, None, 0.7]
    with stack.capturing(falling(stack.settings, shares, fall)) as capture:
        ask(stack, "photos", "favorites")
        wait(is_read)
        live.change()
        capture.reach()
    live.check()
