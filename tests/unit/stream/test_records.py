import numpy as np
import pyarrow as pa
import pytest

from smug_platform.stream.records import Gathered, Origin, Record, Records

GIVEN = [
    Record(b'{"a":1}', "shard-0", "10", 0, "lane-1"),
    Record(b"", "shard-0", "10", 2, "lane-1"),
    Record(b'{"b":22}', "shard-1", "9", 0, "lane-2"),
]


def test_records_come_back_as_they_were_given() -> None:
    records = Records.of(GIVEN)
    assert list(records) == GIVEN
    assert (records[1], records[-1], records[:2]) == (GIVEN[1], GIVEN[2], GIVEN[:2])
    for number in (3, -4):
        with pytest.raises(IndexError):
            records[number]
    assert not Records.of([])
    assert len(records) == 3


def test_envelopes_of_one_record_share_their_origin() -> None:
    gathered = Gathered()
    gathered.add(Origin("shard-0", "1"), [b"a", b"bc"], [0, 3])
    gathered.add(Origin("shard-0", "2"), [b"d"], [0])
    records = gathered.records()
    assert gathered.size == 4
    assert records.origin.tolist() == [0, 0, 1]
    assert [(one.data, one.sequence_number, one.sub) for one in records] == [
        (b"a", "1", 0), (b"bc", "1", 3), (b"d", "2", 0),
    ]  # fmt: skip


def test_a_part_is_a_view_of_the_text() -> None:
    records = Records.of(GIVEN)
    part = records.data(1, 3)
    assert part.equals(pa.array([b"", b'{"b":22}'], pa.binary()))
    assert records.data(0, 0).equals(pa.array([], pa.binary()))
    whole = np.frombuffer(records.text, np.uint8)
    assert np.shares_memory(np.frombuffer(part.buffers()[2], np.uint8), whole)


def test_what_32_bits_do_not_reach_is_refused() -> None:
    records = Records(b"", np.array([0, 1, 1 << 31]), (Origin("s", "1"),), np.zeros(2), np.zeros(2))
    with pytest.raises(OverflowError, match="2147483648 bytes"):
        records.data(0, 2)
