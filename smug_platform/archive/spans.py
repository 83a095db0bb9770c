"""Where a table's personal values stand in the JSON of changes, of all changes at once.

The compiled scanner finds them in the row images. What is made in another way (a payload that
Debezium has not written, an image that names a column twice) is looked at by itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from json import JSONDecoder

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.raw.views import content, slices
from smug_platform.scan.native import ABSENT, ESCAPED, PLAIN, Array, Values, images
from smug_platform.tables.table import Table

NULL = b"null"
_SOURCE, _MIDDLE = b'"source":{', b'},"after":'
_KEY = rb'"(NAMES)":((?:"[^"\\]*(?:\\.[^"\\]*)*")?)'  # and its value, where that is a text
_PARSER = JSONDecoder()


@dataclass(frozen=True)
class Spans:
    """Values in some payloads, in the order in which they stand there.

    row: the payload's number. start, stop: offsets in the bytes of all payloads. is_before: whether
    it is of the image before; is_account: whether it says whose the row is, and is not personal.
    """

    row: Array
    start: Array
    stop: Array
    is_before: Array
    is_account: Array

    def take(self, chosen: Array) -> "Spans":
        """Those of them."""
        return Spans(*(getattr(self, field.name)[chosen] for field in fields(self)))


class Finder:
    """Finds a table's personal values, and the accounts that they are of."""

    def __init__(self, table: Table) -> None:
        self._names = [name.encode() for name in dict.fromkeys((*table.pii, table.account))]
        names = b"|".join(map(re.escape, self._names))
        self._pattern = re.compile(_KEY.replace(b"NAMES", names), re.DOTALL)
        self._account = table.account.encode()

    def find(self, payloads: pa.Array, chosen: Array) -> Spans:
        """The values of the chosen payloads. payloads: strings or binaries."""
        text, bounds = content(payloads)
        bounds = bounds.astype(np.int64)
        places, is_read = images(text, bounds)
        by_itself = chosen & ~is_read
        parts: list[Spans] = []
        for at in (0, 2):  # before, after
            rows = np.flatnonzero(chosen & is_read & (places[:, at] >= 0))
            starts, stops = places[rows, at : at + 2].T.copy()
            values = Values(text, starts, stops, self._names, others=True)
            by_itself[rows[values.found < 0]] = True
            parts += self._values(values, rows, is_before=at == 0)
        parts = [part.take(~by_itself[part.row]) for part in parts]
        parts += self._each(text, bounds[:-1], bounds[1:], np.flatnonzero(by_itself))
        joined = (
            np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Spans)
        )
        found = Spans(*joined)
        return found.take(np.argsort(found.start, kind="stable"))

    def _values(self, values: Values, rows: Array, *, is_before: bool) -> Iterator[Spans]:
        """What was found in one image of those payloads: strings with their quotes."""
        for number, name in enumerate(self._names):
            kind = values.kind[number]
            has = np.flatnonzero(kind != ABSENT)
            quote = np.isin(kind[has], (PLAIN, ESCAPED)).astype(np.int64)
            start, stop = values.begin[number, has] - quote, values.stop[number, has] + quote
            flags = (np.full(len(has), flag) for flag in (is_before, name == self._account))
            yield Spans(rows[has], start, stop, *flags)

    def _each(self, text: Array, first: Array, last: Array, rows: Array) -> Iterator[Spans]:
        """The values of payloads that are looked at one by one."""
        for row in rows.tolist():
            found = list(self._scan(text[first[row] : last[row]].tobytes()))
            start, stop, is_before, is_account = np.array(found, np.int64).reshape(-1, 4).T
            number = np.full(len(found), row)
            shifted = start + first[row], stop + first[row]
            yield Spans(number, *shifted, is_before.astype(bool), is_account.astype(bool))

    def _scan(self, payload: bytes) -> Iterator[tuple[int, int, bool, bool]]:
        """Start and stop of each value, whether it is of the image before, and of the account."""
        end = payload.rfind(_SOURCE)
        end = len(payload) if end < 0 else end
        middle, last = payload.find(_MIDDLE, 0, end), 0
        for match in self._pattern.finditer(payload, 0, end):
            start, stop = match.span(2)
            if start < last:  # within a value that is itself an object
                continue
            last = stop if stop > start else _value_end(payload, start, end)
            yield start, last, start < middle, match[1] == self._account


def texts(payloads: pa.Array, spans: Spans) -> pa.Array:
    """What stands there, as strings."""
    return slices(payloads, spans.start, spans.stop)


def splice(payloads: pa.Array, spans: Spans, new: pa.Array) -> pa.Array:
    """The payloads with other texts where those values stand. new: one for each of the spans.

    >>> one = np.array([0])
    >>> place = Spans(one, one + 1, one + 3, one == 0, one > 0)
    >>> splice(pa.array(["a12b", "c"]), place, pa.array(["-"])).to_pylist()
    ['a-b', 'c']
    """
    _, bounds = content(payloads)
    count, number = len(payloads), np.arange(len(spans.row))
    before = np.searchsorted(spans.row, np.arange(count + 1))  # spans of earlier payloads
    head, tail = np.arange(count) + before[:-1], np.arange(count) + before[1:]
    starts = np.empty(count + len(number), np.int64)
    stops = np.empty_like(starts)
    starts[head], stops[tail] = bounds[:-1], bounds[1:]
    starts[number + spans.row + 1], stops[number + spans.row] = spans.stop, spans.start
    kept = slices(payloads, starts, stops)
    order = np.empty(len(starts) + len(number), np.int64)
    order[2 * number + spans.row + 1] = len(starts) + number
    is_kept = np.ones(len(order), dtype=bool)
    is_kept[2 * number + spans.row + 1] = False
    order[is_kept] = np.arange(len(starts))
    parts = pa.concat_arrays([kept, new.cast(pa.string())]).take(pa.array(order))
    offsets = np.append(head + before[:-1], len(order)).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(offsets, parts), "")


def is_null(text: Array, spans: Spans) -> Array:
    """Which of the values are null: no other begins so."""
    found: Array = text[spans.start] == NULL[0]
    return found


def _value_end(payload: bytes, start: int, end: int) -> int:
    """Where the JSON value that begins there ends; it is no text."""
    if payload[start] in b"{[":
        text = payload[start:end].decode()
        return start + len(text[: _PARSER.raw_decode(text)[1]].encode())
    comma, brace = payload.find(b",", start, end), payload.find(b"}", start, end)
    return min(place for place in (comma, brace, end) if place >= 0)
