"""One change as it leaves the source's engine, and its envelope on the stream.

Key and value are the JSON that Debezium gave, UTF-8, and are never parsed here: at some 50,000
changes a second the envelope is glued together, and whoever reads the stream parses once.
"""

from functools import lru_cache
from typing import NamedTuple

HEARTBEAT = "__debezium-heartbeat."
CHANGED, UNKEYED = "STATEMENT", "UNKEYED"
"""Kinds of a table's change beside Debezium's CREATE, ALTER and DROP: a statement changed rows of
it, and no schema; the declared key does not tell its rows apart any more.
"""


class Change(NamedTuple):
    """A change of one row, of a whole table (truncate), or of the schema.

    A tuple, for no other thing that does not change is made as fast.

    topic: `<shard>.<database>.<table>`, or `<shard>` for a schema change.
    key: JSON object, None where the table has no key. value: JSON object.
    number: 1, 2, ... for the rows of keyless tables in a snapshot, else 0: all rows of a snapshot
        stand at one position, so that equal rows of a keyless table are told apart by it alone.
    """

    topic: str
    key: bytes | None
    value: bytes
    number: int = 0


def encode(change: Change, epoch: int) -> bytes:
    """The envelope of a change: one user record of the stream, UTF-8 JSON in three lines.

    JSON holds no raw newline elsewhere, so a reader cuts key and value out as the bytes they are.
    `number` is there only where it is not 0.

    >>> print(encode(Change("shard_0.flickr.photos", b'{"id":1}', b'{"op":"c"}'), 1).decode())
    {"epoch":1,"topic":"shard_0.flickr.photos",
    "key":{"id":1},
    "value":{"op":"c"}}
    """
    topic, key, value, number = change
    head = _numbered(epoch, topic, number) if number else _head(epoch, topic)
    return b"".join((head, key or b"null", b',\n"value":', value, b"}"))


@lru_cache
def _head(epoch: int, topic: str) -> bytes:
    return f'{{"epoch":{epoch},"topic":"{topic}",\n"key":'.encode()


def _numbered(epoch: int, topic: str, number: int) -> bytes:
    return f'{{"epoch":{epoch},"topic":"{topic}","number":{number},\n"key":'.encode()
