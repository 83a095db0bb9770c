"""The live numbers as they were at another position of the stream.

What each record of the stream has added is kept for a while, so the sums of now less what was
added after that position are the sums at it, exactly.
"""

import sqlite3
from collections.abc import Mapping
from datetime import date, timedelta

from smug_platform.errors import StreamError
from smug_platform.realtime.store import Store, progress_of
from smug_platform.realtime.tally import NO_DAY
from smug_platform.stream.reader import END, StreamPositions

Sums = Mapping[tuple[date | None, str], int]
"""By day and currency; no day for rows without a time. Nothing that is zero."""
_DAYS = """
select day, currency, sum(value) from days where metric = ? group by day, currency
"""
_HISTORY = """
select day, currency, -sum(value) from history join later using (record) where metric = ?
group by day, currency
"""


class NotThere(StreamError):
    """The numbers can't be had at that position: not yet, or not any more."""

    def __init__(self, problem: str, *, remedy: str, passes: bool = False) -> None:
        super().__init__(problem, remedy=remedy, passes=passes)


def sums_at(store: Store, metric: str, at: StreamPositions | None = None) -> Sums:
    """The sums of a metric by day and currency, at a position of the stream; as they are now
    unless given.

    Raises NotThere: the position is ahead of the numbers, too far back, or of another stream.
    """
    with store.reading() as connection:
        found = dict[tuple[int, str], int]()
        rows = connection.execute(_DAYS, (metric,)).fetchall()
        if at is not None:
            _check(connection, metric, at)
            connection.execute("create temp table if not exists later (record integer primary key)")
            connection.execute("delete from later")
            later = [(number,) for number in _later(connection, at)]
            connection.executemany("insert into later values (?)", later)
            rows += connection.execute(_HISTORY, (metric,)).fetchall()
    for day, currency, value in rows:
        found[day, currency] = found.get((day, currency), 0) + value
    return {(_date(day), currency): value for (day, currency), value in found.items() if value}


def _check(connection: sqlite3.Connection, metric: str, at: StreamPositions) -> None:
    rows = connection.execute("select name, value from meta").fetchall()
    held = progress_of(dict(rows)).positions
    if held is None or held.incarnation != at.incarnation:
        raise NotThere(
            "the live numbers are of another stream",
            remedy="wait until something of the new one has landed",
        )
    if not held.covers(at.incarnation, at.sequences):
        raise NotThere(
            "the live numbers are not there yet",
            remedy="see with `smug live` whether the consumer runs",
            passes=True,
        )
    gone = connection.execute(
        "select stream_shard, sequence from forgotten where metric = ?", (metric,)
    )
    if any(_is_after(shard, sequence, at) for shard, sequence in gone):
        raise NotThere(
            f"what was added to {metric} since then is not kept any more",
            remedy="bring the marts up to date, then compare again",
        )


def _later(connection: sqlite3.Connection, at: StreamPositions) -> list[int]:
    """The records that follow the position."""
    records = connection.execute("select record, stream_shard, sequence from records")
    return [number for number, shard, sequence in records if _is_after(shard, sequence, at)]


def _is_after(shard: str, sequence: str, at: StreamPositions) -> bool:
    read = at.sequences.get(shard, "-1")
    return read != END and int(sequence) > int(read)


def _date(day: int) -> date | None:
    return None if day == NO_DAY else date(1970, 1, 1) + timedelta(days=day)
