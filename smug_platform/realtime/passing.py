"""SQL on the stream itself: the changes of the last minutes, decoded as the lake decodes them.

`stream.photos` and so on have a row a change: the row as it is afterwards, or as it was before a
delete, and `_op` (c create, u update, d delete, r read by a snapshot). They are read from the
stream for one query and held in memory; neither lake nor consumer takes part, but for the schemas.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform import iceberg
from smug_platform.duck import in_memory
from smug_platform.errors import QueryError
from smug_platform.lake.columns import identifier, plan
from smug_platform.lake.conflicts import conflicts, hold_back, without
from smug_platform.lake.decode import decode
from smug_platform.lake.merge import STATE, name_of
from smug_platform.lake.query import Lake
from smug_platform.lake.state import State
from smug_platform.lake.target import Target
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.deltas import ARROW
from smug_platform.realtime.arrive import rows_of
from smug_platform.realtime.controls import follow
from smug_platform.realtime.sift import Rows
from smug_platform.realtime.store import Store, store_path
from smug_platform.settings import Settings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.reader import Reader
from smug_platform.tables.table import Source, Table

MINUTES = 5
_NAMED = re.compile(r'\bstream\s*\.\s*"?(\w+)"?', re.IGNORECASE)
_LONGEST_SECONDS = 120.0
_OPS = pa.array(["c", "u", "d", "r"])


@dataclass
class Passing(Lake):
    """A connection in which the last changes are tables. unread: how many could not be decoded."""

    tables: tuple[str, ...] = ()
    unread: int = 0

    def _no_table(self, name: str) -> QueryError:
        known = ", ".join(f"stream.{table}" for table in self.tables)
        return QueryError(f"there is no table {name} on the stream", remedy=f"there are {known}")


@contextmanager
def open_passing(
    settings: Settings, source: Source, sql: str, *, minutes: float = MINUTES
) -> Iterator[Passing]:
    """The changes of the last minutes, of the tables that the query names.

    Raises QueryError where a table's schema is not known, StreamError when the stream can't be
    read.
    """
    named = {name.lower() for name in _NAMED.findall(sql)}
    tables = {table.name: table for table in source.tables if table.name in named}
    stream = settings.stream
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    claims = Claims(settings.claims)
    reader = Reader(kinesis_client(stream), stream.name, claims, since=since)
    states = schemas(settings, tables.values()) if tables else {}
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema stream")
        found, unread = read_changes(reader, tables, states)
        for name, events in found.items():
            connection.register("events", events)
            connection.execute(f"create table stream.{identifier(name)} as from events")
            connection.unregister("events")
        yield Passing(connection, {}, tables=tuple(t.name for t in source.tables), unread=unread)


def schemas(settings: Settings, tables: Iterable[Table]) -> dict[str, State]:
    """The schemas in force: as the consumer knows them, or else as the lake does.

    Raises QueryError for a table of which neither knows.
    """
    known: dict[str, State] = {}
    if store_path(settings).exists():
        with Store(store_path(settings), read_only=True) as store:
            known = store.states()
    for table in tables:
        if table.name not in known:
            held = iceberg.load(open_catalog(settings), name_of(Target(table)))
            if held is None or STATE not in held.properties:
                raise QueryError(
                    f"the schema of {table.name} is not known yet",
                    remedy="run `smug realtime`, or `smug sync`",
                )
            known[table.name] = State.from_json(held.properties[STATE])
    return known


def read_changes(
    reader: Reader, tables: Mapping[str, Table], states: Mapping[str, State]
) -> tuple[dict[str, pa.Table], int]:
    """Read to the tip: the decoded changes by table, each once, and how many can't be decoded."""
    found: dict[str, list[pa.Table]] = {name: [] for name in tables}
    until, unread, positions = time.monotonic() + _LONGEST_SECONDS, 0, None
    while tables:
        batch = reader.read(positions)
        positions = batch.positions
        unread += len(batch.poison)
        if batch.records:
            rows, _, refused = rows_of(batch.records)
            _, states, _ = follow(rows, tables, states)
            unread += len(refused)
            for name, table in tables.items():
                events, bad = _decoded(rows, table, states[name])
                found[name].append(events)
                unread += bad
        if batch.at_tip or time.monotonic() > until:
            break
    whole = {name: [part for part in parts if part.num_rows] for name, parts in found.items()}
    return {
        name: _once(tables[name], parts) if parts else _nothing(tables[name], states[name])
        for name, parts in whole.items()
    }, unread


def _decoded(rows: Rows, table: Table, state: State) -> tuple[pa.Table, int]:
    changes = rows.changes
    mine = pc.and_(
        pc.equal(changes["table_name"], table.name),
        pc.is_in(changes["op"], value_set=_OPS.cast(changes["op"].type)),
    )
    chosen = changes.filter(mine)
    target = Target(table)
    in_conflict = conflicts(target, state, None)
    columns = plan(target, without(state, in_conflict))
    chosen, back = hold_back(target, in_conflict, chosen)
    with in_memory() as connection:
        events, refused = decode(connection, target, columns, chosen, state.dropped)
    unread = len(refused) + len(back)
    return events.filter(pc.greater(events["_sign"], 0)) if table.key else events, unread


def _nothing(table: Table, state: State) -> pa.Table:
    """The table without rows."""
    target = Target(table)
    columns = plan(target, without(state, conflicts(target, state, None)))
    with in_memory() as connection:
        events, _ = decode(connection, target, columns, ARROW.empty_table())
    return _once(table, [events])


def _once(table: Table, parts: list[pa.Table]) -> pa.Table:
    """The changes without copies, in the order that they came."""
    whole = pa.concat_tables(parts)
    names = ["_shard", "_position", "_op", "_sign", *table.key]
    numbered = whole.set_column(0, "_i", [np.arange(whole.num_rows)])
    first = numbered.group_by(names, use_threads=False).aggregate([("_i", "min")])["_i_min"]
    kept = numbered.take(first.sort())
    hidden = ["_i", "_same", "_zeros", *(["_sign"] if table.key else [])]
    return kept.drop_columns(hidden)
