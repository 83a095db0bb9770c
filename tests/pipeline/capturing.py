"""What the capture tests share: a sink that keeps what it gets, and a worker beside the test."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pymysql
from pymysql.cursors import Cursor

from smug_platform.capture import server
from smug_platform.capture.change import Change
from smug_platform.capture.position import Position, file_number
from smug_platform.capture.sink import NOTHING_LANDED, AtOnce, Landed
from smug_platform.capture.status import Status
from smug_platform.capture.worker import run_worker
from smug_platform.local.mariadb import start_shard
from smug_platform.local.processes import Process
from smug_platform.settings import Settings
from smug_platform.tables.table import Source

PATIENCE = 120.0


@dataclass
class Kept(AtOnce):
    """A sink in memory: every change with its epoch, in the order in which it came."""

    incarnation: str = "first"
    changes: list[tuple[int, Change]] = field(default_factory=list)
    fail: Callable[[Sequence[Change]], None] = lambda _changes: None

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        del shard
        self.fail(changes)
        self.changes += [(epoch, change) for change in changes]

    def tips(self, shard: str) -> Mapping[str, str]:
        del shard
        return {"shardId-0": str(len(self.changes))}

    def heat(self) -> None:
        """Nothing is measured."""

    def close(self) -> None:
        pass

    def rows(self, table: str, *, since: int = 0) -> list[dict[str, Any]]:
        """The values of a table's changes after the first `since` changes of all."""
        return [
            orjson.loads(change.value)
            for _, change in self.changes[since:]
            if change.topic.endswith(f".{table}")
        ]

    def ids(self, table: str, *, since: int = 0) -> set[int]:
        return {row["after"]["id"] for row in self.rows(table, since=since) if row["after"]}

    def positions(self, *, since: int = 0) -> list[Position]:
        return [position(epoch, change) for epoch, change in self.changes[since:]]


def position(epoch: int, change: Change) -> Position:
    source = orjson.loads(change.value)["source"]
    return Position(epoch, file_number(source["file"]), source["pos"], source["row"] or 0)


def one_shard(settings: Settings) -> Settings:
    return replace(settings, shards=settings.shards[:1])


@dataclass
class Own:
    """A server of a test module's own. folder: holds its data."""

    settings: Settings
    folder: Path
    server_id: int = 77
    process: Process = field(init=False)

    def start(self, *options: str) -> None:
        shard, number = self.settings.shards[0], self.server_id
        self.process = start_shard(shard, self.folder, server_id=number, extra=options)

    @contextmanager
    def root(self) -> Iterator[Cursor]:
        """A cursor of who may do anything, through the server's own socket."""
        socket = str(self.folder / "data" / "mariadbd.sock")
        with (
            pymysql.connect(unix_socket=socket, user="root", autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor

    def as_root(self, *statements: str) -> None:
        """What the capture user may not do."""
        with self.root() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def purge(self) -> None:
        """Purge every log but the newest.

        A log that a dump thread holds, or whose checkpoint is not written yet, is left where it
        is without a word, so this asks until it is gone.
        """
        until = time.monotonic() + PATIENCE
        with server.connect(self.settings.shards[0]) as connection:
            newest, _ = server.newest_position(connection)
            while server.ask_all(connection, "SHOW BINARY LOGS")[0]["Log_name"] != newest:
                assert time.monotonic() < until, f"logs before {newest} are still there"
                self.as_root(f"PURGE BINARY LOGS TO '{newest}'")


@dataclass
class Worker:
    """A worker that runs beside the test."""

    statuses: list[Status] = field(default_factory=list)
    failure: BaseException | None = None

    @property
    def notes(self) -> str:
        return " / ".join(dict.fromkeys(s.note for s in self.statuses if s.note))

    def wait(self, what: Callable[[], bool]) -> None:
        """Until something is true; fails when the worker does, or after a while."""
        until = time.monotonic() + PATIENCE
        while not what():
            if self.failure is not None:
                raise self.failure
            assert time.monotonic() < until, f"waited in vain; notes: {self.notes}"
            time.sleep(0.05)

    def wait_streaming(self) -> None:
        self.wait(lambda: bool(self.statuses) and self.statuses[-1].phase == "streaming")


@contextmanager
def capturing(
    settings: Settings,
    source: Source | Callable[[], Source],
    sink: Any,
    *,
    landed: Landed = NOTHING_LANDED,
) -> Iterator[Worker]:
    """Capture all shards of the settings into a sink until the block ends.

    source: what is declared, or a function that says it. sink: one for all engines, or a function
    that makes each its own.
    """
    stop, worker = threading.Event(), Worker()

    def run() -> None:
        try:
            run_worker(
                settings,
                source if callable(source) else lambda: source,
                sink if callable(sink) else lambda _stop: sink,
                landed=landed,
                on_status=worker.statuses.append,
                stop=stop,
            )
        except BaseException as error:  # noqa: BLE001  the test raises it
            worker.failure = error

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive(), "capture did not stop"
