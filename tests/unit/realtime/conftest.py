"""A store, a stream with one shard of Flickr, and what moves changes from the one to the other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smug_platform.realtime.consume import Consumer, Step
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.store import Store
from smug_platform.tables.flickr import FLICKR
from tests.history import START
from tests.lanes import LaneStream, Server, changes_of
from tests.unit.realtime.flickr import micros, server


@dataclass
class Live:
    """A shard, its stream, and the numbers."""

    store: Store
    stream: LaneStream = field(default_factory=LaneStream)
    shard: Server = field(default_factory=lambda: server("shard_0"))
    now: float = START.timestamp() + 60

    def __post_init__(self) -> None:
        self.consumer = Consumer(self.store, self.stream, FLICKR, clock=lambda: self.now)  # type: ignore[arg-type]
        self.stream.publish("shard_0", 1, changes_of(self.shard.snapshot()))
        self.step()

    def do(self, table: str, what: str, *arguments: Any, **more: Any) -> None:
        """A change of the shard, on the stream."""
        self.shard.do(table, what, *arguments, **more)
        self.publish()

    def publish(self) -> None:
        self.stream.publish("shard_0", 1, changes_of(self.shard.new()))

    def step(self) -> Step:
        return self.consumer.step()

    def total(self, metric: str) -> int:
        return sum(sums_at(self.store, metric).values())

    def rows(self, query: str) -> list[Any]:
        with self.store.reading() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with Store(tmp_path / "live.db") as store:
        yield Live(store)


def at(minutes: float) -> int:
    """So many minutes after the start, as a DATETIME(6) on the wire."""
    return micros(START + timedelta(minutes=minutes))
