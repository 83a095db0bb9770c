"""Several that land and several that count at one stream, which is resharded under load.

Each is a consumer of its own, with its own reader and catalog, as in a process of its own. One ends
at a chosen place by an exception that nobody catches: the disk then holds what a kill leaves.
Processes that are killed in truth are those of the soak.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from smug_platform.errors import SmugError, StreamError
from smug_platform.iceberg import Transaction
from smug_platform.lake.merge import merge, name_of
from smug_platform.lake.target import targets
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.deltas import delta_files, open_deltas, read_columns
from smug_platform.raw.land import land, stream_positions
from smug_platform.raw.quarantine import counts
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.store import Store
from smug_platform.settings import Settings, load_settings
from smug_platform.stream.claims import Claims
from smug_platform.stream.producer import Producer
from smug_platform.stream.reader import Reader
from smug_platform.tables.flickr import FLICKR
from tests.conformance.stack import wait
from tests.lanes import Server, changes_of
from tests.unit.realtime.flickr import COLUMNS, KEYS, Members, days_of, server
from tests.unit.stream.service import KinesisInMemory

STEPS, CHANGES = 12, 60
TEXTS = {"photos": "title", "comments": "body", "orders": "status"}
POISON = {"Data": b"no pack, and no JSON", "PartitionKey": "k", "ExplicitHashKey": "7"}


class Killed(BaseException):
    """What ends a consumer at once."""


@dataclass
class Stream:
    """A stream of one shard at first, and what reads and writes it."""

    settings: Settings
    service: KinesisInMemory = field(default_factory=lambda: KinesisInMemory(shards=1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name in ("put_records", "get_records", "list_shards", "split", "merge"):
            setattr(self.service, name, self._one_at_a_time(getattr(self.service, name)))
        self.claims = Claims(self.settings.claims)

    def _one_at_a_time(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            with self.lock:
                return work(*arguments, **more)

        return call

    def reader(self) -> Reader:
        return Reader(self.service, "changes", self.claims, refresh=0)  # type: ignore[arg-type]

    def producer(self) -> Producer:
        return Producer(self.service, "changes", self.claims)  # type: ignore[arg-type]

    def scale(self, shards: int) -> None:
        """Split or merge until there are so many open shards."""
        while len(parts := self.open()) < shards:
            self.service.split(max(parts, key=lambda part: part.end - part.start))
        while len(parts := self.open()) > shards:
            at = min(range(len(parts) - 1), key=lambda n: parts[n + 1].end - parts[n].start)
            self.service.merge(parts[at], parts[at + 1])

    def open(self) -> list[Any]:
        return sorted(
            (part for part in self.service.parts if not part.closed), key=lambda part: part.start
        )


class Landers:
    """Consumers that land in threads. Of three one ends before a commit, and one after one."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._ends = stream, cycle(["before", "after", "never"])
        self._running: list[tuple[threading.Thread, threading.Event]] = []
        self._dies = threading.local()
        self.killed, self.beaten = Counter[str](), 0
        self.failures: list[BaseException] = []

    def scale(self, count: int) -> None:
        """So many, in the place of those that ended too."""
        self._running = [one for one in self._running if one[0].is_alive()]
        for _, stop in self._running[count:]:
            stop.set()
        while len(self._running) < count:
            stop = threading.Event()
            thread = threading.Thread(target=self._run, args=(stop, next(self._ends)))
            self._running.append((thread, stop))
            thread.start()

    def _run(self, stop: threading.Event, when: str) -> None:
        catalog, reader = open_catalog(self._stream.settings), self._stream.reader()
        self._dies.when, self._dies.left = when, 2
        try:
            while not stop.is_set():
                try:
                    land(catalog, reader, max_records=40)
                except SmugError as error:
                    if not error.passes:
                        raise
                    self.beaten += 1
        except Killed:
            self.killed[when] += 1
        except BaseException as error:  # noqa: BLE001  the test raises it
            self.failures.append(error)

    @contextmanager
    def deadly(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """Each lander ends at the second commit that it comes to, where it is to."""
        inner = Transaction.commit_transaction

        def commit(transaction: Transaction) -> Any:
            when = getattr(self._dies, "when", "never")
            self._dies.left = getattr(self._dies, "left", 0) - 1
            if when == "before" and self._dies.left == 0:
                raise Killed
            done = inner(transaction)
            if when == "after" and self._dies.left <= 0:
                raise Killed
            return done

        patch.setattr(Transaction, "commit_transaction", commit)
        try:
            yield
        finally:
            self.scale(0)
            for thread, stop in self._running:
                stop.set()
                thread.join(60)


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return Stream(load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)}))


