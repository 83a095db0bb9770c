"""A whole platform over real parts, driven by a test: capture in a thread, passes by hand."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from smug_platform.capture.position import file_number
from smug_platform.capture.resources import open_store
from smug_platform.capture.sink import Sink
from smug_platform.capture.status import Status
from smug_platform.capture.worker import run_worker
from smug_platform.errors import SmugError
from smug_platform.local.mariadb import connect
from smug_platform.settings import Settings, Shard
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.sync import Platform
from smug_platform.tables.table import Source
from tests.states import state_of

PATIENCE = 120.0


def run_sql(shard: Shard, database: str, statements: Sequence[str]) -> None:
    """Statements one after another on one connection, whose times are UTC."""
    with connect(shard, database=database) as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        for statement in statements:
            cursor.execute(statement)


def binlog_end(shard: Shard) -> tuple[str, int]:
    with connect(shard) as cursor:
        cursor.execute("SHOW MASTER STATUS")
        file, offset, *_ = cursor.fetchall()[0]
    return str(file), int(offset)


def wait(what: Callable[[], bool], *, alive: Callable[[], None] = lambda: None) -> None:
    """Until it is true; `alive` raises when it can't become true any more."""
    until = time.monotonic() + PATIENCE
    while not what():
        alive()
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def of_its_own(servers: Settings, home: Path, stream: str) -> Settings:
    """The first of these shards, with a stream and a home of a test's own."""
    return replace(
        servers,
        home=home,
        shards=servers.shards[:1],
        stream=replace(servers.stream, name=stream),
        catalog={
            "type": "sql",
            "uri": f"sqlite:///{home}/lake/catalog.db",
            "warehouse": f"file://{home}/lake",
        },
        claims=f"file://{home}/claims",
        warehouse_path=home / "smug.duckdb",
    )


@dataclass
class Capture:
    """A capture worker beside the test."""

    settings: Settings
    statuses: dict[str, Status] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failure: BaseException | None = None

    def hear(self, status: Status) -> None:
        self.statuses[status.shard] = status
        if status.note and status.note not in self.notes:
            self.notes.append(status.note)

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure
        failed = [s.note for s in self.statuses.values() if s.phase == "failed"]
        assert not failed, failed

    def wait_streaming(self) -> None:
        """Until each shard's snapshot is on the stream."""
        names = [shard.name for shard in self.settings.shards]
        wait(
            lambda: all((s := state_of(self.settings, name)) and s.is_whole for name in names),
            alive=self.check,
        )

    def reach(self) -> None:
        """Until everything that the shards have written by now is on the stream, and what that
        asked for has been read anew.
        """
        ends = {shard.name: binlog_end(shard) for shard in self.settings.shards}
        wait(lambda: all(self._is_past(name, *end) for name, end in ends.items()), alive=self.check)

    def _is_past(self, shard: str, file: str, offset: int) -> bool:
        state = state_of(self.settings, shard)
        if state is None or not state.is_whole or state.log is None:
            return False
        if open_store(self.settings).asked(shard):
            return False
        return (file_number(state.log[0]), state.log[1]) >= (file_number(file), offset)


@dataclass
class Stack:
    """One source in one set of shards, and everything after it, in a home of its own."""

    settings: Settings
    source: Source

    def __post_init__(self) -> None:
        ensure_stream(kinesis_client(self.settings.stream), self.settings.stream)

    @cached_property
    def platform(self) -> Platform:
        return Platform(self.settings, self.source)

    def write(self, shard: int, *statements: str) -> None:
        run_sql(self.settings.shards[shard], self.source.database, statements)

    def create_database(self) -> None:
        for shard in self.settings.shards:
            with connect(shard) as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {self.source.database}")
                cursor.execute(f"CREATE DATABASE {self.source.database}")

    def producer(self, stop: threading.Event) -> Sink:
        client = kinesis_client(self.settings.stream)
        claims = Claims(self.settings.claims)
        return Producer(client, self.settings.stream.name, claims, stop=stop)

    @contextmanager
    def capturing(self, sink: Callable[[threading.Event], Sink] | None = None) -> Iterator[Capture]:
        """Capture all shards until the block ends."""
        stop, capture = threading.Event(), Capture(self.settings)

        def run() -> None:
            try:
                run_worker(
                    self.settings,
                    lambda: self.source,
                    sink or self.producer,
                    on_status=capture.hear,
                    stop=stop,
                )
            except BaseException as error:  # noqa: BLE001  raised by the test's thread
                capture.failure = error

        thread = threading.Thread(target=run, name="capture")
        thread.start()
        try:
            yield capture
        finally:
            stop.set()
            thread.join(60)
            assert not thread.is_alive(), "capture did not stop"

    def sync(self) -> dict[str, Exception]:
        """Land, merge and load all there is; the problem of each table that has one."""
        problems: dict[str, Exception] = {}
        for _ in self.platform.land():
            pass
        for target in self.platform.unmerged():
            try:
                self.platform.merge(target)
            except Exception as problem:  # noqa: BLE001  the table's own tests raise it
                problems[target.name] = problem
        for loaded in self.platform.load():
            if isinstance(loaded, SmugError):
                problems[str(loaded)] = loaded
        return problems
