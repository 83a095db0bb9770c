"""Rows of a piece that may come again: what they count for can be taken back, lane by lane.

A table that is read beside its shard's stream comes in pieces, one sent once the one before it is
known to be on the stream. After a kill the last one comes again, as its rows are by then. So what
a lane has counted of the last piece is kept apart as well, until the lane has a row of a later
piece, or is told that this one comes again.
"""

import sqlite3
from collections.abc import Mapping

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.raw.views import Array
from smug_platform.realtime.controls import Reset
from smug_platform.realtime.metrics import metrics_of
from smug_platform.realtime.sift import Key, Rows
from smug_platform.realtime.store import add
from smug_platform.realtime.tally import MINUTES_A_DAY, Tally

NONE = -1
"""In place of the piece of a row that is of none."""

_IN_DOUBT = ',"in_doubt":true}'
_ADD = """
insert into provisional
    (metric, shard, lane, after_rows, currency, minute, changes, value, late)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do update set changes = changes + excluded.changes, value = value + excluded.value,
                          late = late + excluded.late
"""
_MINE = """
select metric, currency, minute, changes, value, late from provisional
where (metric, shard, lane) = (?, ?, ?) and after_rows >= ?
"""


def in_doubt(changes: pa.Table) -> Array:
    """Which changes are of rows that come again with their piece: they count for nothing."""
    found: Array = pc.ends_with(changes["payload"], _IN_DOUBT).to_numpy()
    return found


def pieces_of(rows: Rows) -> Array:
    """Of each row how many of its table were read before its piece; less than 0 for other changes.

    A record of the stream holds rows of one piece alone.
    """
    found = np.full(len(rows.lane), NONE, np.int64)
    read = np.flatnonzero(pc.equal(rows.changes["op"], "r").to_numpy())
    if not len(read):
        return found
    starts = np.flatnonzero(np.diff(rows.record[read], prepend=-1))
    texts = rows.changes["payload"].take(pa.array(read[starts])).to_pylist()
    pieces = [orjson.loads(text)["source"].get("after_rows", NONE) for text in texts]
    found[read] = np.repeat(pieces, np.diff([*starts, len(read)]))
    return found


def last_of(rows: Rows, pieces: Array) -> tuple[dict[Key, int], Array]:
    """The last piece of each lane that has some, and which rows are of those.

    pieces: as `pieces_of` has them, of one table; NONE for all other rows.
    """
    last = np.full(len(rows.lanes), NONE, np.int64)
    np.maximum.at(last, rows.lane, pieces)
    lanes = {rows.lanes[lane]: int(last[lane]) for lane in np.flatnonzero(last >= 0).tolist()}
    return lanes, (pieces >= 0) & (pieces == last[rows.lane])


def keep(
    connection: sqlite3.Connection, table: str, lanes: Mapping[Key, int], counted: Tally
) -> None:
    """Keep apart, in a transaction, what the last piece of each lane of a table counts for.

    counted: that, with the windows of all minutes.
    """
    connection.executemany(
        "delete from provisional where (metric, shard, lane) = (?, ?, ?) and after_rows < ?",
        [(one.name, *key, piece) for one in metrics_of(table) for key, piece in lanes.items()],
    )
    connection.executemany(
        _ADD,
        [
            (metric, shard, lane, lanes[shard, lane], *rest)
            for metric, shard, lane, _op, *rest in counted.minutes
        ],
    )


def take_back(connection: sqlite3.Connection, reset: Reset, key: Key, *, horizon: int) -> None:
    """Take away, in a transaction, what a lane has counted of the piece that begins where the reset
    says, and keep nothing apart. horizon: the first minute that has a window of its own still.
    """
    rows = [
        row
        for metric in metrics_of(reset.table)
        for row in connection.execute(_MINE, (metric.name, *key, reset.after_rows)).fetchall()
    ]
    taken = Tally()
    for metric, currency, minute, changes, value, late in rows:
        day = minute // MINUTES_A_DAY
        if minute >= horizon:
            taken.minutes.append((metric, *key, "r", currency, minute, -changes, -value, -late))
        taken.days.append((metric, *key, currency, day, -value))
        taken.history.append((reset.record, metric, currency, day, -value))
    add(connection, taken)
    connection.executemany(
        "delete from provisional where (metric, shard, lane) = (?, ?, ?)",
        [(metric.name, *key) for metric in metrics_of(reset.table)],
    )
