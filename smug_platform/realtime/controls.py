"""What schema changes and truncates say: the schemas in force, and whose rows are gone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.capture.position import Position
from smug_platform.errors import LakeError
from smug_platform.lake.state import State, evolve
from smug_platform.raw.quarantine import Refused
from smug_platform.raw.views import Array
from smug_platform.realtime.sift import Rows
from smug_platform.tables.table import Table

_GONE = {"DROP", "CREATE"}


@dataclass(frozen=True)
class Reset:
    """What comes before it in its lane counts no more for that table. at: the change's number.

    after_rows: only what came of the piece that begins after so many rows; None for all.
    """

    at: int
    table: str
    lane: int
    record: int
    after_rows: int | None = None


@dataclass(frozen=True)
class Part:
    """Changes from one number to another: first all resets, then the rows."""

    resets: Sequence[Reset]
    start: int
    stop: int


def follow(
    rows: Rows, tables: Mapping[str, Table], states: Mapping[str, State]
) -> tuple[list[Reset], dict[str, State], list[Refused]]:
    """The resets among the changes, in order; the schemas after them, and what can't be followed.

    Copies of a schema change from several lanes move the schemas on once.
    """
    op = rows.changes["op"]
    control = np.flatnonzero(pc.is_in(op, value_set=pa.array(["ddl", "t"], op.type)).to_numpy())
    found = rows.changes.take(pa.array(control)).to_pylist()
    resets, events = list[Reset](), dict[tuple[str, int, str], Any]()
    for number, row in zip(control.tolist(), found, strict=True):
        lane, record = int(rows.lane[number]), int(rows.record[number])
        if row["op"] == "t":
            resets.append(Reset(number, row["table_name"], lane, record))
            continue
        event = orjson.loads(row["payload"])
        position = Position(row["epoch"], row["binlog_file"], row["binlog_offset"]).ordinal
        events.setdefault((row["shard"], position, row["payload"]), event)
        resets += [
            Reset(number, name, lane, record)
            for name, kind in _named(event)
            if kind in _GONE and name in tables
        ]
        if (again := event.get("read_again")) and again["table"] in tables:
            resets.append(Reset(number, again["table"], lane, record, again["after_rows"]))
    after, refused = _evolved(events, tables, states)
    return resets, after, refused


def _named(event: Any) -> Iterator[tuple[str, str]]:
    for change in event["tableChanges"]:
        yield change["id"].split(".")[-1].strip('"'), change["type"]


def _evolved(
    events: Mapping[tuple[str, int, str], Any],
    tables: Mapping[str, Table],
    states: Mapping[str, State],
) -> tuple[dict[str, State], list[Refused]]:
    after, refused = dict(states), []
    for (shard, position, text), event in sorted(events.items(), key=lambda item: item[0][:2]):
        for name in dict.fromkeys(name for name, _ in _named(event) if name in tables):
            try:
                after[name] = evolve(after.get(name, State()), tables[name], shard, position, event)
            except LakeError as error:
                place = str(Position.from_ordinal(position))
                refused.append(Refused("realtime", name, shard, place, str(error), text.encode()))
    return after, refused


def parts(rows: Rows, tables: Mapping[str, Array], resets: Sequence[Reset]) -> Iterator[Part]:
    """Cut the changes so that in no part a row stands before a reset that concerns it.

    tables: by name, which changes are of the table.
    """
    cuts = [0]
    for reset in resets:
        here = slice(cuts[-1], reset.at)
        if (tables[reset.table][here] & (rows.lane[here] == reset.lane)).any():
            cuts.append(reset.at)
    for start, stop in zip(cuts, [*cuts[1:], len(rows.lane)], strict=True):
        mine = [reset for reset in resets if start <= reset.at < stop]
        yield Part(mine, start, stop)
