"""One table's rows in pieces by its key, each of them one answer of the source's server.

The server writes keys and row images as JSON and glues those of a piece together: a row costs this
process next to nothing. Where it can't, as for a row that is long, the piece's rows come singly,
value by value.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pymysql.cursors import Cursor, SSCursor

from smug_platform.capture import server as source_server
from smug_platform.capture.contract import Held
from smug_platform.capture.failures import SourceUnavailable
from smug_platform.capture.images import Image, image_of
from smug_platform.capture.state import Unread
from smug_platform.tables.table import Table

Row: TypeAlias = tuple[bytes, bytes]
"""Key and image of a row, as JSON."""

# A piece is one SELECT. It is to bring so many bytes, and the next has fewer rows where it brings
# more than the server may glue together.
_PIECE_ROWS, _FIRST_ROWS, _PIECE_BYTES = 20_000, 500, 2 * 1024 * 1024
_MOST_BYTES = 8 * 1024 * 1024
_BATCH_ROWS = 4096
# No JSON has it: control characters are escaped there.
_BETWEEN = "\x1e"


def unread_of(table: Table, held: Held | None, asked_at: int = 0) -> Unread | None:
    """A table whose rows are to be read in pieces; None where Debezium has to read them."""
    image = image_of(table, held) if held else None
    return Unread(table.name, asked_at, numbers=image.numbers) if image else None


@dataclass
class Pieces:
    """The pieces of one table in one view of the server.

    name: the table's, quoted. defined: as it was before its columns were asked for; a view may read
    a table that has been altered since, under the names of now.
    """

    connection: source_server.Connection
    image: Image
    name: str
    defined: str | None

    def __post_init__(self) -> None:
        self._size = min(_FIRST_ROWS, _PIECE_ROWS)
        self._most = _MOST_BYTES
        self._filter = ""

    def read(self, unread: Unread, *, until: float) -> Iterator[tuple[list[Row], Unread | None]]:
        """Batches of rows, each with how far the table is read then; None at its end.

        until: the moment, by the monotonic clock, after which no piece begins. Raises SourceError.
        """
        self._most = self._glue_at_most()
        self._keep_from_altering()
        # Of a piece, so that one takes as long as it may: where no index helps, a condition that is
        # true of few rows has all of them read.
        self._filter = f" AND ({unread.where})" if unread.where else ""
        high = unread.high or self._key("", "DESC")
        while high is not None and time.monotonic() < until:
            last = self._key(self._where(unread.low, high), number=self._size)
            where = self._where(unread.low, last or high)
            for rows, low in self._piece(where, last or high):
                unread = replace(unread, low=low, high=high, rows=unread.rows + len(rows))
                yield rows, unread
            high = high if last else None
        if high is None:
            yield [], None

    def _keep_from_altering(self) -> None:
        """See that the table is as it was defined; until the view ends no ALTER of it begins.

        A savepoint before it would not let go of it: with a binlog MariaDB keeps that lock.
        """
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute(f"SELECT 1 FROM {self.name} LIMIT 0")
        if source_server.definition(self.connection, self.name) != self.defined:
            raise SourceUnavailable(f"{self.name} was altered", remedy="it is read on by itself")

    def _glue_at_most(self) -> int:
        """Let the server glue as much as it may and is good; how many bytes that are."""
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            ((packet,),) = cursor.fetchall()
            most = min(_MOST_BYTES, int(packet))
            cursor.execute(f"SET SESSION group_concat_max_len = {most}")
        return most

    def _where(self, low: Sequence[str] | None, high: Sequence[str]) -> str:
        return f" WHERE {self.image.between(low, high)}"

    def _key(self, where: str, direction: str = "", *, number: int = 1) -> tuple[str, ...] | None:
        """The key of the row of that number in the order of keys; None where there are fewer."""
        ends, order = ", ".join(self.image.ends), self.image.order(direction)
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute(
                f"SELECT {ends} FROM {self.name}{where} ORDER BY {order}"
                f" LIMIT 1 OFFSET {number - 1}"
            )
            found = cursor.fetchone()
        return tuple(map(str, found)) if found else None

    def _piece(
        self, where: str, last: tuple[str, ...]
    ) -> Iterator[tuple[list[Row], tuple[str, ...]]]:
        """The rows of one piece, with the last key of each batch."""
        rows = self._glued(where)
        if rows is None:
            self._size = max(1, self._size // 4)
            yield from self._singly(where)
        else:
            yield rows, last

    def _glued(self, where: str) -> list[Row] | None:
        """The rows in one answer; None where that is not all of them: the server cuts it short in
        silence, and leaves out a row that it can't hold.
        """
        pair = f"CONCAT({self.image.key}, '{_BETWEEN}', {self.image.row})"
        glued = f"CAST(GROUP_CONCAT({pair} SEPARATOR '{_BETWEEN}') AS BINARY)"
        with self.connection.cursor(Cursor) as cursor:
            cursor.execute(f"SELECT COUNT(*), {glued} FROM {self.name}{where}{self._filter}")
            ((count, text),) = cursor.fetchall()
        parts = text.split(_BETWEEN.encode()) if text else []
        # What was cut is as long as may be, but for the rest of a character.
        if len(parts) != 2 * count or (text and len(text) > self._most - 8):
            return None
        wanted = _PIECE_BYTES * self._size // len(text) if text else _PIECE_ROWS
        self._size = max(1, min(_PIECE_ROWS, 4 * self._size, wanted))
        return list(zip(parts[::2], parts[1::2], strict=True))

    def _singly(self, where: str) -> Iterator[tuple[list[Row], tuple[str, ...]]]:
        """The rows one by one, in the order of their keys, put together here: however long."""
        ends, cells = self.image.ends, [cell.sql for cell in self.image.cells]
        query = (
            f"SELECT {', '.join((f'CAST({self.image.key} AS BINARY)', *ends, *cells))}"
            f" FROM {self.name}{where}{self._filter} ORDER BY {self.image.order()}"
        )
        with self.connection.cursor(SSCursor) as cursor:
            cursor.execute(query)
            taken: list[Row] = []
            size = 0
            while found := cursor.fetchone():
                key, *values = found
                last = tuple(map(str, values[: len(ends)]))
                taken.append((key, self.image.written(values[len(ends) :])))
                size += len(taken[-1][1])
                if len(taken) >= _BATCH_ROWS or size > _MOST_BYTES:
                    yield taken, last
                    taken, size = [], 0
            if taken:
                yield taken, last
