"""The aggregation format of the Kinesis Producer Library: many user records in one.

A record is a magic number, a protobuf message and its MD5. The message is read by the published
descriptor, and written without it, in a fifth of the time; readers of any language that know the
format can read ours. A record without the magic number is a plain one.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_KEPT_VARINTS = 1 << 14

# A record costs three tags, three varints of its own and the tag and length around it; a key of
# the table costs its tag and length.
RECORD_OVERHEAD = 24
KEY_OVERHEAD = 3
PACK_OVERHEAD = len(MAGIC) + _DIGEST_BYTES + 64


class DamagedRecord(ValueError):
    """A record that says it is aggregated but can't be taken apart."""


def pack(records: Sequence[tuple[str, bytes]], hash_key: str) -> bytes:
    """One aggregated record of (partition key, data) pairs in their order.

    hash_key: the explicit hash key of all of them; readers that check it find it in their shard.

    >>> unpack(pack([("a", b"1"), ("b", b"2"), ("a", b"3")], "0"))
    [b'1', b'2', b'3']
    """
    places: dict[str, int] = {}
    parts: list[bytes] = []
    for key, data in records:
        parts += (record_head(places.setdefault(key, len(places)), len(data)), data)
    return closed(places, hash_key, parts)


def record_head(place: int, length: int) -> bytes:
    """What stands before the data of a user record. place: of its key among the pack's keys."""
    index, size = _VARINT[place], _VARINT[length]
    inner = _VARINT[len(index) + len(size) + length + 4]
    return b"\x1a%b\x08%b\x10\x00\x1a%b" % (inner, index, size)


def closed(keys: Iterable[str], hash_key: str, parts: Sequence[bytes]) -> bytes:
    """One aggregated record of these partition keys and, head and data by turns, user records."""
    table = [b"\x0a%b%b" % (_VARINT[len(key)], key) for key in map(str.encode, keys)]
    table.append(b"\x12%b%b" % (_VARINT[len(hash_key)], hash_key.encode()))
    body = b"".join((*table, *parts))
    return b"".join((MAGIC, body, hashlib.md5(body, usedforsecurity=False).digest()))


class _Varints(dict[int, bytes]):
    """Numbers as protobuf writes them: seven bits a byte, the lowest first. Small ones are kept."""

    def __missing__(self, number: int) -> bytes:
        found, rest = bytearray(), number
        while rest > 0x7F:
            found.append(rest & 0x7F | 0x80)
            rest >>= 7
        found.append(rest)
        if number < _KEPT_VARINTS:
            self[number] = bytes(found)
        return bytes(found)


_VARINT = _Varints()


def unpack(data: bytes) -> list[bytes]:
    """The user records in a stream record; a plain one unpacks to itself.

    Raises DamagedRecord.

    >>> unpack(b"plain")
    [b'plain']
    """
    if not data.startswith(MAGIC):
        return [data]
    body, digest = memoryview(data)[len(MAGIC) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.md5(body, usedforsecurity=False).digest() != digest:
        raise DamagedRecord("the checksum of the aggregated record is wrong")
    message = _AggregatedRecord()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise DamagedRecord(f"the aggregated record can't be parsed: {error}") from None
    return [record.data for record in message.records]


def _message_class() -> Any:
    """The protobuf class AggregatedRecord, as the format's specification declares it."""
    field = descriptor_pb2.FieldDescriptorProto
    one, maybe, many = field.LABEL_REQUIRED, field.LABEL_OPTIONAL, field.LABEL_REPEATED
    text, number, blob = field.TYPE_STRING, field.TYPE_UINT64, field.TYPE_BYTES
    messages: dict[str, list[tuple[str, int, int, int | str]]] = {
        "AggregatedRecord": [
            ("partition_key_table", 1, many, text),
            ("explicit_hash_key_table", 2, many, text),
            ("records", 3, many, ".Record"),
        ],
        "Tag": [("key", 1, one, text), ("value", 2, maybe, text)],
        "Record": [
            ("partition_key_index", 1, one, number),
            ("explicit_hash_key_index", 2, maybe, number),
            ("data", 3, one, blob),
            ("tags", 4, many, ".Tag"),
        ],
    }
    file = descriptor_pb2.FileDescriptorProto(name="aggregated_record.proto", syntax="proto2")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field_name, place, label, kind in fields:
            made = message.field.add(name=field_name, number=place, label=label)
            if isinstance(kind, str):
                made.type, made.type_name = field.TYPE_MESSAGE, kind
            else:
                made.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("AggregatedRecord"))


_AggregatedRecord = _message_class()
