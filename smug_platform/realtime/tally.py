"""Effects summed up, as they are stored: by window, by day, and by record of the stream."""

from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa

from smug_platform.realtime.sift import Rows

MINUTES_A_DAY = 1440
NO_DAY = -(2**31)
"""In place of the day of a row that has no time of its own."""

Row = tuple[object, ...]
_PREPARE = """
create or replace temp table tallied as
select e.*, l.shard, l.partition, p.lane, p.record,
       coalesce(minute // {a_day} - if(minute % {a_day} < 0, 1, 0), {no_day}) as day
from effects e join places p using (_i) join lanes l using (lane)
"""
_MINUTES = """
select metric, shard, partition, op, currency, minute, count(distinct _i), sum(value)::bigint,
       count(distinct _i) filter ((minute + 1) * 60000000 <= {watermark})
from tallied where minute >= {horizon} group by all
"""
_DAYS = """
select metric, shard, partition, currency, day, sum(value)::bigint from tallied group by all
having sum(value) <> 0
"""
_HISTORY = """
select record, metric, currency, day, sum(value)::bigint from tallied group by all
having sum(value) <> 0
"""


@dataclass
class Tally:
    """What is added to what is stored.

    minutes: (metric, shard, lane, op, currency, minute, changes, value, late); days: (metric,
    shard, lane, currency, day, value); history: (record, metric, currency, day, value).
    """

    minutes: list[Row] = field(default_factory=list)
    days: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)


def tally(
    connection: duckdb.DuckDBPyConnection,
    effects: pa.Table,
    rows: Rows,
    *,
    horizon: int,
    watermark: int,
) -> Tally:
    """Sum up the effects of some changes.

    horizon: the first minute that has a window of its own still. watermark: microseconds; a change
    of a window that ends before it is late.
    """
    if not effects.num_rows:
        return Tally()
    connection.register("effects", effects)
    connection.register(
        "places",
        pa.table({"_i": np.arange(len(rows.lane)), "lane": rows.lane, "record": rows.record}),
    )
    shards, partitions = zip(*rows.lanes, strict=True)
    lanes = {"lane": np.arange(len(shards)), "shard": shards, "partition": partitions}
    connection.register("lanes", pa.table(lanes))
    connection.execute(_PREPARE.format(a_day=MINUTES_A_DAY, no_day=NO_DAY))
    minutes = _MINUTES.format(horizon=horizon, watermark=watermark)
    return Tally(*(connection.execute(query).fetchall() for query in (minutes, _DAYS, _HISTORY)))
