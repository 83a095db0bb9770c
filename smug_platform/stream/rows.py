"""Rows that the source's server wrote, packed without making a change of each.

What a reader unpacks is what it would unpack had they come as changes: each in the lane of its key,
and the same bytes. Rows of one piece differ in their keys, so a lane keeps an order either way.
They share the partition key of their table, which says nothing: where they go is said by their
lane's explicit hash key.
"""

import hashlib
from dataclasses import dataclass, field

from smug_platform.capture.written import Written
from smug_platform.stream.aggregate import KEY_OVERHEAD, MAGIC, PACK_OVERHEAD, VARINT
from smug_platform.stream.lanes import LANES, hash_key

# Of AggregatedRecord: partition_key_table, explicit_hash_key_table, records. Of Record: both
# indexes, which are 0, and data.
_PARTITION_KEYS, _HASH_KEYS, _RECORDS = b"\x0a", b"\x12", b"\x1a"
_INDEXES, _DATA = b"\x08\x00\x10\x00", b"\x1a"
_DIGITS = 32  # of a partition key


@dataclass
class _Lane:
    """The packs of one lane, and what is to be the next."""

    packs: list[bytes] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    size: int = 0


def packed_rows(rows: Written, epoch: int, most: int) -> list[list[bytes]]:
    """The aggregated records of each lane, each of at most so many bytes."""
    before, between, after = rows.envelope(epoch)
    around = len(before) + len(between) + len(after)
    label = f"{rows.topic}\t".encode()
    lanes = [_Lane() for _ in range(LANES)]
    heads: dict[int, bytes] = {}
    most -= PACK_OVERHEAD + KEY_OVERHEAD + _DIGITS
    for key, image in zip(rows.keys, rows.images, strict=True):
        number = hashlib.md5(label + key, usedforsecurity=False).digest()[0] >> 4
        lane = lanes[number]
        length = around + len(key) + len(image)
        head = heads.get(length)
        if head is None:
            head = heads[length] = _head(length)
        size = len(head) + length
        if lane.size + size > most and lane.parts:
            lane.packs.append(_pack(lane.parts, label, number))
            lane.parts, lane.size = [], 0
        lane.parts += (head, before, key, between, image, after)
        lane.size += size
    for number, lane in enumerate(lanes):
        if lane.parts:
            lane.packs.append(_pack(lane.parts, label, number))
    return [lane.packs for lane in lanes]


def _pack(parts: list[bytes], label: bytes, lane: int) -> bytes:
    key = hashlib.md5(label, usedforsecurity=False).hexdigest().encode()
    place = hash_key(lane).encode()
    body = b"".join(
        (_PARTITION_KEYS, VARINT[len(key)], key, _HASH_KEYS, VARINT[len(place)], place, *parts)
    )
    return b"".join((MAGIC, body, hashlib.md5(body, usedforsecurity=False).digest()))


def _head(length: int) -> bytes:
    """What stands before a record's data of so many bytes."""
    inner = _INDEXES + _DATA + VARINT[length]
    return _RECORDS + VARINT[len(inner) + length] + inner
