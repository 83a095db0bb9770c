"""Which files of a table are to become one next: sizes in, numbers of files out.

Files are told apart by how large they are, in classes that are 16 times as large as the one before.
Where a class has become crowded its files become one of the next class, so that a row is written
some two times before it stands in a large file. A large file is written anew once enough of it
counts no more. The same goes for data files and, by what they name, for delete files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

_SMALLEST, _GROWTH = 4096, 16  # rows: the bound of the first class, and from one to the next


@dataclass(frozen=True)
class File:
    """A file: its number in the table's list, its rows, those of them that count no more, and its
    size as rows of a usual width.
    """

    number: int
    rows: int
    gone: int
    size: int

    @property
    def is_dead(self) -> bool:
        """Whether nothing in it counts."""
        return self.gone >= self.rows


@dataclass(frozen=True)
class Bounds:
    """files: of a class, past which it is crowded. rows: that are read at once, so that a file of
    half as many is large. share: of its rows that a large file may hold in vain.
    """

    files: int
    rows: int
    share: float


def crowded(files: Sequence[File], bounds: Bounds) -> list[File]:
    """The files that are to become one next, small ones first, with those in which nothing counts;
    none when nothing is due.

    >>> small = [File(number, rows=100, gone=0, size=100) for number in range(3)]
    >>> [file.number for file in crowded(small, Bounds(files=2, rows=250, share=0.3))]
    [0, 1]
    >>> crowded(small[:2], Bounds(files=2, rows=250, share=0.3))
    []
    """
    dead = [file for file in files if file.is_dead]
    alive = [file for file in files if not file.is_dead]
    for alike in _classes(alive, bounds):
        if len(alike) > bounds.files or (
            len(alike) > 1 and sum(file.size for file in alike) >= bounds.rows
        ):
            return _packed(alike, bounds) + dead
    for file in alive:
        if _is_large(file, bounds) and file.gone >= bounds.share * file.rows:
            return [file, *dead]
    return dead if len(dead) > bounds.files else []


def untidy(files: Sequence[File], bounds: Bounds) -> list[File]:
    """The files that are to become one next until all are large and hold nothing in vain."""
    found = [file for file in files if file.is_dead]
    alive = [file for file in files if not file.is_dead]
    left = sorted(
        (file for file in alive if file.gone or not _is_large(file, bounds)),
        key=lambda file: file.size,
    )
    while left:
        packed = _packed(left, bounds)
        if len(packed) > 1 or packed[0].gone:
            return packed + found
        left = left[1:]
    return found


def _classes(files: Sequence[File], bounds: Bounds) -> Iterator[list[File]]:
    """The small ones of these files by class, smallest first."""
    classes: dict[int, list[File]] = {}
    for file in files:
        if not _is_large(file, bounds):
            number = int(log(max(file.size / _SMALLEST, 1), _GROWTH) + (file.size >= _SMALLEST))
            classes.setdefault(number, []).append(file)
    for _, alike in sorted(classes.items()):
        yield sorted(alike, key=lambda file: file.size)


def _packed(files: Sequence[File], bounds: Bounds) -> list[File]:
    """The first files, as many as are read at once; one at least."""
    found: list[File] = []
    size = 0
    for file in files:
        size += file.size
        if found and size > bounds.rows:
            break
        found.append(file)
    return found


def _is_large(file: File, bounds: Bounds) -> bool:
    return file.size >= bounds.rows // 2
