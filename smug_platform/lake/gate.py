"""The gate: which of a batch's events change which rows, decided by the index alone.

The rules are those of `net`: an event counts if it is not before its shard's floor, of the events
of one row the last one by position counts, and it is applied only if it is after the position that
the row holds. Here all rows are decided at once, in arrays of keys and positions. What needs more
than that is left to `net`: a key that stands on more than one shard.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.iceberg import FILE, ROW, LakeFiles
from smug_platform.lake.index import Found, Index
from smug_platform.lake.keys import Keys, positions
from smug_platform.lake.net import Counts
from smug_platform.lake.runs import Array, Entries
from smug_platform.lake.target import Target
from smug_platform.scan import native

_WORD = (1 << 64) - 1
_NO_ROW = Entries(
    *(np.zeros(1, np.uint64) for _ in range(4)), *(np.zeros(1, np.int32) for _ in range(2))
)


@dataclass(frozen=True)
class Passed:
    """What the gate let through.

    rows: the events that are applied, as rows of the lake, with FILE and ROW of the row that each
    replaces. counts: of all events but the contested. contested: the events that `net` has to
    decide; entries: the rows of the table that these concern.
    """

    rows: pa.Table
    counts: Counts
    contested: pa.Table
    entries: Entries


@dataclass(frozen=True)
class _Events:
    """The events as arrays, in the order that they came."""

    key: Keys
    high: Array
    low: Array
    op: Array
    same: Array


def gate(
    target: Target, index: Index, files: LakeFiles, events: pa.Table, floors: Mapping[str, int]
) -> Passed:
    """Decide which events are applied. events: as `decode` gives them; the index is in step."""
    codes = events["_op"].combine_chunks().dictionary_encode().indices
    high, low = positions(events)
    arrays = _Events(index.keys(events), high, low, codes.to_numpy(), events["_same"].to_numpy())
    above = _above_floors(events, arrays, {} if target.history else floors)
    order = _sorted(arrays)
    ordered = arrays.key.group[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    groups, sizes = ordered[starts], np.diff(np.append(starts, len(ordered)))
    found = index.find(groups)
    is_contested = np.repeat(_contested(arrays.key.check[order], starts, found), sizes)
    plain, contested = order[~is_contested], np.sort(order[is_contested])
    counted = plain[above[plain]]
    net, duplicates, identical = _net(arrays, counted)
    newer, again, entries = _newer(arrays, net, groups, found)
    return Passed(
        rows=_rows(events, net[newer], index, files, entries),
        counts=Counts(
            duplicates=duplicates + again,
            identical=identical,
            merged_away=max(len(counted) - duplicates - identical - len(net), 0),
            stale=len(plain) - len(counted) + len(net) - int(newer.sum()) - again,
        ),
        contested=events.take(contested),
        entries=found.entries.take(np.isin(found.entries.group, arrays.key.group[contested])),
    )


def _above_floors(events: pa.Table, arrays: _Events, floors: Mapping[str, int]) -> Array:
    """Which events are not before the floor of their shard."""
    above = np.ones(events.num_rows, dtype=bool)
    if floors:
        shards = events["_shard"].combine_chunks().dictionary_encode()
        codes = shards.indices.to_numpy()
        for code, shard in enumerate(shards.dictionary.to_pylist()):
            floor = floors.get(shard, 0)
            high, low = np.uint64(floor >> 64), np.uint64(floor & _WORD)
            below = (arrays.high < high) | ((arrays.high == high) & (arrays.low < low))
            above &= (codes != code) | ~below
    return above


def _sorted(events: _Events) -> Array:
    """The events' numbers by row and position, and where both are equal, as they came.

    A key travels through one lane of the stream, so its events nearly always come in order.
    """
    order = native.order(events.key.group)
    group, check = events.key.group[order], events.key.check[order]
    high, low = events.high[order], events.low[order]
    behind = (high[1:] < high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] < low[:-1]))
    is_mixed = (group[1:] == group[:-1]) & (behind | (check[1:] != check[:-1]))
    if not is_mixed.any():
        return order
    return np.lexsort((events.low, events.high, events.key.check, events.key.group))


def _contested(check: Array, starts: Array, found: Found) -> Array:
    """Which groups hold more than one row, among the events, in the table, or both together."""
    many = np.zeros(len(starts), dtype=bool)
    if len(starts):
        many = np.minimum.reduceat(check, starts) != np.maximum.reduceat(check, starts)
        stored = np.bincount(found.query, minlength=len(starts))
        many |= stored > 1
        many[found.query] |= found.entries.check != check[starts[found.query]]
    return many


def _net(events: _Events, counted: Array) -> tuple[Array, int, int]:
    """The last change of each row, by event number; how many are duplicates, how many identical."""
    group, op = events.key.group[counted], events.op[counted]
    again = (group[1:] == group[:-1]) & (op[1:] == op[:-1])
    for half in (events.high[counted], events.low[counted]):
        again &= half[1:] == half[:-1]
    changes = counted[~events.same[counted]]
    group = events.key.group[changes]
    last = np.ones(len(changes), dtype=bool)
    last[:-1] = group[1:] != group[:-1]
    return changes[last], int(again.sum()), len(counted) - len(changes)


def _newer(events: _Events, net: Array, groups: Array, found: Found) -> tuple[Array, int, Entries]:
    """Which net changes are after what the table holds; how many it holds already; the entries of
    the rows that the newer ones replace, with file -1 where there is none.
    """
    at = np.full(len(groups), -1)
    at[found.query] = np.arange(len(found.entries))
    at = at[np.searchsorted(groups, events.key.group[net])]
    held = at >= 0
    entries = (found.entries if len(found.entries) else _NO_ROW).at(np.where(held, at, 0))
    high, low = events.high[net], events.low[net]
    after = (high > entries.high) | ((high == entries.high) & (low > entries.low))
    equal = held & (high == entries.high) & (low == entries.low)
    newer = ~held | after
    file = np.where(held, entries.file, -1).astype(np.int32)
    return newer, int(equal.sum()), replace(entries, file=file).take(newer)


def _rows(
    events: pa.Table, chosen: Array, index: Index, files: LakeFiles, entries: Entries
) -> pa.Table:
    """The chosen events as rows of the lake."""
    rows = events.take(pa.array(chosen))
    is_new = entries.file < 0
    number = np.zeros(len(entries), dtype=np.int32)
    number[~is_new] = index.numbers(files, entries.take(~is_new))
    file = pa.array(number, mask=is_new)
    deleted = pc.equal(rows["_op"], "d")
    row = pa.array(entries.row.astype(np.int64), mask=is_new)
    moved_to = pa.nulls(rows.num_rows, pa.string())
    extra = {"_is_deleted": deleted, "_moved_to": moved_to, FILE: file, ROW: row}
    for name, values in extra.items():
        rows = rows.append_column(name, values)
    return rows
