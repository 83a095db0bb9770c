"""Envelopes of the stream as columns: their bytes in one piece, and which record each came in.

A micro-batch has a hundred thousand of them. As many objects of Python would take longer to make
and to let go of than all that is then done with their bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, overload

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]


class Record(NamedTuple):
    """One envelope.

    sub: its index in the stream record it came in. partition: that record's partition key, which
    says the lane.
    """

    data: bytes
    stream_shard: str
    sequence_number: str
    sub: int
    partition: str = ""


class Origin(NamedTuple):
    """A record of the stream, in which envelopes come."""

    stream_shard: str
    sequence_number: str
    partition: str = ""


@dataclass(frozen=True, eq=False)
class Records(Sequence[Record]):
    """Envelopes in the order that they were read in.

    text: their bytes. bounds: where each begins in it, and the end (int64). origins: the records
    of the stream that they came in; origin: the number of each one's. sub: as Record.
    """

    text: bytes
    bounds: Array
    origins: tuple[Origin, ...]
    origin: Array
    sub: Array

    @classmethod
    def of(cls, records: Iterable[Record]) -> "Records":
        """Those records as columns."""
        gathered = Gathered()
        for data, shard, sequence, sub, partition in records:
            gathered.add(Origin(shard, sequence, partition), [data], [sub])
        return gathered.records()

    def data(self, begin: int, end: int) -> pa.Array:
        """The envelopes from one number to another, as binaries: a view of the text.

        Raises OverflowError where they take more than 2 GiB.
        """
        bounds = self.bounds[begin : end + 1] - self.bounds[begin]
        if bounds[-1] > np.iinfo(np.int32).max:
            raise OverflowError(f"{bounds[-1]} bytes do not fit into one array of binaries")
        text = pa.py_buffer(self.text)
        text = text.slice(int(self.bounds[begin]), int(bounds[-1]))
        buffers = [None, pa.py_buffer(bounds.astype(np.int32)), text]
        return pa.Array.from_buffers(pa.binary(), end - begin, buffers)

    def __len__(self) -> int:
        return len(self.origin)

    @overload
    def __getitem__(self, number: int) -> Record: ...
    @overload
    def __getitem__(self, number: slice) -> "list[Record]": ...
    def __getitem__(self, number: int | slice) -> "Record | list[Record]":
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        begin, end = self.bounds[number], self.bounds[number + 1]
        shard, sequence, partition = self.origins[self.origin[number]]
        return Record(self.text[begin:end], shard, sequence, int(self.sub[number]), partition)

    def __iter__(self) -> Iterator[Record]:
        return map(self.__getitem__, range(len(self)))


class Gathered:
    """Envelopes that are being read. size: bytes of them."""

    def __init__(self) -> None:
        self.size = 0
        self._texts: list[bytes] = []
        self._lengths: list[list[int]] = []
        self._subs: list[Sequence[int]] = []
        self._origins: list[Origin] = []

    def add(self, origin: Origin, envelopes: Sequence[bytes], subs: Sequence[int]) -> None:
        """Add envelopes of one record of the stream, and their indices in it."""
        text = b"".join(envelopes)  # soon, while they are in the core's cache
        self._texts.append(text)
        self._lengths.append([*map(len, envelopes)])
        self._subs.append(subs)
        self._origins.append(origin)
        self.size += len(text)

    def records(self) -> Records:
        """All that was added, in its order."""
        counts = [*map(len, self._subs)]
        lengths = np.fromiter(chain.from_iterable(self._lengths), np.int64, sum(counts))
        return Records(
            b"".join(self._texts),
            np.concatenate([np.zeros(1, np.int64), lengths.cumsum()]),
            tuple(self._origins),
            np.repeat(np.arange(len(counts)), counts),
            np.fromiter(chain.from_iterable(self._subs), np.int64, sum(counts)),
        )
