"""Two tables that are filled in bulk, and processes that can be killed: one captures them, one
brings what was captured to lake and warehouse.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from smug_platform.capture.resources import open_store
from smug_platform.capture.state import State
from smug_platform.settings import Settings, load_settings
from smug_platform.tables.table import Source, Table
from tests.conformance.stack import PATIENCE, Stack
from tests.states import state_of

CAPTURE, BRING = "capture", "bring"
_ROOT = Path(__file__).parents[2]
SOURCE = Source(
    database="flickr_bulk",
    tables=tuple(
        Table(name=name, domain="cases", owner="team:tests") for name in ("lefts", "rights")
    ),
)
TABLES = tuple(table.name for table in SOURCE.tables)


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
    stack = Stack(replace(settings, stream=stream), SOURCE)
    sys.stdin.readline()
    if sys.argv[2] == BRING:
        while os.getppid() == parent:  # never longer than the test that started it
            stack.sync()
        return
    with stack.capturing() as capture:
        while os.getppid() == parent:
            capture.check()
            threading.Event().wait(0.2)


if __name__ == "__main__":
    main()
