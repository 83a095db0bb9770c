"""Rows that the source's server wrote, packed without making a change of each.

What a reader unpacks is what it would unpack had they come as changes: each in the lane of its key,
and the same bytes. Rows of one piece differ in their keys, so a lane keeps an order either way.
They share the partition key of their table, which says nothing: where they go is said by their
lane's explicit hash key.
"""

import hashlib
from dataclasses import dataclass, field

from smug_platform.capture.written import Written
from smug_platform.stream.aggregate import KEY_OVERHEAD, PACK_OVERHEAD, closed, record_head
from smug_platform.stream.lanes import LANES, hash_key

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
    shared = [hashlib.md5(label, usedforsecurity=False).hexdigest()]
    lanes = [_Lane() for _ in range(LANES)]
    heads: dict[int, bytes] = {}
    most -= PACK_OVERHEAD + KEY_OVERHEAD + _DIGITS
    for key, image in zip(rows.keys, rows.images, strict=True):
        number = hashlib.md5(label + key, usedforsecurity=False).digest()[0] >> 4
        lane = lanes[number]
        length = around + len(key) + len(image)
        head = heads.get(length)
        if head is None:
            head = heads[length] = record_head(0, length)
        size = len(head) + length
        if lane.size + size > most and lane.parts:
            lane.packs.append(closed(shared, hash_key(number), lane.parts))
            lane.parts, lane.size = [], 0
        lane.parts += (head, before, key, between, image, after)
        lane.size += size
    for number, lane in enumerate(lanes):
        if lane.parts:
            lane.packs.append(closed(shared, hash_key(number), lane.parts))
    return [lane.packs for lane in lanes]
