"""Producer and reader over the real local endpoint: sizes, resharding, an endpoint that goes away.

What the service does and the local endpoint doesn't is tested in tests/unit/stream.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from smug_platform.capture.change import Change, encode
from smug_platform.errors import StreamError
from smug_platform.lake.merge import merge, name_of
from smug_platform.local.kinesis import start_kinesis
from smug_platform.raw import deltas as raw
from smug_platform.raw.land import land
from smug_platform.settings import StreamSettings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import describe, ensure_stream, kinesis_client
from smug_platform.stream.producer import Producer, StreamLost
from smug_platform.stream.reader import Batch, Reader, StreamPositions
from tests.conftest import free_port
from tests.history import Shard, column
from tests.pipeline.lake_process import PHOTOS, catalog_of
from tests.pipeline.throttling import throttling
from tests.recorded import change_of

SHARD = "shard_0"
MIB = 1024 * 1024


class Stream:
    """A stream with its own producer and reader."""

    def __init__(self, settings: StreamSettings, folder: Path) -> None:
        self.settings, self.client = settings, kinesis_client(settings)
        ensure_stream(self.client, settings)
        self.claims = Claims(f"file://{folder}/claims")
        self.producer = Producer(self.client, settings.name, self.claims)
        self.reader = Reader(self.client, settings.name, self.claims, refresh=0)

    def put(self, first: int, count: int, *, keys: int = 10) -> None:
        rows = [row(n % keys, n) for n in range(first, first + count)]
        self.producer.publish(SHARD, 1, rows)

    def drain(self, after: StreamPositions | None = None) -> Batch:
        batch = self.reader.read(after, max_seconds=60)
        assert batch.at_tip
        return batch


def row(key: int, number: int, text: str = "") -> Change:
    value = f'{{"n":{number},"text":"{text}"}}'
    return Change(f"{SHARD}.flickr.photos", b'{"id":%d}' % key, value.encode())


def numbers(batch: Batch) -> list[int]:
    return [orjson.loads(record.data)["value"]["n"] for record in batch.records]


@pytest.fixture
def stream(fresh_kinesis: StreamSettings, tmp_path: Path) -> Iterator[Stream]:
    made = Stream(fresh_kinesis, tmp_path)
    yield made
    made.producer.close()


def test_what_is_published_is_read(stream: Stream):
    stream.put(0, 5000, keys=100)
    batch = stream.drain()
    assert sorted(numbers(batch)) == list(range(5000))
    for key in range(100):
        of_key = [n for n in numbers(batch) if n % 100 == key]
        assert of_key == sorted(of_key)
    assert len({(r.stream_shard, r.sequence_number, r.sub) for r in batch.records}) == 5000
    assert {r.stream_shard for r in batch.records} == set(stream.producer.tips(SHARD))
    assert batch.positions.covers(stream.producer.incarnation, stream.producer.tips(SHARD))


@pytest.mark.parametrize(
    "size",
    [MIB - 1, MIB, MIB + 1, 10 * MIB, 100 * MIB],
    ids=["M03-1MiB-1", "M03-1MiB", "M03-1MiB+1", "M03-10MiB", "M03-100MiB"],
)
def test_a_record_of_any_size_arrives_whole(stream: Stream, size: int):
    empty = len(encode(row(1, 1), 1))
    large = row(1, 1, "x" * (size - empty))
    stream.producer.publish(SHARD, 1, [row(1, 0), large, row(1, 2)])
    batch = stream.drain()
    assert numbers(batch) == [0, 1, 2]
    assert batch.records[1].data == encode(large, 1)
    assert len(batch.records[1].data) == size


def test_M05_what_was_taken_without_an_answer_comes_again_and_counts_once(
    fresh_kinesis: StreamSettings, tmp_path: Path
):
    source = Shard(SHARD, "photos", [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR")])
    source.snapshot()
    source.insert(*[{"id": number, "title": "new"} for number in range(300)])
    for number in range(0, 300, 3):
        source.update({"id": number}, title="changed")
        source.delete({"id": number + 1})
    port = free_port()
    with throttling(str(fresh_kinesis.endpoint), port) as refusals:
        stream = Stream(replace(fresh_kinesis, endpoint=f"http://127.0.0.1:{port}"), tmp_path)
        for first in range(0, len(source.deltas), 100):
            refusals.unanswered = 1
            changes = [change_of(delta) for delta in source.deltas[first : first + 100]]
            stream.producer.publish(SHARD, 1, changes)
            assert refusals.unanswered == 0
        stream.producer.close()
        catalog = catalog_of(tmp_path)
        land(catalog, stream.reader)
    landed = raw.open_deltas(catalog).scan("op != 'ddl'").count()
    merged = merge(catalog, PHOTOS)
    assert landed >= 500 + 5
    assert (merged.duplicates, merged.written) == (landed - 500, 300)
    live = catalog.load_table(name_of(PHOTOS)).scan("_is_deleted = false").to_arrow().to_pylist()
    held = sorted((int(row["id"]), row["title"]) for row in live)
    assert held == sorted((row["id"], row["title"]) for row in source.rows)


def test_M07_a_stream_that_is_resharded_is_read_whole(stream: Stream):
    """The local endpoint copies records when it merges, and goes on filling closed shards."""
    stream.put(0, 500)
    before = stream.reader.read(None, max_records=100)
    name = stream.settings.name
    stream.client.split_shard(
        StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**125)
    )
    stream.put(500, 500)
    stream.client.merge_shards(
        StreamName=name,
        ShardToMerge="shardId-000000000002",
        AdjacentShardToMerge="shardId-000000000003",
    )
    stream.put(1000, 500)
    found = numbers(before) + numbers(stream.drain(before.positions))
    assert set(found) == set(range(1500))
    for key in range(10):
        fresh = list(dict.fromkeys(n for n in found if n % 10 == key))
        assert fresh == sorted(fresh)


def test_a_peek_sees_what_came(stream: Stream):
    positions = stream.drain().positions
    assert not stream.reader.has_arrivals(positions)
    stream.put(0, 1)
    assert stream.reader.has_arrivals(positions)
    assert not stream.reader.has_arrivals(stream.drain(positions).positions)


def test_many_producers_at_once_lose_nothing(stream: Stream):
    def publish(first: int) -> None:
        producer = Producer(stream.client, stream.settings.name, stream.claims)
        for n in range(first, first + 300, 10):
            producer.publish(SHARD, 1, [row(k, n + k) for k in range(10)])
        producer.close()

    threads = [threading.Thread(target=publish, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(stream.drain())) == [1000 * i + n for i in range(4) for n in range(300)]


def local_stream() -> StreamSettings:
    """An endpoint on a free port; nothing is started."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    return StreamSettings("changes", "us-east-1", endpoint, is_local=True)


