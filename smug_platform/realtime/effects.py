"""What changes do to the windows: each image that comes adds its row, each that goes takes it back.

Rows are read as the lake reads them, so what the lake puts into quarantine counts for nothing
here. The lake then still holds the row as it was before; so that both stay alike, what counts for
such a key is held, and the key's next change takes that back, not its own image from before. The
same goes for the rows of a shard in conflict with the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import Table as Iceberg

from smug_platform.lake.columns import Column, identifier, plan, quote
from smug_platform.lake.conflicts import conflicts, hold_back, without
from smug_platform.lake.decode import POSITION, decode
from smug_platform.lake.images import images
from smug_platform.lake.state import State
from smug_platform.lake.target import Target
from smug_platform.raw.deltas import PLACE
from smug_platform.raw.quarantine import Refused
from smug_platform.raw.views import Array
from smug_platform.realtime.metrics import Metric
from smug_platform.realtime.sift import Rows

Effect = tuple[str, int | None, str, int]
"""Metric, minute since 1970, currency, value."""
Lake = Callable[[Target], Iceberg | None]
"""The lake's table as it stands, where there is one."""
Held = dict[str, tuple[Effect, ...]]
"""By key: what counts for it though its last image does not say so."""

SCHEMA = pa.schema(
    {
        "_i": pa.int64(),
        "sign": pa.int64(),
        "op": pa.string(),
        "metric": pa.string(),
        "minute": pa.int64(),
        "currency": pa.string(),
        "value": pa.int64(),
    }
)
_AFTER = "select _i, _op, if(_op = 'd', -1, 1) as sign, {named} from changed"
_BEFORE = f"""
select _i, 'u' as _op, -1 as sign, {{values}} from (
  select _i, shard as _shard, {POSITION} as _position, try(from_json(before, {{shape}})) as _r
  from updates)
"""
_EFFECTS = """
select _i, sign::bigint as sign, _op as op, {name} as metric,
       epoch_us(date_trunc('minute', try_cast({time} as timestamp))) // 60000000 as minute,
       coalesce({currency}, '') as currency, coalesce(sign * ({value}), 0)::bigint as value
from images
"""


@dataclass
class Found:
    """What the changes of a table do. effects: as SCHEMA has it, `_i` being the change's number.

    held: what the table holds afterwards, by lane, of the lanes in which that has changed.
    """

    effects: pa.Table = field(default_factory=SCHEMA.empty_table)
    refused: list[Refused] = field(default_factory=list)
    identical: int = 0
    held: dict[int, Held] = field(default_factory=dict)


def effects(
    connection: duckdb.DuckDBPyConnection,
    target: Target,
    state: State,
    metrics: tuple[Metric, ...],
    rows: Rows,
    held: Mapping[int, Held],
    lake: Lake,
) -> Found:
    """The effects of the rows of one table, which has a key. held: by lane.

    Raises LakeError as `plan` does.
    """
    in_conflict = conflicts(target, state, None)
    if in_conflict:  # the lake refuses those that conflict with what it holds
        in_conflict = conflicts(target, state, lake(target))
    columns = plan(target, without(state, in_conflict))
    known = {column.name for column in columns}
    counted = [metric for metric in metrics if known.issuperset(metric.needed)]
    changes = rows.changes.append_column("_number", pa.array(np.arange(len(rows.lane))))
    changes, refused = hold_back(target, in_conflict, changes)
    events, unread = decode(connection, target, columns, changes, state.dropped)
    events = events.set_column(0, "_i", changes["_number"].take(events["_i"]))
    refused += unread
    is_same = events["_same"]
    changed = events.filter(pc.invert(is_same))
    refused += [_missing(metric) for metric in metrics if metric not in counted]
    needed = list(dict.fromkeys(name for metric in counted for name in metric.needed))
    found = Found(refused=refused, identical=events.num_rows - changed.num_rows)
    if not needed:
        return found
    connection.register("changed", changed.select(["_i", "_op", *needed]))
    _register_before(connection, rows.changes, events["_i"].filter(is_same), changes["_number"])
    query = _all_effects([column for column in columns if column.name in needed], counted, needed)
    found.effects = connection.sql(query).to_arrow_table().cast(SCHEMA)
    if refused or any(held.values()):
        _hold(found, rows, events["_i"].to_numpy(), held)
    return found


