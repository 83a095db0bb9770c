"""The aggregation format, against the library that others read it with."""

import base64
import importlib
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_platform.stream import aggregate
from smug_platform.stream.aggregate import MAGIC, DamagedRecord, pack, unpack

PAIRS = st.lists(st.tuples(st.text(min_size=1, max_size=40), st.binary(max_size=300)), min_size=1)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType]:
    """AWS's own aggregator and deaggregator, whose modules import each other by bare name."""
    spec = importlib.util.find_spec("aws_kinesis_agg")
    assert spec is not None
    assert spec.origin is not None
    monkeypatch.syspath_prepend(str(Path(spec.origin).parent))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            importlib.import_module("aws_kinesis_agg.aggregator"),
            importlib.import_module("aws_kinesis_agg.deaggregator"),
        )


@given(PAIRS)
def test_what_is_packed_unpacks_in_order(pairs: list[tuple[str, bytes]]):
    assert unpack(pack(pairs, "0")) == [data for _, data in pairs]


@given(PAIRS, st.integers(0, 2**128 - 1).map(str))
def test_a_pack_is_byte_for_byte_what_protobuf_writes(pairs: list[tuple[str, bytes]], place: str):
    assert_written_as_by_protobuf(pairs, place)


@pytest.mark.parametrize("size", [126, 127, 128, 16_370, 16_383, 16_384, 2_097_152])
def test_a_pack_of_any_size_is_what_protobuf_writes(size: int):
    """Around each length at which a number takes a byte more."""
    assert_written_as_by_protobuf([("k" * size, b"x" * size), ("k", b"")], "0")


def test_a_pack_of_many_keys_is_what_protobuf_writes():
    assert_written_as_by_protobuf([(f"{n}", b"%d" % n) for n in range(20_000)], "0")


def assert_written_as_by_protobuf(pairs: list[tuple[str, bytes]], place: str) -> None:
    message = aggregate._AggregatedRecord()
    message.explicit_hash_key_table.append(place)
    keys = list(dict.fromkeys(key for key, _ in pairs))
    message.partition_key_table.extend(keys)
    index = {key: number for number, key in enumerate(keys)}
    for key, data in pairs:
        message.records.add(partition_key_index=index[key], explicit_hash_key_index=0, data=data)
    assert pack(pairs, place)[len(MAGIC) : -16] == message.SerializeToString()


def test_their_deaggregator_reads_ours(published: tuple[ModuleType, ModuleType]):
    _, deaggregator = published
    pairs = [("a", b'{"n":1}'), ("b", b'{"n":2}'), ("a", b'{"n":3}')]
    record = {
        "Data": pack(pairs, str(2**127)),
        "PartitionKey": "lane-08",
        "SequenceNumber": "7",
        "ApproximateArrivalTimestamp": 0,
    }
    event = {
        "eventVersion": "1.0",
        "kinesis": {
            "data": base64.b64encode(record["Data"]).decode(),
            "partitionKey": "lane-08",
            "sequenceNumber": "7",
            "kinesisSchemaVersion": "1.0",
            "approximateArrivalTimestamp": 0,
        },
        "eventSource": "aws:kinesis",
    }
    found = deaggregator.deaggregate_records([event])
    told = [(r["kinesis"]["partitionKey"], base64.b64decode(r["kinesis"]["data"])) for r in found]
    assert told == pairs
    assert {r["kinesis"]["explicitHashKey"] for r in found} == {str(2**127)}


def test_ours_reads_their_aggregator(published: tuple[ModuleType, ModuleType]):
    aggregator, _ = published
    made = aggregator.RecordAggregator()
    for n in range(3):
        made.add_user_record(f"key-{n}", b'{"n":%d}' % n, str(n))
    _, _, data = made.clear_and_get().get_contents()
    assert unpack(data) == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


@pytest.mark.parametrize("cut", [slice(None, -1), slice(0, 10)], ids=["M10-short", "M10-stub"])
def test_a_damaged_record_is_told(cut: slice):
    with pytest.raises(DamagedRecord):
        unpack(pack([("a", b"data")], "0")[cut])


def test_a_bit_that_flipped_is_told():
    data = bytearray(pack([("a", b"data")], "0"))
    data[len(MAGIC) + 3] ^= 1
    with pytest.raises(DamagedRecord):
        unpack(bytes(data))
