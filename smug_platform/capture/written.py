"""Rows as the source's server wrote them: they differ in key and row image alone.

What a piece brings is some thousand of them. They are changes as any others, made one by one where
somebody looks at them; a sink that knows better takes keys and images as the bytes they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from smug_platform.capture.change import Change, encode
from smug_platform.capture.images import key_text

_KEY, _IMAGE = b"\x01", b"\x02"


@dataclass(frozen=True)
class Written(Sequence[Change]):
    """Rows of one table of a snapshot.

    keys, images: JSON objects, UTF-8; keys as Debezium spells them. rest: of the value's JSON, from
    behind the image on.
    """

    topic: str
    keys: Sequence[bytes]
    images: Sequence[bytes]
    rest: bytes

    def __len__(self) -> int:
        """How many rows."""
        return len(self.keys)

    @overload
    def __getitem__(self, place: int) -> Change: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Change]: ...
    def __getitem__(self, place: int | slice) -> Change | Sequence[Change]:
        """One row as a change, or some as rows."""
        if isinstance(place, slice):
            return Written(self.topic, self.keys[place], self.images[place], self.rest)
        return self._change(self.keys[place], self.images[place])

    def envelope(self, epoch: int) -> tuple[bytes, bytes, bytes]:
        """What stands before a row's key, between key and image, and after it, as `encode` has it.

        >>> rows = Written("s.d.t", [b'{"id":1}'], [b'{"id":1,"v":2}'], b',"op":"r"}')
        >>> before, between, after = rows.envelope(1)
        >>> before + rows.keys[0] + between + rows.images[0] + after == encode(rows[0], 1)
        True
        """
        text = encode(self._change(_KEY, _IMAGE), epoch)
        before, _, more = text.partition(_KEY)
        between, _, after = more.partition(_IMAGE)
        return before, between, after

    def _change(self, key: bytes, image: bytes) -> Change:
        return Change(self.topic, key, b'{"before":null,"after":' + image + self.rest)


def spelled(key: bytes) -> bytes:
    """A key as Debezium spells it, from one that the server wrote."""
    return key if key.isascii() else key_text(key.decode()).encode()