def _all_effects(columns: list[Column], counted: list[Metric], needed: list[str]) -> str:
    """The query of what the images do to the metrics. columns: those that are needed."""
    named = ", ".join(map(identifier, needed))
    every = f"{_AFTER.format(named=named)} union all by name {_before(columns)}"
    sums = " union all ".join(map(_query, counted))
    return f"with images as materialized ({every}) {sums}"


def _missing(metric: Metric) -> Refused:
    """What is told of a metric that can't be counted any more."""
    absent = f"{metric.table} has not all of the columns {', '.join(metric.needed)}"
    return Refused("realtime", metric.table, None, metric.name, f"not counted: {absent}", b"")


def _register_before(
    connection: duckdb.DuckDBPyConnection,
    changes: pa.Table,
    identical: pa.ChunkedArray,
    numbers: pa.ChunkedArray,
) -> None:
    """Make `updates`: those that change something, with their image from before.

    identical: the numbers of those that change nothing. numbers: of the changes that are not held
    back; what a delete that is held back would have taken away counts on, so it is among them.
    """
    number = pa.array(np.arange(changes.num_rows))
    differs = pc.invert(pc.is_in(number, value_set=identical.combine_chunks()))
    is_back = pc.invert(pc.is_in(number, value_set=numbers.combine_chunks()))
    goes = pc.and_(pc.equal(changes["op"], "d"), is_back)
    chosen = number.filter(pc.or_(pc.and_(pc.equal(changes["op"], "u"), differs), goes))
    updates = changes.select([*PLACE, "shard", "payload"]).take(chosen)
    before, _ = images(updates["payload"])
    updates = updates.drop_columns("payload").append_column("_i", chosen)
    connection.register("updates", updates.append_column("before", before))


def _before(columns: list[Column]) -> str:
    """The query of the images from before, of those columns."""
    names = {column.spelling(name) for column in columns for name in column.wire}
    values = (
        f"{column.expression(column.text('_r'))} as {identifier(column.name)}" for column in columns
    )
    shape = orjson.dumps(dict.fromkeys(sorted(names), "VARCHAR")).decode()
    return _BEFORE.format(values=", ".join(values), shape=quote(shape))


def _query(metric: Metric) -> str:
    return _EFFECTS.format(
        name=quote(metric.name),
        time=identifier(metric.time),
        currency=identifier(metric.currency) if metric.currency else "null",
        value=metric.value,
    )


def _hold(found: Found, rows: Rows, read: Array, held: Mapping[int, Held]) -> None:
    """Put the effects right of keys for which something is held, or of which a change is refused.

    read: the numbers of the changes that could be read.
    """
    keys = rows.changes["key"].to_pylist()
    unread = np.setdiff1d(np.arange(len(keys)), read)
    touched = {(int(rows.lane[i]), keys[i]) for i in unread.tolist()}
    touched |= {(lane, key) for lane, entries in held.items() for key in entries}
    mine = [i for i, lane in enumerate(rows.lane.tolist()) if (lane, keys[i]) in touched]
    if not mine:
        return
    is_mine = pc.is_in(found.effects["_i"], value_set=pa.array(mine, pa.int64()))
    of_row: dict[int, list[dict[str, Any]]] = {i: [] for i in mine}
    for row in found.effects.filter(is_mine).to_pylist():
        of_row[row["_i"]].append(row)
    refused, put = set(unread.tolist()), list[dict[str, Any]]()
    ops = rows.changes["op"]
    for i in mine:
        lane = int(rows.lane[i])
        now = found.held.setdefault(lane, dict(held.get(lane, {})))
        before = [row for row in of_row[i] if row["sign"] == -1]
        if i in refused:
            now.setdefault(keys[i], tuple(_effect(row, -1) for row in before))
            continue
        if (kept := now.pop(keys[i], None)) is not None:
            op = ops[i].as_py()
            before = [_row(i, op, effect) for effect in kept]
        put += [row for row in of_row[i] if row["sign"] == 1] + before
    rest = found.effects.filter(pc.invert(is_mine))
    found.effects = pa.concat_tables([rest, pa.Table.from_pylist(put, schema=SCHEMA)])


def _effect(row: Mapping[str, Any], factor: int) -> Effect:
    return row["metric"], row["minute"], row["currency"], factor * row["value"]


def _row(number: int, op: str, effect: Effect) -> dict[str, Any]:
    """What takes back an effect."""
    metric, minute, currency, value = effect
    values = (number, -1, op, metric, minute, currency, -value)
    return dict(zip(SCHEMA.names, values, strict=True))
