"""One change as it leaves the source's engine, and its envelope on the stream.

Key and value are the JSON that Debezium wrote and are never parsed here: at 25,000 changes a second
the envelope is glued together, and whoever reads the stream parses once.
"""

from dataclasses import dataclass

HEARTBEAT = "__debezium-heartbeat."


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one row, of a whole table (truncate), or of the schema.

    topic: `<shard>.<database>.<table>`, or `<shard>` for a schema change.
    key: JSON object, None where the table has no key. value: JSON object.
    number: 1, 2, ... for the rows of keyless tables in a snapshot, else 0: all rows of a snapshot
        stand at one position, so that equal rows of a keyless table are told apart by it alone.
    """

    topic: str
    key: str | None
    value: str
    number: int = 0


def encode(change: Change, epoch: int) -> bytes:
    """The envelope of a change: one user record of the stream, UTF-8 JSON in three lines.

    JSON holds no raw newline elsewhere, so a reader cuts key and value out as the bytes they are.
    `number` is there only where it is not 0.

    >>> print(encode(Change("shard_0.flickr.photos", '{"id":1}', '{"op":"c"}'), 1).decode())
    {"epoch":1,"topic":"shard_0.flickr.photos",
    "key":{"id":1},
    "value":{"op":"c"}}
    """
    number = f'"number":{change.number},' if change.number else ""
    return (
        f'{{"epoch":{epoch},"topic":"{change.topic}",{number}\n'
        f'"key":{change.key or "null"},\n"value":{change.value}}}'
    ).encode()
