"""Effects summed up, as they are stored: by window, by day, and by record of the stream."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.realtime.sift import Rows

MINUTES_A_DAY = 1440
NO_DAY = -(2**31)
"""In place of the day of a row that has no time of its own."""
FIRST_MINUTE = NO_DAY * MINUTES_A_DAY
"""That of such a row: none is before it."""

Row = tuple[Any, ...]
_MICROSECONDS = 60_000_000


@dataclass
class Tally:
    """What is added to what is stored.

    minutes: (metric, shard, lane, op, currency, minute, changes, value, late); days: (metric,
    shard, lane, currency, day, value); history: (record, metric, currency, day, value).
    """

    minutes: list[Row] = field(default_factory=list)
    days: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)


def tally(effects: pa.Table, rows: Rows, *, horizon: int, watermark: int) -> Tally:
    """Sum up the effects of some changes, whose numbers are `_i`.

    horizon: the first minute that has a window of its own still. watermark: microseconds; a change
    of a window that ends before it is late.
    """
    number = effects["_i"].to_numpy()
    minute = pc.fill_null(effects["minute"], FIRST_MINUTE).to_numpy()
    placed = (
        effects.set_column(effects.schema.get_field_index("minute"), "minute", [minute])
        .append_column("day", [np.floor_divide(minute, MINUTES_A_DAY)])
        .append_column("lane", [rows.lane[number]])
        .append_column("record", [rows.record[number]])
    )
    return Tally(
        _minutes(placed.filter(minute >= horizon), rows, watermark),
        [
            (metric, *rows.lanes[lane], currency, day, value)
            for metric, lane, currency, day, value in _sums(placed, _DAYS)
        ],
        _sums(placed, _HISTORY),
    )


_WINDOW = ("metric", "lane", "op", "currency", "minute")
_DAYS = ("metric", "lane", "currency", "day")
_HISTORY = ("record", "metric", "currency", "day")


def _minutes(effects: pa.Table, rows: Rows, watermark: int) -> list[Row]:
    found = effects.group_by(_WINDOW).aggregate([("_i", "count_distinct"), ("value", "sum")])
    return [
        (metric, *rows.lanes[lane], op, currency, minute, changes, value,
         changes if (minute + 1) * _MICROSECONDS <= watermark else 0)
        for metric, lane, op, currency, minute, changes, value in _tuples(
            found, [*_WINDOW, "_i_count_distinct", "value_sum"]
        )
    ]  # fmt: skip


def _sums(effects: pa.Table, names: Sequence[str]) -> list[Row]:
    found = effects.group_by(names).aggregate([("value", "sum")])
    found = found.filter(pc.not_equal(found["value_sum"], 0))
    return _tuples(found, [*names, "value_sum"])


def _tuples(table: pa.Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))
