"""Sorted runs of index entries: six arrays in one file, mapped into memory, never changed.

An entry is 40 bytes: `group` and `check` tell the row (see `index`), `high` and `low` are the two
halves of its position, `file` and `row` its place. Entries are sorted by group. The file: 16 bytes
that name the format, the number of entries and the capacity as 64-bit words, then the arrays, each
with room for `capacity` entries; all little-endian.
"""

import math
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

from smug_platform.scan import native

Array = np.ndarray[Any, Any]

RUN, SCRATCH = ".run", ".tmp"  # how the files are called, whole and before
_MAGIC = b"smug-index-run-1"
_HEAD = len(_MAGIC) + 16
KINDS = ("<u8", "<u8", "<u8", "<u8", "<i4", "<i4")
_ENTRY = sum(np.dtype(kind).itemsize for kind in KINDS)
_PART = 250_000  # entries of the largest run that are folded at once


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of an index, as arrays of one length."""

    group: Array
    check: Array
    high: Array
    low: Array
    file: Array
    row: Array

    def __len__(self) -> int:
        return len(self.group)

    def arrays(self) -> list[Array]:
        """The six arrays, in the order of the fields."""
        return [getattr(self, one.name) for one in fields(self)]

    def take(self, chosen: Any) -> Self:
        """Those entries: by mask or slice."""
        return type(self)(*(array[chosen] for array in self.arrays()))

    def at(self, places: Array) -> Self:
        """The entries at those places."""
        return type(self)(*(native.take(array, places) for array in self.arrays()))


@dataclass(frozen=True, slots=True)
class Run:
    """Sorted entries, and the file that holds them; None for what is in memory only."""

    entries: Entries
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.entries)


def joined(parts: Sequence[Entries]) -> Entries:
    """The entries of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Entries(*map(np.concatenate, zip(*(part.arrays() for part in parts), strict=True)))


def newest(parts: Sequence[Entries]) -> Entries:
    """The entries of all parts, sorted; of those for one row that of the last part."""
    found = joined(parts)
    age = np.arange(len(found))
    order = native.order(found.group)
    group, check = found.group[order], found.check[order]
    if ((group[1:] == group[:-1]) & (check[1:] != check[:-1])).any():
        order = np.lexsort((age, found.check, found.group))
        group, check = found.group[order], found.check[order]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = (group[1:] != group[:-1]) | (check[1:] != check[:-1])
    return found.at(order[last])


def write_run(entries: Entries, folder: Path | None) -> Run:
    """A run of these entries, which must be sorted; in memory only where there is no folder."""
    if folder is None:
        return Run(entries)
    writing = _Writing(len(entries), folder)
    writing.put(entries)
    return writing.done()


class Fold:
    """Several runs, oldest first, becoming one with the newest entry of each row, bit by bit."""

    def __init__(self, runs: Sequence[Run], folder: Path | None) -> None:
        self.runs = tuple(runs)
        self._parts, self._folder = _folded(runs), folder
        self._writing: _Writing | None = None

    def go_on(self, most: float = math.inf) -> Run | None:
        """Fold about so many entries more; the run once it is whole."""
        if self._folder is None:
            return Run(newest([run.entries for run in self.runs]))
        if self._writing is None:
            self._writing = _Writing(sum(map(len, self.runs)), self._folder)
        folded = 0
        while folded < most:
            part = next(self._parts, None)
            if part is None:
                return self._writing.done()
            self._writing.put(part)
            folded += len(part)
        self._writing.sync()
        return None

    def drop(self) -> None:
        """Leave it: what has been written goes."""
        if self._writing is not None:
            self._writing.drop()


def fold(runs: Sequence[Run], folder: Path | None) -> Run:
    """One run of several, oldest first, with the newest entry of each row."""
    made = Fold(runs, folder).go_on()
    assert made is not None, "nothing bounds it"
    return made


def open_run(path: Path) -> Run:
    """The run that a file holds; raises ValueError when it is torn, OSError when it is gone."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if len(head) < _HEAD or not head.startswith(_MAGIC):
        raise ValueError(f"{path.name} is no run of an index")
    count, capacity = map(int, np.frombuffer(head, "<u8", offset=len(_MAGIC)))
    if path.stat().st_size != _HEAD + capacity * _ENTRY or count > capacity:
        raise ValueError(f"{path.name} is torn")
    content = np.memmap(path, np.uint8, mode="r", offset=0)
    return Run(_arrays(content, count, capacity), path)


class _Writing:
    """A run that is written part after part. It appears under its name only when it is whole."""

    def __init__(self, capacity: int, folder: Path) -> None:
        self._path = folder / f"{uuid.uuid4()}{SCRATCH}"
        with self._path.open("wb") as file:
            file.truncate(_HEAD + capacity * _ENTRY)
        self._content = np.memmap(self._path, np.uint8, mode="r+")
        self._room = _arrays(self._content, capacity, capacity).arrays()
        self._count, self._capacity = 0, capacity

    def put(self, part: Entries) -> None:
        """Add sorted entries, after all that were added."""
        end = self._count + len(part)
        for array, values in zip(self._room, part.arrays(), strict=True):
            array[self._count : end] = values
        self._count = end

    def sync(self) -> None:
        """Bring what was added to disk, so that the end need not."""
        self._content.flush()

    def done(self) -> Run:
        """The run."""
        words = np.array([self._count, self._capacity], "<u8").tobytes()
        self._content[:_HEAD] = np.frombuffer(_MAGIC + words, np.uint8)
        self._content.flush()
        del self._content, self._room
        return open_run(self._path.replace(self._path.with_suffix(RUN)))

    def drop(self) -> None:
        """Remove what was written."""
        self._path.unlink(missing_ok=True)


def _arrays(content: Array, count: int, capacity: int) -> Entries:
    arrays, at = [], _HEAD
    for kind in map(np.dtype, KINDS):
        size = capacity * kind.itemsize
        arrays.append(content[at : at + size].view(kind)[:count])
        at += size
    return Entries(*arrays)


def _folded(runs: Sequence[Run]) -> Iterator[Entries]:
    """Cut the runs at common groups, so that each cut takes bounded memory."""
    largest = max(runs, key=len).entries.group
    bounds = largest[_PART::_PART] if len(largest) else largest
    cuts = [[0, *np.searchsorted(run.entries.group, bounds), len(run)] for run in runs]
    for number in range(len(bounds) + 1):
        parts = [
            run.entries.take(slice(cut[number], cut[number + 1]))
            for run, cut in zip(runs, cuts, strict=True)
        ]
        if any(map(len, parts)):
            yield newest(parts)


def remove(run: Run) -> None:
    """Remove a run's file; who has it mapped may read on."""
    if run.path is not None:
        run.path.unlink(missing_ok=True)
