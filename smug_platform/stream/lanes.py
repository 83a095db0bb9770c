"""Lanes: sixteen equal slices of the stream's hash space, and which change goes in which.

All records of a lane carry the same explicit hash key, its start. So a lane lies wholly in one
stream shard however the shards are cut, and the order of a key's changes is the order in which
its lane was written.
"""

import hashlib
from functools import lru_cache

from smug_platform.capture.change import Change

LANES = 16
_LANE_BITS = 128 - 4

ALL = -1
"""The lane of a change that every lane must carry."""


def hash_key(lane: int) -> str:
    """The explicit hash key of a lane: where it starts in the 128-bit hash space.

    >>> hash_key(0), hash_key(8) == str(2**127)
    ('0', True)
    """
    return str(lane << _LANE_BITS)


def partition_key(change: Change) -> str:
    """The partition key of a change: 32 hex digits from its table and key.

    Without a key it is the table's, so that a table of equal rows keeps its order.

    >>> partition_key(Change("s.d.t", None, b"{}")) == partition_key(Change("s.d.t", None, b"[]"))
    True
    """
    text = _begin(change.topic) + (change.key or b"")
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


@lru_cache
def _begin(topic: str) -> bytes:
    return f"{topic}\t".encode()


def lane_of(shard: str, change: Change, key: str) -> int:
    """The lane of a change of a source shard, given its partition key; `ALL` for those that rows
    of any lane depend on: schema changes and truncates.

    >>> lane_of("s", Change("s", b"{}", b"{}"), "00"), lane_of("s", Change("s.d.t", b"", b""), "f0")
    (-1, 15)
    """
    if change.topic == shard or (change.key is None and _is_truncate(change.value)):
        return ALL
    return int(key[0], 16)


def _is_truncate(value: bytes) -> bool:
    """By the end of the value, where the operation stands: the row images before it are null."""
    return value.rfind(b'"op":"t"', -200) >= 0