def test_M11_consumers_and_shards_are_scaled_under_load_and_lose_and_disorder_nothing(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M11: from one to eight to two, of each; some landers end at a commit and are replaced."""
    shard, producer, landers = server("shard_0"), stream.producer(), Landers(stream)
    members, catalog = Members(shard, 11, 0), open_catalog(stream.settings)
    open_deltas(catalog)
    changes = changes_of(shard.snapshot())
    producer.publish(shard.name, 1, changes)
    with landers.deadly(monkeypatch):
        for step in range(STEPS):
            count = (1, 8, 2)[step * 3 // STEPS]
            landers.scale(count)
            members.work(CHANGES)
            producer.publish(shard.name, 1, fresh := changes_of(shard.new()))
            changes += fresh
            stream.scale(count)
            if step in {2, 6, 10}:
                stream.service.put_records(StreamName="changes", Records=[POISON])
            landers.scale(count)
        wait(lambda: _has_all(stream, landers))
    assert landers.failures == []
    assert landers.killed["before"]
    assert landers.killed["after"]
    places = _landed(catalog)
    assert sum(map(len, places.values())) == sum(change.topic != shard.name for change in changes)
    for (table, key), found in places.items():
        assert found == sorted(set(found)), f"{table} {key}"
    assert counts(catalog) == {"": 3}
    assert _lake(stream.settings) == _rows(shard)
    _is_counted(stream, shard)


def _has_all(stream: Stream, landers: Landers) -> bool:
    """Whether raw stands at the end of the stream; those that ended meanwhile are replaced."""
    landers.scale(2)
    positions = stream_positions(open_deltas(open_catalog(stream.settings)))
    return not stream.reader().has_arrivals(positions)


def _landed(catalog: Any) -> dict[tuple[str, str], list[tuple[int, ...]]]:
    """The places of each key's changes in the order in which they landed."""
    deltas = open_deltas(catalog)
    names = ["key", "op", "binlog_file", "binlog_offset", "row_number"]
    found: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    files = sorted(delta_files(deltas), key=lambda file: (file.sequence, file.hour))
    for file in files:
        for row in read_columns(deltas, file, names).to_pylist():
            if row["op"] == "ddl":  # one a lane: those of another commit are left to the merge
                continue
            place = (row["binlog_file"], row["binlog_offset"], row["row_number"] or 0)
            found.setdefault((file.table, row["key"]), []).append(place)
    return found


def _lake(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    catalog = open_catalog(settings)
    found = {}
    for target in targets(FLICKR):
        if target.history or target.name not in COLUMNS:
            continue
        merge(catalog, target)
        rows = catalog.load_table(name_of(target)).scan().to_arrow()
        live = rows.filter(pc.invert(rows["_is_deleted"]))
        found[target.name] = _sorted(target.name, live.to_pylist())
    return found


def _rows(shard: Server) -> dict[str, list[tuple[Any, ...]]]:
    return {name: _sorted(name, table.rows) for name, table in shard.tables.items()}


def _sorted(table: str, rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Key and text of each row."""
    return sorted(
        (*(int(row[name]) for name in KEYS.get(table, ("id",))), row.get(TEXTS.get(table, "")))
        for row in rows
    )


def _is_counted(stream: Stream, shard: Server) -> None:
    """Consumers of the live numbers, one after another and two at once, count each change once."""
    path = stream.settings.home / "live.db"
    with Store(path) as first, Store(path) as second:
        consumers = [Consumer(store, stream.reader(), FLICKR) for store in (first, second)]
        consumers[0].step(most=100)
        with pytest.raises(StreamError, match="another"):
            consumers[1].step(most=100)
    with Store(path) as store:
        consumer = Consumer(store, stream.reader(), FLICKR)
        while consumer.step(most=100).behind:
            pass
        for name, sums in days_of([shard]).items():
            assert sums_at(store, name) == sums, name
