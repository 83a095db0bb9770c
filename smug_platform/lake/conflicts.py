"""Shards that declare a column as no type holds it together with the others': each by itself.

The table goes on under the types that it has. The rows that such a shard writes from then on go to
quarantine, with both types in the reason. Where no shard is left that agrees with the table, the
table halts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import Table as Iceberg

from smug_platform.capture.position import Position
from smug_platform.errors import LakeError
from smug_platform.lake.columns import plan
from smug_platform.lake.state import State
from smug_platform.lake.target import Target
from smug_platform.lake.types import SourceColumn, common_type, lake_type
from smug_platform.raw.deltas import PLACE
from smug_platform.raw.quarantine import Refused

_PLACED = ["shard", *PLACE]


@dataclass(frozen=True)
class Conflict:
    """From which position on the rows of a shard are refused, and why."""

    since: int
    reason: str


def conflicts(target: Target, state: State, table: Iceberg | None) -> dict[str, Conflict]:
    """The shards that conflict with the table as it is, and then with the shards before them.

    First come those that agree with the most, and of equals the one whose schema is older: the
    one that was altered alone is in conflict then, not all others with it.
    """
    fields = table.schema().fields if table else ()
    kinds = {state.alias(field.name): field.field_type for field in fields}
    found = {}
    for shard in _ranked(target, state):
        since, columns = state.schemas[shard]
        mine = dict(kinds)
        try:
            for column in columns:
                name, kind = state.alias(column.name), lake_type(column).iceberg
                held = mine.get(name, kind)
                mine[name] = common_type(target.table.name, name, held, kind)
        except LakeError as error:
            found[shard] = Conflict(since, f"{shard} alone: {error.problem}")
        else:
            kinds = mine
    is_table_in_conflict = len(found) == len(state.schemas) or not target.table.key
    return {} if is_table_in_conflict else found


def _ranked(target: Target, state: State) -> list[str]:
    """The shards, those first that agree with the most others."""
    shards = sorted(state.schemas)
    if _agree(target, state, shards):
        return shards
    alike = dict[tuple[SourceColumn, ...], list[str]]()
    for shard in shards:
        alike.setdefault(state.schemas[shard][1], []).append(shard)
    agreeing = {
        columns: sum(len(b) for b in alike.values() if _agree(target, state, [a, b[0]]))
        for columns, (a, *_) in alike.items()
    }
    rank = {s: (-agreeing[columns], since) for s, (since, columns) in state.schemas.items()}
    return sorted(shards, key=lambda shard: (rank[shard], shard))


def _agree(target: Target, state: State, shards: Iterable[str]) -> bool:
    """Whether types hold the columns of these shards together."""
    try:
        plan(target, replace(state, schemas={shard: state.schemas[shard] for shard in shards}))
    except LakeError:
        return False
    return True


def without(state: State, found: Mapping[str, Conflict]) -> State:
    """The state without the schemas of the shards in conflict."""
    schemas = {shard: schema for shard, schema in state.schemas.items() if shard not in found}
    return replace(state, schemas=schemas)


def hold_back(
    target: Target, found: Mapping[str, Conflict], deltas: pa.Table
) -> tuple[pa.Table, list[Refused]]:
    """The deltas without those of shards in conflict, and these as quarantine has them."""
    if not found:
        return deltas, []
    theirs = pc.is_in(
        deltas["shard"].cast(pa.string()), value_set=pa.array(list(found), pa.string())
    )
    rows = deltas.select([*_PLACED, "payload"]).filter(theirs).to_pylist()
    is_kept, refused = np.ones(deltas.num_rows, dtype=bool), []
    for number, row in zip(np.flatnonzero(theirs.to_numpy()), rows, strict=True):
        place, conflict = Position(*(row[name] for name in _PLACED[1:])), found[row["shard"]]
        if place.ordinal >= conflict.since:
            is_kept[number] = False
            name, payload = target.table.name, row["payload"].encode()
            refused.append(
                Refused("lake", name, row["shard"], str(place), conflict.reason, payload)
            )
    return deltas.filter(pa.array(is_kept)) if refused else deltas, refused
