"""Rows that are packed as they were written, beside the same rows as changes."""

from smug_platform.capture.change import Change, encode
from smug_platform.capture.written import Written, spelled
from smug_platform.stream.aggregate import unpack
from smug_platform.stream.lanes import LANES, lane_of, partition_key
from smug_platform.stream.rows import packed_rows

KEYS = [f'{{"id":{number}}}'.encode() for number in range(3000)] + [
    spelled('{"id":"\U0001f600 é"}'.encode())
]
IMAGES = [key[:-1] + f',"v":"{"é" * (number % 300)}"}}'.encode() for number, key in enumerate(KEYS)]
ROWS = Written("shard_0.flickr.photos", KEYS, IMAGES, b',"op":"r","ts_ms":1}')


def test_each_row_is_in_the_lane_of_its_key_with_the_bytes_of_its_change() -> None:
    lanes: list[list[bytes]] = [[] for _ in range(LANES)]
    for change in ROWS:
        lane = lane_of("shard_0", change, partition_key(change))
        lanes[lane].append(encode(change, 7))
    assert all(lanes)
    packed = packed_rows(ROWS, 7, 1_000_000)
    assert [[row for pack in packs for row in unpack(pack)] for packs in packed] == lanes


def test_no_pack_is_longer_than_it_may_be_and_none_is_split_before() -> None:
    packed = packed_rows(ROWS, 1, 20_000)
    sizes = [len(pack) for packs in packed for pack in packs[:-1]]
    assert max(sizes) <= 20_000
    assert min(sizes) > 18_000
    assert sum(len(unpack(pack)) for packs in packed for pack in packs) == len(KEYS)


def test_rows_are_changes_to_who_looks_at_them_one_by_one() -> None:
    assert ROWS[1] == Change(
        "shard_0.flickr.photos",
        b'{"id":1}',
        '{"before":null,"after":{"id":1,"v":"é"},"op":"r","ts_ms":1}'.encode(),
    )
    assert list(ROWS[-1:]) == [ROWS[len(ROWS) - 1]]
    assert KEYS[-1] == '{"id":"\\uD83D\\uDE00 é"}'.encode()
    assert encode(ROWS[len(ROWS) - 1], 1) == encode(ROWS[-1], 1)
