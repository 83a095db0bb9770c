import pytest

from smug_platform.capture.change import Change
from smug_platform.stream.lanes import ALL, LANES, hash_key, lane_of, partition_key

ROW = b'{"before":null,"after":{"id":1},"source":{},"transaction":null,"op":"c","ts_ms":1}'
TRUNCATE = b'{"before":null,"after":null,"source":{},"transaction":null,"op":"t","ts_ms":1}'


def test_lanes_cut_the_hash_space_into_equal_slices():
    starts = [int(hash_key(lane)) for lane in range(LANES)]
    assert starts == [lane * 2**128 // LANES for lane in range(LANES)]


@pytest.mark.parametrize(
    ("change", "everywhere"),
    [
        pytest.param(
            Change("s", b'{"databaseName":"flickr"}', b"{}"), True, id="M08-schema-change"
        ),
        pytest.param(Change("s.flickr.photos", None, TRUNCATE), True, id="M08-truncate"),
        pytest.param(Change("s.flickr.photos", None, ROW), False, id="M08-row-without-key"),
        pytest.param(Change("s.flickr.photos", b'{"id":1}', ROW), False, id="row"),
        # A row whose text speaks of a truncate is still a row.
        pytest.param(
            Change("s.flickr.photos", None, ROW.replace(b'{"id":1}', b'{"a":"\\"op\\":\\"t\\""}')),
            False,
            id="row-that-quotes-a-truncate",
        ),
    ],
)
def test_what_every_lane_must_know_goes_to_all(change: Change, everywhere: bool):
    assert (lane_of("s", change, partition_key(change)) == ALL) is everywhere


def test_a_table_without_keys_stays_in_one_lane():
    changes = [Change("s.flickr.photo_views", None, ROW + b" " * i) for i in range(100)]
    assert len({lane_of("s", change, partition_key(change)) for change in changes}) == 1


def test_F10_a_long_key_is_hashed_and_keeps_its_lane():
    """Kinesis takes a partition key of 256 characters at most."""
    long = '{"id":"' + "ключ" * 500 + '"}'
    changes = [Change("s.flickr.photos", long.encode(), ROW + b" " * i) for i in range(10)]
    keys = {partition_key(change) for change in changes}
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    other = Change("s.flickr.photos", long.replace('"}', '!"}').encode(), ROW)
    assert partition_key(other) not in keys


def test_keys_spread_over_all_lanes():
    changes = [Change("s.flickr.photos", b'{"id":%d}' % i, ROW) for i in range(1000)]
    lanes = [lane_of("s", change, partition_key(change)) for change in changes]
    assert set(lanes) == set(range(LANES))
    assert max(map(lanes.count, range(LANES))) < 120
