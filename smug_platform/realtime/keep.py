"""How long what is kept, so that the file does not grow with the hours.

Windows of a minute are kept for three hours behind the watermark; the sums by day stay. What each
record of the stream has added is kept for a quarter of an hour: so far back the numbers can be
brought to another position of the stream.
"""

import sqlite3

WINDOW_MINUTES = 180
HISTORY_SECONDS = 900.0
_DELAY_MINUTES = 60
_REFUSED = 1_000
_MICROSECONDS = 60_000_000


def first_minute(watermark: int) -> int:
    """The first minute that has a window of its own. watermark: microseconds.

    >>> first_minute(60_000_000 * 1_000)
    820
    """
    return max(watermark // _MICROSECONDS - WINDOW_MINUTES, 0)


def clean(connection: sqlite3.Connection, *, watermark: int, now: float) -> None:
    """Remove what is older, in a transaction."""
    connection.execute("delete from minutes where minute < ?", (first_minute(watermark),))
    connection.execute("delete from delays where minute < ?", (now // 60 - _DELAY_MINUTES,))
    connection.execute(
        "delete from refused where id in"
        " (select id from refused order by refused_at desc, id limit -1 offset ?)",
        (_REFUSED,),
    )
    old = (now - HISTORY_SECONDS,)
    connection.execute(
        "insert or replace into forgotten select metric, stream_shard, sequence from"
        " (select metric, stream_shard, sequence, max(record) from history join records"
        "  using (record) where counted_at < ? group by metric, stream_shard)",
        old,
    )
    expired = "(select record from records where counted_at < ?)"
    connection.execute(f"delete from history where record in {expired}", old)
    connection.execute(f"delete from records where record in {expired}", old)


def forget(connection: sqlite3.Connection) -> None:
    """Remove what is known of a stream's records: another stream has come in its place."""
    for table in ("history", "records", "forgotten"):
        connection.execute(f"delete from {table}")
