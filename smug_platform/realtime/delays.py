"""How long changes take from the source's commit to the number that shows them, as a histogram.

A bucket is an eighth of a power of two wide, so a percentile is right to within 9 %. Rows of a
snapshot are not among them: they were committed long before anybody read them. MariaDB and MySQL
before 8.0 note the second of a commit only, which makes delays longer by up to one second.
"""

import sqlite3
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PARTS = 8
_SINCE = "select bucket, sum(changes) from delays where minute >= ? group by bucket order by bucket"


def delays(changes: pa.Table, now: float) -> dict[int, int]:
    """How many changes fall in each bucket. now: seconds since 1970."""
    streamed = pc.is_in(changes["op"], value_set=pa.array(["c", "u", "d"], changes["op"].type))
    times = changes["committed_at"].filter(streamed).drop_null().cast(pa.int64()).to_numpy()
    milliseconds = np.maximum(now * 1000 - times / 1000, 1)
    buckets, counts = np.unique(
        np.ceil(np.log2(milliseconds) * _PARTS).astype(int), return_counts=True
    )
    return dict(zip(buckets.tolist(), counts.tolist(), strict=True))


def save_delays(connection: sqlite3.Connection, found: dict[int, int], now: float) -> None:
    """Add to the histogram of this minute, in a transaction."""
    connection.executemany(
        "insert into delays values (?, ?, ?)"
        " on conflict do update set changes = changes + excluded.changes",
        [(int(now // 60), bucket, count) for bucket, count in found.items()],
    )


def percentile(connection: sqlite3.Connection, share: float, *, since: float) -> timedelta | None:
    """The delay that this share of the changes stays below; None without changes.

    since: seconds since 1970, to the minute.
    """
    found = connection.execute(_SINCE, (int(since // 60),)).fetchall()
    left = share * sum(count for _, count in found)
    for bucket, count in found:
        left -= count
        if left <= 0:
            return timedelta(milliseconds=2 ** (bucket / _PARTS))
    return None