def test_a_stream_that_is_missing_is_told_with_a_remedy(kinesis: StreamSettings, tmp_path: Path):
    client, claims = kinesis_client(kinesis), Claims(f"file://{tmp_path}")
    with pytest.raises(StreamError, match="smug up"):
        Producer(client, "no-such-stream", claims)
    with pytest.raises(StreamError, match="smug up"):
        Reader(client, "no-such-stream", claims).read(None)


def test_an_endpoint_that_is_away_is_told_with_a_remedy(tmp_path: Path):
    settings = local_stream()
    client, claims = kinesis_client(settings), Claims(f"file://{tmp_path}")
    for use in (
        lambda: ensure_stream(client, settings),
        lambda: Producer(client, "changes", claims),
        lambda: Reader(client, "changes", claims).has_arrivals(None),
    ):
        with pytest.raises(StreamError, match="smug up") as told:
            use()
        assert "\n" not in str(told.value)


def test_an_endpoint_that_restarts_is_another_stream(tmp_path: Path):
    """It forgets all: the producer says so, and the reader begins at the start of the new one."""
    settings = local_stream()
    process = start_kinesis(settings, tmp_path)
    try:
        stream = Stream(settings, tmp_path)
        stream.put(0, 20)
        before = stream.drain()
        process.stop()
        done: list[BaseException | None] = []

        def publish() -> None:
            try:
                stream.put(20, 5)
                done.append(None)
            except StreamLost as error:
                done.append(error)

        waiting = threading.Thread(target=publish)
        waiting.start()
        time.sleep(0.5)
        assert not done
        process = start_kinesis(settings, tmp_path)
        ensure_stream(kinesis_client(settings), settings)
        waiting.join(60)
        assert isinstance(done[0], StreamLost)
        assert describe(stream.client, "changes")[0] != before.positions.incarnation
        again = Stream(settings, tmp_path)
        again.put(100, 3)
        assert sorted(numbers(stream.drain(before.positions))) == [100, 101, 102]
        again.producer.close()
        stream.producer.close()
    finally:
        process.stop()
