"""Two tables that are filled in bulk, and processes that can be killed: one captures them, one
brings what was captured to lake and warehouse.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from smug_platform.capture.change import Change
from smug_platform.capture.resources import open_store
from smug_platform.capture.state import State
from smug_platform.capture.written import Written
from smug_platform.settings import Settings, load_settings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.tables.table import Source, Table
from tests.conformance.stack import PATIENCE, Stack
from tests.states import state_of

CAPTURE, BRING, FALL = "capture", "bring", "fall amid a piece"
_ROOT = Path(__file__).parents[2]
SOURCE = Source(
    database="flickr_bulk",
    tables=tuple(
        Table(name=name, domain="cases", owner="team:tests") for name in ("lefts", "rights")
    ),
)
TABLES = tuple(table.name for table in SOURCE.tables)
COUNTED = Source(
    database=SOURCE.database,
    tables=(
        Table(name="photos", domain="cases", owner="team:tests"),
        Table(name="favorites", domain="cases", owner="team:tests", key=("account_id", "photo_id")),
        Table(name="comments", domain="cases", owner="team:tests"),
    ),
)
"""Tables that the live numbers count."""


class Falling(Producer):
    """A producer that does not get to the end of some pieces of rows.

    shares: of the pieces that it is given, one after the other, what part of each is sent before
    it falls; None for all. fall: ends the process, or the run.
    """

    shares: Iterator[float | None]
    fall: Callable[[], None]

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        share = next(self.shares, None) if isinstance(changes, Written) else None
        sent = len(changes) if share is None else int(share * len(changes))
        super().publish(shard, epoch, changes[:sent])
        if share is not None:
            self.fall()


def falling(
    settings: Settings, shares: Iterator[float | None], fall: Callable[[], None]
) -> Callable[[threading.Event], Falling]:
    """Makes such producers; the pieces of all of them are counted together."""

    def make(stop: threading.Event) -> Falling:
        client, claims = kinesis_client(settings.stream), Claims(settings.claims)
        made = Falling(client, settings.stream.name, claims, stop=stop)
        made.shares, made.fall = shares, fall
        return made

    return make


def create_tables(stack: Stack) -> None:
    stack.create_database()
    for table in TABLES:
        stack.write(0, f"CREATE TABLE {table} (id INT UNSIGNED PRIMARY KEY, v VARCHAR(60))")


@contextmanager
def capture_process(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """The first shard's capture as a process of its own, killed at the end of the block."""
    process = start(settings, CAPTURE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def start(settings: Settings, work: str) -> "subprocess.Popen[bytes]":
    """A process that captures the first shard, or that brings what is there, again and again."""
    process = stand_by(settings, work)
    begin(process)
    return process


def stand_by(settings: Settings, work: str) -> "subprocess.Popen[bytes]":
    """The same, which loads what it needs and then waits for `begin`."""
    environ = {
        **os.environ,
        "SMUG_ENV": "test",
        "SMUG_HOME": str(settings.home),
        "SMUG_SHARD_COUNT": "1",
        "SMUG_LEASE_SECONDS": f"{settings.store.seconds:.0f}",
        "SMUG_MYSQL_PORT": str(settings.shards[0].port),
        "SMUG_KINESIS_PORT": str(settings.stream.endpoint).rpartition(":")[2],
    }
    argv = [sys.executable, "-m", "tests.conformance.bulk", settings.stream.name, work]
    return subprocess.Popen(argv, cwd=_ROOT, env=environ, stdin=subprocess.PIPE)


def begin(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.close()


def owner(settings: Settings) -> int | None:
    """The process that has the first shard, or had it when it was killed."""
    lease = open_store(settings).leases().get(settings.shards[0].name)
    return int(lease.worker.split(":")[-2]) if lease and lease.worker else None


def kill_when(
    process: "subprocess.Popen[bytes]", settings: Settings, ready: Callable[[State], bool]
) -> State:
    """SIGKILL as soon as capture's state is so; the state that is left."""
    shard = settings.shards[0].name
    until = time.monotonic() + PATIENCE
    while (state := state_of(settings, shard)) is None or not ready(state):
        assert process.poll() is None, "capture ended by itself"
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.002)
    process.kill()
    process.wait()
    left = state_of(settings, shard)
    assert left is not None
    return left


def main() -> None:
    settings = load_settings()
    stream = replace(settings.stream, name=sys.argv[1])
    parent = os.getppid()
    is_counted = sys.argv[2] == FALL
    stack = Stack(replace(settings, stream=stream), COUNTED if is_counted else SOURCE)
    shares = iter([None, 0.5])
    sink = falling(stack.settings, shares, _die) if is_counted else None
    sys.stdin.readline()
    if sys.argv[2] == BRING:
        while os.getppid() == parent:  # never longer than the test that started it
            stack.sync()
        return
    with stack.capturing(sink) as capture:
        while os.getppid() == parent:
            capture.check()
            threading.Event().wait(0.2)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
