"""The one order: where in its shard's binlog a change stands.

Epoch, binlog file number, position in the file and row of the event are compared as numbers,
never as text and never by time. The epoch rises when the server's binlog numbering starts anew
(failover, restore, RESET MASTER), so that positions stay ordered across it.
"""

import re
from dataclasses import dataclass
from typing import Self

_FILE_DIGITS, _OFFSET_DIGITS, _ROW_DIGITS = 10, 14, 9
_ROW: int = 10**_ROW_DIGITS
_OFFSET: int = 10**_OFFSET_DIGITS
_FILE: int = 10**_FILE_DIGITS
MAX_EPOCH = 99_999

_TEXT = re.compile(r"(\d+)/(\d+):(\d+)#(\d+)")


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """A place in the change history of one source shard.

    epoch: 1 and up; file: the number of the binlog file; offset: bytes into that file;
    row: the row within a multi-row event.

    >>> Position(1, 99, 23, 0) < Position(1, 100, 4, 0) < Position(2, 1, 4, 0)
    True
    """

    epoch: int
    file: int
    offset: int
    row: int = 0

    @property
    def ordinal(self) -> int:
        """The position as one decimal number of at most 38 digits: epoch (5), file (10),
        offset (14), row (9). It fits DECIMAL(38,0) everywhere and sorts as the position does.

        >>> Position(1, 3, 12345, 2).ordinal
        1000000000300000000012345000000002
        """
        return ((self.epoch * _FILE + self.file) * _OFFSET + self.offset) * _ROW + self.row

    @classmethod
    def from_ordinal(cls, ordinal: int) -> Self:
        """The inverse of `ordinal`.

        >>> Position.from_ordinal(Position(7, 6, 5, 4).ordinal)
        Position(epoch=7, file=6, offset=5, row=4)
        """
        rest, row = divmod(ordinal, _ROW)
        rest, offset = divmod(rest, _OFFSET)
        epoch, file = divmod(rest, _FILE)
        return cls(epoch, file, offset, row)

    def __str__(self) -> str:
        """
        >>> str(Position(1, 3, 12345, 2))
        '1/3:12345#2'
        """
        return f"{self.epoch}/{self.file}:{self.offset}#{self.row}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`; raises ValueError on anything else.

        >>> Position.parse("1/3:12345#2")
        Position(epoch=1, file=3, offset=12345, row=2)
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"not a position: {text!r}")
        return cls(*map(int, match.groups()))


def file_number(name: str) -> int:
    """The number of a binlog file: what follows the last dot.

    >>> file_number("mysql-bin-changelog.000042")
    42
    """
    return int(name.rpartition(".")[2])
