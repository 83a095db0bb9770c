"""JSON texts that differ in their values alone, read all at once.

What a source says of its changes is written by one program, so its texts are alike: of one length
and with the same keys, they differ in digits and letters. One of them is parsed. Of the others it
is enough that all other bytes are the same: their numbers then stand where its numbers stand. A
text that is like few others is parsed by itself.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smug_platform.raw.views import Array

Values = Mapping[str, Any]
Parse = Callable[[bytes], Values | None]
Paths = Mapping[str, tuple[str, int]]

NONE = np.iinfo(np.int64).min
"""Stands for a number that is not there."""

_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:)?|-?\d[\d.eE+-]*|[{}\[\]]')
_FEW = 8  # texts that are parsed sooner than compared
_MISSES = 3  # examples that are like few others, after which no more are tried

_FIXED, _LETTER, _DIGIT, _FIRST = range(4)
_ALLOWED = np.zeros((4, 256), dtype=bool)
_ALLOWED[_LETTER, 0x20:] = True
_ALLOWED[_LETTER, [ord('"'), ord("\\")]] = False
_ALLOWED[_DIGIT, ord("0") : ord("9") + 1] = True
_ALLOWED[_FIRST, ord("1") : ord("9") + 1] = True  # JSON has no leading zeros


@dataclass
class Texts:
    """What texts say. which: the number of the example that each is like, -1 for one that can't be
    read. numbers: by name, NONE for one that is not there.
    """

    which: Array
    numbers: dict[str, Array]
    examples: list[Values] = field(default_factory=list)

    def put(self, rows: Array, values: Values) -> None:
        """Note that those texts say this."""
        self.which[rows] = len(self.examples)
        self.examples.append(values)
        for name, numbers in self.numbers.items():
            value = values.get(name)
            numbers[rows] = NONE if value is None else value


class Example:
    """A text that was parsed, and how others may differ from it: in the letters of strings that
    have no escapes, and in the digits of whole numbers.

    paths: of numbers, with the digits that they have at most, by the name that they have in
    `values`; a string of one letter is the letter's number there. fixed: paths of values that may
    not differ.
    """

    def __init__(self, text: bytes, values: Values, paths: Paths, fixed: frozenset[str]) -> None:
        self.values = values
        self._bytes = np.frombuffer(text, np.uint8)
        self._kinds = np.full(len(text), _FIXED, np.uint8)
        self._spans: dict[str, slice] = {}
        names = {path: (name, digits) for name, (path, digits) in paths.items()}
        for path, start, end in _places(text):
            span = slice(start, end)
            if text[start - 1 : start] == b'"':
                kinds = _FIXED if path in fixed or b"\\" in text[span] else _LETTER
            else:
                kinds = _DIGIT if text[span].isdigit() and path not in fixed else _FIXED
            name, digits = names.get(path, ("", 0))
            if name:
                self._kinds[span] = kinds
                if (
                    end - start <= digits
                    and self._number(self._bytes[None], span)[0] == values[name]
                ):
                    self._spans[name] = span
                else:
                    kinds = _FIXED
            self._kinds[span] = kinds
            if kinds == _DIGIT and end - start > 1:
                self._kinds[start] = _FIRST

    def alike(self, texts: Array) -> Array:
        """Which texts, rows of bytes of its own length, differ in nothing but that."""
        differs = texts != self._bytes
        places = np.flatnonzero(differs.any(axis=0))
        found = np.ones(len(texts), dtype=bool)
        for kind, allowed in enumerate(_ALLOWED):
            these = places[self._kinds[places] == kind]
            if kind == _FIXED:
                found &= ~differs[:, these].any(axis=1)
            elif len(these):
                found &= allowed[texts[:, these]].all(axis=1)
        return found

    def put(self, texts: Array, rows: Array, found: Texts) -> None:
        """Note what texts say that are alike: those rows."""
        found.put(rows, self.values)
        for name, span in self._spans.items():
            found.numbers[name][rows] = self._number(texts, span)

    def _number(self, texts: Array, span: slice) -> Array:
        """What the texts say there."""
        digits = texts[:, span].astype(np.int64)
        if self._kinds[span.start] == _LETTER:
            return digits[:, 0]
        return (digits - ord("0")) @ 10 ** np.arange(digits.shape[1])[::-1]


class Reader:
    """Reads texts of one kind, and keeps the examples that it has met.

    parse: what a text says, None when it can't be read. paths, fixed: as `Example` has them.
    """

    def __init__(self, parse: Parse, paths: Paths, fixed: frozenset[str] = frozenset()) -> None:
        self._parse, self._paths, self._fixed = parse, paths, fixed
        self._known: dict[int, list[Example]] = {}

    def read(self, text: Array, starts: Array, ends: Array) -> Texts:
        """What the texts between these offsets say. text: bytes that are UTF-8 throughout."""
        count = len(starts)
        found = Texts(np.full(count, -1), {name: np.full(count, NONE) for name in self._paths})
        sizes = ends - starts
        order = np.argsort(sizes, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1):
            if len(rows) >= _FEW and sizes[rows[0]] > 0:
                rows = self._read_alike(text, starts, rows, int(sizes[rows[0]]), found)
            for row in rows.tolist():
                values = self._parse(text[starts[row] : ends[row]].tobytes())
                if values is not None:
                    found.put(np.array([row]), values)
        return found

    def _read_alike(
        self, text: Array, starts: Array, rows: Array, size: int, found: Texts
    ) -> Array:
        """Read those of the rows that are like others; the ones that are left."""
        texts = np.lib.stride_tricks.sliding_window_view(text, size)[starts[rows]]
        known = self._known.setdefault(size, [])
        misses = number = 0
        while len(rows) >= _FEW and misses < _MISSES:
            is_new = number == len(known)
            if is_new:
                first = texts[0].tobytes()
                values = self._parse(first)
                if values is None:
                    rows, texts, misses = rows[1:], texts[1:], misses + 1
                    continue
                known.append(Example(first, values, self._paths, self._fixed))
            is_alike = known[number].alike(texts)
            if is_alike.any():
                known[number].put(texts[is_alike], rows[is_alike], found)
                rows, texts = rows[~is_alike], texts[~is_alike]
            misses += is_new and is_alike.sum() < _FEW
            number += 1
        return rows


def _places(text: bytes) -> Iterator[tuple[str, int, int]]:
    """The path of each value, and from where to where it is; of strings, what is within the quotes.

    >>> list(_places(b'"source":{"pos":12,"file":"b.1"},"op":"c"'))
    [('source.pos', 16, 18), ('source.file', 27, 30), ('op', 39, 40)]
    """
    path: list[str] = []
    key = ""
    for token in _TOKEN.finditer(text):
        if token[0] in b"{[":
            path.append(key)
        elif token[0] in b"}]":
            del path[-1:]
        elif token[2]:
            key = token[1].decode()
        else:
            yield (
                ".".join(filter(None, [*path, key])),
                *token.span(1 if token[1] is not None else 0),
            )
