"""The reader against the service's rules: bounds, resharding, poison, expiry, throttling."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError

from smug_platform.errors import StreamError
from smug_platform.stream.aggregate import pack
from smug_platform.stream.claims import Claims
from smug_platform.stream.pages import END
from smug_platform.stream.producer import Producer
from smug_platform.stream.reader import Batch, Reader, StreamPositions
from tests.unit.stream.service import KinesisInMemory, error
from tests.unit.stream.test_producer import SHARD, row


def claims(tmp_path: Path) -> Claims:
    return Claims(f"file://{tmp_path}/claims")


def reader(service: Any, tmp_path: Path) -> Reader:
    return Reader(service, "changes", claims(tmp_path), refresh=0)


def fill(service: Any, tmp_path: Path, first: int, count: int) -> None:
    sent = Producer(service, "changes", claims(tmp_path), wait=lambda _seconds: False)
    for n in range(first, first + count):
        sent.publish(SHARD, 1, [row(n % 10, n)])
    sent.close()


def numbers(*batches: Batch) -> list[int]:
    return [orjson.loads(r.data)["value"]["n"] for batch in batches for r in batch.records]


def test_everything_is_read_once_and_positions_go_on(tmp_path: Path):
    service = KinesisInMemory()
    fill(service, tmp_path, 0, 300)
    batch = reader(service, tmp_path).read(None)
    assert sorted(numbers(batch)) == list(range(300))
    assert batch.at_tip
    assert not reader(service, tmp_path).read(batch.positions).records
    fill(service, tmp_path, 300, 5)
    assert sorted(numbers(reader(service, tmp_path).read(batch.positions))) == [*range(300, 305)]


@pytest.mark.parametrize("bound", [{"max_records": 7}, {"max_bytes": 500}])
def test_bounds_cut_between_stream_records_and_lose_nothing(tmp_path: Path, bound: dict[str, int]):
    service = KinesisInMemory()
    fill(service, tmp_path, 0, 100)
    reading = reader(service, tmp_path)
    batches = [reading.read(None, **bound)]
    while not batches[-1].at_tip:
        assert batches[-1].behind > timedelta(0)
        batches.append(reading.read(batches[-1].positions, **bound))
    assert sorted(numbers(*batches)) == list(range(100))
    assert len(batches) >= 10


def test_no_time_is_no_skip(tmp_path: Path):
    service = KinesisInMemory()
    fill(service, tmp_path, 0, 10)
    batch = reader(service, tmp_path).read(None, max_seconds=0)
    assert not batch.at_tip
    assert not batch.records
    assert sorted(numbers(reader(service, tmp_path).read(batch.positions))) == list(range(10))


def test_M07_parents_are_read_to_their_end_before_their_children(tmp_path: Path):
    """M07: a split, a split of its child, a merge, all under load."""
    service = KinesisInMemory(shards=2)
    fill(service, tmp_path, 0, 60)
    service.split(service.parts[0])
    fill(service, tmp_path, 60, 60)
    service.split(service.parts[2])
    fill(service, tmp_path, 120, 60)
    service.merge(service.parts[3], service.parts[1])
    fill(service, tmp_path, 180, 60)
    batches, positions, reading = [], None, reader(service, tmp_path)
    while not batches or not batches[-1].at_tip:
        batches.append(reading.read(positions, max_records=11))
        positions = batches[-1].positions
    found = numbers(*batches)
    assert sorted(found) == list(range(240))
    for key in range(10):
        of_key = [n for n in found if n % 10 == key]
        assert of_key == sorted(of_key)
    assert positions is not None
    assert [positions.sequences[part.id] == END for part in service.parts] == [
        part.closed for part in service.parts
    ]


def test_a_parent_that_aged_out_read_is_no_gap_and_one_unread_is(tmp_path: Path):
    service = KinesisInMemory(shards=1)
    fill(service, tmp_path, 0, 20)
    part_read = reader(service, tmp_path).read(None, max_records=5)
    service.split(service.parts[0])
    all_read = reader(service, tmp_path).read(None)
    service.parts.pop(0)
    fill(service, tmp_path, 20, 5)
    assert len(reader(service, tmp_path).read(all_read.positions).records) == 5
    with pytest.raises(StreamError, match="capture the shards anew"):
        reader(service, tmp_path).read(part_read.positions)


def test_positions_that_the_stream_does_not_know_are_an_error(tmp_path: Path):
    service = KinesisInMemory(shards=1)
    fill(service, tmp_path, 0, 5)
    known = reader(service, tmp_path).read(None).positions
    lost = StreamPositions(known.incarnation, {service.parts[0].id: "12345"})
    with pytest.raises(StreamError, match="does not know position"):
        reader(service, tmp_path).read(lost)


def test_M09_records_that_may_have_expired_unread_are_an_error(tmp_path: Path):
    """M09: read last longer ago than the stream keeps its records."""
    service = KinesisInMemory(shards=1)
    fill(service, tmp_path, 0, 5)
    positions = reader(service, tmp_path).read(None, max_records=1).positions
    service.now = 24 * 3600
    with pytest.raises(StreamError, match="read last so long ago"):
        reader(service, tmp_path).read(positions)


def test_another_stream_of_the_name_is_read_from_its_start(tmp_path: Path):
    service = KinesisInMemory()
    fill(service, tmp_path, 0, 20)
    reading = reader(service, tmp_path)
    before = reading.read(None)
    service.restart()
    fill(service, tmp_path, 100, 3)
    after = reading.read(before.positions)
    assert sorted(numbers(after)) == [100, 101, 102]
    assert after.positions.incarnation != before.positions.incarnation


def test_M10_poison_is_set_aside_and_stops_nothing(tmp_path: Path):
    """M10: a damaged pack, bytes that are no JSON, a claim without its object."""
    service = KinesisInMemory(shards=1)
    fill(service, tmp_path, 0, 2)
    good = pack([("k", b'{"value":{"n":7}}'), ("k", b"no json")], "0")
    claim = b'{"claim":{"uri":"file://%s/claims/x","sha256":"","bytes":1}}' % bytes(tmp_path)
    for data in (good[:-1], b"{not json", claim, good):
        service.put_records(StreamName="", Records=[{"Data": data, "PartitionKey": "k"}])
    fill(service, tmp_path, 2, 2)
    batch = reader(service, tmp_path).read(None)
    assert numbers(batch) == [0, 1, 7, 2, 3]
    assert [poison.data for poison in batch.poison] == [good[:-1], b"{not json", claim, b"no json"]
    assert all(poison.reason and poison.sequence_number for poison in batch.poison)
    assert batch.at_tip


def test_claims_are_resolved(tmp_path: Path):
    service = KinesisInMemory()
    sent = Producer(service, "changes", claims(tmp_path))
    sent.publish(SHARD, 1, [row(1, 1, "x" * 3_000_000), row(1, 2)])
    assert numbers(reader(service, tmp_path).read(None)) == [1, 2]


def test_throttled_reads_are_tried_again(tmp_path: Path):
    service = KinesisInMemory()
    fill(service, tmp_path, 0, 20)
    turns = iter([True, True, False, True])

    def throttle(operation: str) -> None:
        if operation == "GetRecords" and next(turns, False):
            raise error("ProvisionedThroughputExceededException")

    service.fail = throttle
    assert sorted(numbers(reader(service, tmp_path).read(None))) == list(range(20))


def test_an_iterator_that_expired_is_asked_for_anew(tmp_path: Path):
    service = KinesisInMemory()
    fill(service, tmp_path, 0, 5)
    turns = iter([True])

    def expire(operation: str) -> None:
        if operation == "GetRecords" and next(turns, False):
            raise error("ExpiredIteratorException")

    service.fail = expire
    assert sorted(numbers(reader(service, tmp_path).read(None))) == list(range(5))


def test_a_peek_tells_of_arrivals_and_takes_none(tmp_path: Path):
    service = KinesisInMemory()
    reading = reader(service, tmp_path)
    assert not reading.has_arrivals(None)
    fill(service, tmp_path, 0, 3)
    assert reading.has_arrivals(None)
    batch = reading.read(None)
    assert len(batch.records) == 3
    assert not reading.has_arrivals(batch.positions)
    assert not reading.has_arrivals(batch.positions)
    fill(service, tmp_path, 3, 1)
    assert reading.has_arrivals(batch.positions)
    assert numbers(reading.read(batch.positions)) == [3]


@pytest.mark.parametrize(
    ("read", "asked", "covered"),
    [
        ({"a": "10"}, {"a": "10"}, True),
        ({"a": "9"}, {"a": "10"}, False),
        ({"a": END}, {"a": "10"}, True),
        ({}, {"a": "10"}, False),
        ({"b": "99"}, {}, True),
    ],
)
def test_positions_cover_what_was_published(
    read: dict[str, str], asked: dict[str, str], covered: bool
):
    assert StreamPositions("i", read).covers("i", asked) is covered
    assert not StreamPositions("i", read).covers("other", {"a": "1"})


@pytest.mark.parametrize("operation", ["DescribeStreamSummary", "ListShards"])
@pytest.mark.parametrize(
    ("refused", "passes"),
    [
        (error("LimitExceededException"), True),
        (error("ThrottlingException"), True),
        (error("InternalFailure", 500), True),
        (error("AccessDeniedException"), False),
    ],
)
def test_what_is_refused_for_the_moment_may_be_asked_again(
    tmp_path: Path, operation: str, refused: ClientError, passes: bool
):
    service = KinesisInMemory()
    fill(service, tmp_path, 0, 1)

    def fail(asked: str) -> None:
        if asked == operation:
            raise refused

    service.fail = fail
    with pytest.raises(StreamError) as told:
        reader(service, tmp_path).read(None)
    assert told.value.passes is passes
