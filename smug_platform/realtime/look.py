"""What the live numbers show at one moment, for the dashboard."""

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smug_platform.realtime.delays import percentile
from smug_platform.realtime.store import Progress, Store, progress_of

_WINDOWS = """
select metric, currency, minute, sum(value) from minutes where minute > ? and minute <= ?
group by metric, currency, minute having sum(value) <> 0
"""
_BY = """
select metric, currency, {by}, sum(changes), sum(value), sum(late) from minutes
where minute > ? and minute <= ? group by metric, currency, {by} order by 1, 2, 3
"""
_REFUSED = """
select stage, coalesce(table_name, ''), coalesce(shard, ''), place, reason from refused
order by refused_at desc, id limit 5
"""
_MICROSECONDS = 60_000_000
_DELAYS_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Line:
    """A sum over the last windows. of: an operation, or a source shard."""

    metric: str
    currency: str
    of: str
    changes: int
    value: int
    late: int


@dataclass(frozen=True)
class Live:
    """windows: by their start, what each (metric, currency) comes to; the newest first.

    rate: changes a second in the last whole minute. median, p99: of the delays of five minutes.
    silence: since the consumer wrote last. refused: (stage, table, shard, place, reason).
    """

    progress: Progress
    windows: Mapping[datetime, Mapping[tuple[str, str], int]]
    by_operation: list[Line]
    by_shard: list[Line]
    rate: float
    median: timedelta | None
    p99: timedelta | None
    silence: timedelta
    refused: list[tuple[str, ...]]


def look(store: Store, *, windows: int = 10, minutes: int = 60, now: float | None = None) -> Live:
    """What is there. windows: how many of the last to show; minutes: over which lines are summed.

    The last window is that in which the watermark stands.
    """
    now = time.time() if now is None else now
    with store.reading() as connection:
        progress = progress_of(dict(connection.execute("select name, value from meta").fetchall()))
        last = progress.watermark // _MICROSECONDS
        bounds = (last - minutes, last)
        return Live(
            progress=progress,
            windows=_windows(connection, last - windows, last),
            by_operation=[Line(*r) for r in connection.execute(_BY.format(by="op"), bounds)],
            by_shard=[Line(*r) for r in connection.execute(_BY.format(by="shard"), bounds)],
            rate=_rate(connection, now),
            median=percentile(connection, 0.5, since=now - _DELAYS_SECONDS),
            p99=percentile(connection, 0.99, since=now - _DELAYS_SECONDS),
            silence=timedelta(seconds=max(now - progress.updated_at, 0.0)),
            refused=connection.execute(_REFUSED).fetchall(),
        )


def _windows(
    connection: sqlite3.Connection, after: int, last: int
) -> dict[datetime, dict[tuple[str, str], int]]:
    starts = [datetime.fromtimestamp(at * 60, UTC) for at in range(last, max(after, -1), -1)]
    found: dict[datetime, dict[tuple[str, str], int]] = {start: {} for start in starts}
    for metric, currency, minute, value in connection.execute(_WINDOWS, (after, last)):
        found[datetime.fromtimestamp(minute * 60, UTC)][metric, currency] = value
    return found


def _rate(connection: sqlite3.Connection, now: float) -> float:
    query = "select coalesce(sum(changes), 0) from delays where minute = ?"
    (changes,) = connection.execute(query, (int(now // 60) - 1,)).fetchone()
    return float(changes) / 60
