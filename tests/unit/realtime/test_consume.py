"""The live numbers: exactly what the rows of the source say, whatever the stream does."""

import random
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from smug_platform.capture.change import Change
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.metrics import METRICS
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.sift import are_some
from smug_platform.realtime.store import Store
from smug_platform.tables.flickr import FLICKR
from tests.history import START
from tests.lanes import LaneStream, Server, changes_of
from tests.unit.realtime.flickr import Members, days_of, server, windows_of

NOW = START.timestamp() + 3600


def consumer(store: Store, stream: LaneStream) -> Consumer:
    return Consumer(store, stream, FLICKR, clock=lambda: NOW)  # type: ignore[arg-type]


def drain(store: Store, stream: LaneStream) -> Consumer:
    found = consumer(store, stream)
    while found.step().behind:
        pass
    return found


def shown(store: Store) -> dict[tuple[str, str, str, str], int]:
    with store.reading() as connection:
        rows = connection.execute(
            "select metric, window_start, shard, currency, sum(value) from windows"
            " group by 1, 2, 3, 4"
        ).fetchall()
    return {tuple(row[:4]): row[4] for row in rows if row[4]}


def check(store: Store, shards: list[Server]) -> None:
    for name, sums in days_of(shards).items():
        assert sums_at(store, name) == sums, name
    assert shown(store) == windows_of(shards)


def test_K07_rows_that_were_read_by_a_condition_do_not_count(tmp_path: Path) -> None:
    """They come beside what is known of them."""
    shard, stream = server("shard_0"), LaneStream()
    Members(shard, 3, 0).work(20)
    shard.new()
    stream.publish(shard.name, 1, changes_of(shard.snapshot()))
    read = [one for one in changes_of(shard.snapshot()) if orjson.loads(one.value).get("op") == "r"]
    marked = [Change(one.topic, one.key, _as_some(one.value)) for one in read]
    assert marked
    with Store(tmp_path / "live.db") as store:
        drain(store, stream)
        check(store, [shard])
        stream.publish(shard.name, 1, marked)
        drain(store, stream)
        check(store, [shard])


def _as_some(value: bytes) -> bytes:
    event = orjson.loads(value)
    event.setdefault("source", {})["snapshot"] = "incremental"
    return orjson.dumps(event)


def test_K07_a_row_that_holds_the_words_counts() -> None:
    image = '{"after":{"snapshot":"incremental"},"source":{"snapshot":"%s"}}'
    payloads = [image % "true", image % "incremental", '{"after":null}', None]
    found = are_some(pa.table({"payload": pa.array(payloads, pa.string())}))
    assert found.tolist() == [False, True, False, False]


class World:
    """Two shards at work, a stream that sends twice, and captures that are killed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        lanes = self.chance.choice([1, 2, 3])
        self.stream = LaneStream(shards=lanes, doubt=0.2, random=self.chance)
        self.shards = [server("shard_0"), server("shard_1")]
        self.members = [
            Members(shard, seed * 2 + number, number * 100_000)
            for number, shard in enumerate(self.shards)
        ]

    def begin(self) -> None:
        for member in self.members:
            member.work(10)
            member.shard.new()
            self.snapshot(member.shard)

    def work(self) -> None:
        """Some changes of each shard; capture is killed amid them and takes up an older offset."""
        for member in self.members:
            member.work(12)
            if self.chance.random() < 0.15:
                member.shard.do(self.chance.choice(["photos", "orders"]), "truncate")
                member.work(4)
            changes = changes_of(member.shard.new())
            killed = self.chance.randrange(len(changes))
            offset = self.chance.randint(0, killed)
            self.stream.publish(member.shard.name, 1, changes[:killed])
            self.stream.publish(member.shard.name, 1, changes[offset:])
            if self.chance.random() < 0.2:
                self.snapshot(member.shard)

    def snapshot(self, shard: Server) -> None:
        """A snapshot of the shard, which may be killed on its way and is then taken anew."""
        while True:
            changes = changes_of(shard.snapshot())
            if self.chance.random() < 0.6:
                return self.stream.publish(shard.name, 1, changes)
            self.stream.publish(shard.name, 1, changes[: self.chance.randrange(len(changes))])


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_of_the_rows_whatever_the_stream_does(tmp_path: Path, seed: int) -> None:
    world, path = World(seed), tmp_path / "live.db"
    chance, stream, then = world.chance, world.stream, []
    world.begin()
    for _ in range(5):
        world.work()
        with Store(path) as store:  # whoever counted before was killed
            counting = consumer(store, stream)
            while chance.random() < 0.9 and counting.step(most=chance.choice([3, 40, 400])).behind:
                numbers = {metric.name: sums_at(store, metric.name) for metric in METRICS}
                then.append((counting.progress.positions, numbers))
    with Store(path) as store:
        drain(store, stream)
        check(store, world.shards)
        for positions, numbers in chance.sample(then, min(len(then), 12)):
            for name, sums in numbers.items():
                assert sums_at(store, name, positions) == sums
