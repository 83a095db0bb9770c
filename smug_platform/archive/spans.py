r"""Where a table's personal values stand in the JSON of changes, of all changes at once.

In JSON a quote within a text has a backslash before it, so `"email":` is a key wherever it stands;
row images are objects of plain values and stand before the last `"source":{`. See `lake.images`.
What is made in another way (a value that is itself an object, a payload that Debezium has not
written) is looked at by itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from json import JSONDecoder

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.raw.lines import abouts
from smug_platform.raw.views import NOWHERE, Array, begins, content, find, next_mark, slices, stands
from smug_platform.tables.table import Table

NULL = b"null"
_SOURCE, _MIDDLE = b'"source":{', b'},"after":'
_KEY = r'"(NAMES)":((?:"[^"\\]*(?:\\.[^"\\]*)*")?)'  # and its value, where that is a text
_PARSER = JSONDecoder()
_QUOTE, _BACKSLASH = b'"'[0], b"\\"[0]
_ENDS = np.zeros(256, dtype=bool)
_ENDS[list(b",}")] = True
_PLAIN = 24  # bytes of a number, true, false or null, with what ends it


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
        self._marks = [
            (f'"{name}":'.encode(), name == table.account)
            for name in dict.fromkeys((*table.pii, table.account))
        ]
        names = "|".join(re.escape(name) for name in (*table.pii, table.account))
        self._pattern = re.compile(_KEY.replace("NAMES", names).encode(), re.DOTALL)
        self._account = table.account.encode()

    def find(self, payloads: pa.Array, chosen: Array) -> Spans:
        """The values of the chosen payloads. payloads: strings or binaries."""
        text, bounds = content(payloads)
        first, last = bounds[:-1].astype(np.int64), bounds[1:].astype(np.int64)
        ends = abouts(text, first, last)
        braces = np.append(find(text, _MIDDLE[:1]), NOWHERE)
        middle = next_mark(text, braces, first, ends, _MIDDLE[:8])
        has_before = middle < ends
        by_itself = (ends == first + 1) | (has_before & ~begins(text, middle, _MIDDLE))
        found, is_odd = self._keys(text, first, ends, np.where(has_before, middle, -1))
        by_itself[found.row[is_odd]] = True
        by_itself &= chosen
        alike = found.take((chosen & ~by_itself)[found.row])
        parts = [alike, *self._each(text, first, last, np.flatnonzero(by_itself))]
        order = np.argsort(np.concatenate([part.start for part in parts]), kind="stable")
        joined = (
            np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Spans)
        )
        return Spans(*joined).take(order)

    def _keys(self, text: Array, first: Array, ends: Array, middle: Array) -> tuple[Spans, Array]:
        """The values before each end; which of them have to be looked at by themselves."""
        colons = find(text, b":") + 1
        starts, is_account = [], []
        for mark, is_of_account in self._marks:
            at = colons[colons >= len(mark)]
            at = at[begins(text, at - len(mark), mark)]
            starts.append(at)
            is_account.append(np.full(len(at), is_of_account))
        start = np.concatenate(starts)
        row = np.searchsorted(first, start, side="right") - 1
        inside = start < ends[row]
        start, row, whose = start[inside], row[inside], np.concatenate(is_account)[inside]
        stop, is_odd = _value_ends(text, start)
        is_odd |= stop > ends[row]
        return Spans(row, start, stop, start < middle[row], whose), is_odd

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
    """Which of the values are null."""
    found: Array = (spans.stop - spans.start == len(NULL)) & stands(text, spans.start, NULL)
    return found


def _value_ends(text: Array, starts: Array) -> tuple[Array, Array]:
    """Where the values that begin there end, and which are neither texts nor plain."""
    stops, is_odd = starts.copy(), np.zeros(len(starts), dtype=bool)
    is_text = text[starts] == _QUOTE
    stops[is_text] = _text_ends(text, starts[is_text])
    plain = np.flatnonzero(~is_text)
    windows = np.minimum(starts[plain, None] + np.arange(_PLAIN), len(text) - 1)
    closed = _ENDS[text[windows]]
    stops[plain] += closed.argmax(axis=1)
    nested = (text[starts[plain]] == ord("{")) | (text[starts[plain]] == ord("["))
    is_odd[plain] = nested | ~closed.any(axis=1)
    return stops, is_odd


def _text_ends(text: Array, starts: Array) -> Array:
    """Where the texts end whose first quotes stand there: behind the next one not escaped."""
    quotes = np.append(find(text, b'"'), len(text) - 1)
    at = np.searchsorted(quotes, starts) + 1
    wrong = np.arange(len(at))
    while len(wrong):
        wrong = wrong[_are_escaped(text, quotes[at[wrong]]) & (at[wrong] + 1 < len(quotes))]
        at[wrong] += 1
    ends: Array = quotes[at] + 1
    return ends


def _are_escaped(text: Array, places: Array) -> Array:
    """Whether an odd number of backslashes stands before."""
    odd, at = np.zeros(len(places), dtype=bool), places - 1
    left = np.flatnonzero(text[at] == _BACKSLASH)
    while len(left):
        odd[left] ^= True
        at[left] -= 1
        left = left[text[at[left]] == _BACKSLASH]
    return odd


def _value_end(payload: bytes, start: int, end: int) -> int:
    """Where the JSON value that begins there ends; it is no text."""
    if payload[start] in b"{[":
        text = payload[start:end].decode()
        return start + len(text[: _PARSER.raw_decode(text)[1]].encode())
    comma, brace = payload.find(b",", start, end), payload.find(b"}", start, end)
    return min(place for place in (comma, brace, end) if place >= 0)
