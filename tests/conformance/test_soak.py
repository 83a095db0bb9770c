"""Processes killed again and again, at moments that a seed chooses, while the source is written to.

`pytest -s tests/conformance/test_soak.py --soak 200` kills 200 times, `--soak-seed` chooses when.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from subprocess import Popen
from threading import Event, Thread

import pymysql
import pytest

from smug_platform.local.mariadb import connect
from smug_platform.settings import Settings
from tests.conformance.bulk import (
    BRING,
    CAPTURE,
    SOURCE,
    TABLES,
    begin,
    owner,
    stand_by,
    start,
)
from tests.conformance.stack import Capture, Stack, wait
from tests.conformance.test_bulk import assert_equal, stack

__all__ = ["stack"]
KEYS = 2_000
LEASE_SECONDS = 2


class Writer:
    """Writes transactions to both tables, from `go` until `rest`, on a thread of its own."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        self._stack, self._chance = stack, chance
        self._may, self._rests, self._end = Event(), Event(), Event()
        self._thread = Thread(target=self._run)
        self.written, self.failure = 0, list[Exception]()

    def go(self) -> None:
        self._rests.clear()
        self._may.set()

    def rest(self) -> None:
        self._may.clear()
        assert self._rests.wait(30)
        assert not self.failure, self.failure

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._end.set()
            self._thread.join(30)

    def _run(self) -> None:
        try:
            with connect(self._stack.settings.shards[0], database=SOURCE.database) as cursor:
                while not self._end.is_set():
                    if not self._may.wait(0.01):
                        self._rests.set()
                        continue
                    self._transaction(cursor)
        except Exception as error:  # noqa: BLE001  the test raises it
            self.failure.append(error)
            self._rests.set()

    def _transaction(self, cursor: "pymysql.cursors.Cursor") -> None:
        chance = self._chance
        cursor.execute("BEGIN")
        for _ in range(chance.choice((1, 1, 3, 40))):
            self.written += 1
            table, key, other = chance.choice(TABLES), *(chance.randrange(KEYS) for _ in range(2))
            cursor.execute(
                chance.choice(
                    (
                        f"REPLACE INTO {table} VALUES ({key}, 'put {self.written}')",
                        f"UPDATE {table} SET v = '{key}' WHERE id DIV 10 = {key // 10}",
                        f"UPDATE IGNORE {table} SET id = {other} WHERE id = {key}",
                        f"DELETE FROM {table} WHERE id = {key}",
                    )
                )
            )
        cursor.execute(chance.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK")))
        time.sleep(0.01)


class Processes:
    """Two that capture, of which one has the shard, one that brings, and one to take its place."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._capture = [start(settings, CAPTURE) for _ in range(2)]
        self._bring = [stand_by(settings, BRING) for _ in range(2)]

    def bring(self) -> None:
        begin(self._bring[0])

    def kill(self, work: str, where: str) -> None:
        """Kill the one that does the work, and start another beside the one that takes over."""
        if work == BRING:
            victim = self._bring.pop(0)
        else:
            wait(lambda: owner(self._settings) in self._pids())
            victim = self._capture.pop(self._pids().index(owner(self._settings)))
        assert victim.poll() is None, f"{where}: it had ended by itself"
        _end(victim)
        if work == BRING:
            self._bring.append(stand_by(self._settings, BRING))
        else:
            self._capture.append(start(self._settings, CAPTURE))

    def end(self) -> None:
        for process in (*self._capture, *self._bring):
            _end(process)

    def _pids(self) -> list[int | None]:
        return [process.pid for process in self._capture]


def _end(process: "Popen[bytes]") -> None:
    process.kill()
    process.communicate()


@pytest.mark.timeout(1800)  # 200 kills are to take 1,200 s at most
def test_source_lake_and_warehouse_are_equal_after_each_of_many_kills(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    wanted, seed = (request.config.getoption(name) for name in ("--soak", "--soak-seed"))
    chance = random.Random(seed)
    for table in TABLES:
        stack.write(0, f"INSERT INTO {table} SELECT seq, 'first' FROM seq_1_to_{KEYS}")
    writer = Writer(stack, random.Random(chance.random()))
    quick = replace(stack.settings.store, seconds=LEASE_SECONDS)
    processes = Processes(replace(stack.settings, store=quick))
    kills, began, before = 0, time.monotonic(), 0
    try:
        with writer.running():
            while kills < wanted:
                writer.go()
                processes.bring()
                time.sleep(chance.uniform(0, 2))
                victims = [BRING] if chance.random() < 0.5 else [BRING, CAPTURE]
                chance.shuffle(victims)
                for victim in victims:
                    processes.kill(victim, f"seed {seed}, before kill {kills + 1}")
                    kills += 1
                    time.sleep(chance.uniform(0, 0.3))
                writer.rest()
                Capture(stack.settings).reach()
                try:
                    assert_equal(stack)
                except AssertionError as error:
                    pytest.fail(f"seed {seed}, kill {kills} of {', '.join(victims)}: {error}")
                assert writer.written > before
                before = writer.written
    finally:
        processes.end()
    print(f"{kills} kills, {writer.written:,} changes, {time.monotonic() - began:.0f} s")  # noqa: T201
