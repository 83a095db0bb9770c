"""The compiled scanner: loaded once, called with arrays, lets other threads run meanwhile.

What each function does stands beside it in the C files. Texts are UTF-8 throughout, in arrays of
bytes; offsets are into them, in 64 bits.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ABSENT, PLAIN, ESCAPED, WHOLE, REAL, TRUTH, LIE, NOTHING, NESTED = range(9)
"""What a value is, as `tokens.h` numbers it."""

NONE = np.iinfo(np.int64).min
"""Stands for a number that is not there."""

FIELDS = (
    "topic", "epoch", "number", "key_begin", "key_end", "value_begin", "value_end", "op",
    "binlog_file", "binlog_offset", "row_number", "committed_at", "captured_at",
)  # fmt: skip
_TOPICS = 256


class Odd(Exception):
    """A value is not what its column holds, or is written in a way that is not read here."""


def images(text: Array, bounds: Array) -> tuple[Array, Array]:
    """Where the row images stand in payloads: (payloads, 4) offsets at which before begins and
    ends, and after, -1 for null; and which payloads could be read.
    """
    count = len(bounds) - 1
    spans, is_read = np.empty((count, 4), np.int64), np.empty(count, bool)
    _call("images", text, bounds, count, spans, is_read)
    return spans, is_read


def same(text: Array, spans: Array) -> Array:
    """Of which payloads both images hold the same bytes. spans: as `images` gives them."""
    found = np.empty(len(spans), bool)
    _call("same", text, spans, len(spans), found)
    return found


class Values:
    """The values of objects by name: begin, stop and kind are arrays of (names, objects).

    found: how many of the names an object has, -1 for one that can't be read.
    """

    def __init__(
        self, text: Array, starts: Array, ends: Array, names: Sequence[bytes], *, others: bool
    ) -> None:
        """names: as they stand in JSON, without the quotes. others: whether there may be more."""
        marks = [b'"' + name + b'":' for name in names]
        bounds = np.cumsum([0, *map(len, marks)], dtype=np.int64)
        joined = np.frombuffer(b"".join(marks) or b" ", np.uint8)
        self.text, shape = text, (len(names), len(starts))
        self.begin, self.stop = np.empty(shape, np.int64), np.empty(shape, np.int64)
        self.kind, self.found = np.empty(shape, np.uint8), np.empty(len(starts), np.int32)
        _call(
            "objects", text, starts, ends, len(starts), joined, bounds, len(names), int(others),
            self.begin, self.stop, self.kind, self.found,
        )  # fmt: skip

    def wholes(self, name: int, low: int, high: int) -> tuple[Array, Array]:
        """The numbers, int64, and which are there. Raises Odd."""
        out, valid = self._out(np.int64)
        self._read("wholes", name, low, high, out, valid)
        return out, valid

    def decimals(self, name: int, precision: int, scale: int) -> tuple[Array, Array]:
        """The numbers times ten to the scale, (objects, 2) words of which the lower is first."""
        out, valid = self._out(np.uint64, 2)
        self._read("decimals", name, precision, scale, out, valid)
        return out, valid

    def instants(self, name: int) -> tuple[Array, Array]:
        """Microseconds since 1970, int64, of texts as `2026-01-31T12:00:00.5Z`."""
        out, valid = self._out(np.int64)
        self._read("instants", name, out, valid)
        return out, valid

    def truths(self, name: int) -> tuple[Array, Array]:
        """True and false."""
        kind = self.kind[name]
        if not np.isin(kind, (TRUTH, LIE, NOTHING)).all():
            raise Odd
        return kind == TRUTH, kind != NOTHING

    def texts(self, name: int, *, literals: bool = False) -> tuple[Array, Array, Array]:
        """The bytes of all texts, where each begins, and the end (int32), and which are there.

        literals: numbers, true and false are texts too.
        """
        kind, begin, stop = self.kind[name], self.begin[name], self.stop[name]
        room = int((stop - begin)[(kind != ABSENT) & (kind != NOTHING)].sum())
        out, offsets = np.empty(room, np.uint8), np.empty(len(kind) + 1, np.int32)
        valid = np.empty(len(kind), bool)
        self._read("texts", name, int(literals), out, offsets, valid)
        return out[: offsets[-1]], offsets, valid

    def _out(self, kind: type, width: int = 1) -> tuple[Array, Array]:
        count = len(self.found)
        shape = (count, width) if width > 1 else (count,)
        return np.empty(shape, kind), np.empty(count, bool)

    def _read(self, function: str, name: int, *arguments: Any) -> None:
        places = self.begin[name], self.stop[name], self.kind[name]
        if _call(function, self.text, *places, len(self.found), *arguments):
            raise Odd


def positions(epoch: Array, file: Array, offset: Array, row: Array) -> Array:
    """Positions of the binlog as one number, (changes, 2) words of which the lower is first."""
    out = np.empty((len(epoch), 2), np.uint64)
    parts = [np.ascontiguousarray(part, np.int64) for part in (epoch, file, offset, row)]
    _call("positions", *parts, len(epoch), out)
    return out


def envelopes(text: Array, bounds: Array) -> tuple[dict[str, Array], list[bytes], Array]:
    """What envelopes say, by `FIELDS`, NONE for what is not there; the topics that `topic` counts;
    and which envelopes could be read.
    """
    count = len(bounds) - 1
    fields, is_read = np.empty((len(FIELDS), count), np.int64), np.empty(count, bool)
    topics = np.empty((_TOPICS, 2), np.int64)
    known = _call("envelopes", text, bounds, count, fields, topics, is_read)
    named = [text[begin:end].tobytes() for begin, end in topics[:known].tolist()]
    return dict(zip(FIELDS, fields, strict=True)), named, is_read


def order(words: Array) -> Array:
    """The numbers of words of 64 bits in the order of the words; of equal ones, as they came.

    >>> order(np.array([3, 1, 3, 2], np.uint64)).tolist()
    [1, 3, 0, 2]
    """
    found = np.empty(len(words), np.int64)
    if _call("order", np.ascontiguousarray(words), len(words), found):
        raise MemoryError
    return found


def matches(words: Array, asked: Array) -> tuple[Array, Array]:
    """Pairs (number of what is asked for, number of the word) where the two are equal.

    Both are sorted, and what is asked for differs.

    >>> [found.tolist() for found in matches(*np.array([[2, 5, 5], [1, 2, 5]], np.uint64))]
    [[1, 2, 2], [0, 1, 2]]
    """
    words, asked = np.ascontiguousarray(words), np.ascontiguousarray(asked)
    room = len(asked)
    while True:
        query, found = np.empty(room, np.int64), np.empty(room, np.int64)
        count = _call("matches", words, len(words), asked, len(asked), query, found, room)
        if count <= room:
            return query[:count], found[:count]
        room = count


def take(values: Array, places: Array) -> Array:
    """The values, of 4 or 8 bytes, at those places."""
    out = np.empty(len(places), values.dtype)
    _call("take", np.ascontiguousarray(values), values.itemsize, places, len(places), out)
    return out


def _call(name: str, *arguments: Array | int) -> int:
    """What a function of the library returns; arrays lie in memory in one piece each."""
    given: list[ctypes.c_void_p | ctypes.c_int64] = []
    for argument in arguments:
        if isinstance(argument, int):
            given.append(ctypes.c_int64(argument))
        else:
            if not argument.flags.c_contiguous:
                raise ValueError(f"{name} takes arrays that lie in one piece")
            given.append(ctypes.c_void_p(argument.ctypes.data))
    return int(_function(name)(*given))


@cache
def _function(name: str) -> Any:
    found = getattr(_library(), f"smug_{name}")
    found.restype = ctypes.c_int64
    return found


@cache
def _library() -> ctypes.CDLL:
    found = find_spec("smug_platform.scan._scan")
    if found is None or found.origin is None:
        raise ImportError("the compiled scanner is missing: install the project again (make setup)")
    return ctypes.CDLL(found.origin)
