"""Applying a batch: decoded events against the rows that the lake holds.

What a schema change or a TRUNCATE does to rows that have no events of their own is turned into
events or carried rows here; which event wins is decided in `net`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.iceberg.files import FILE, ROW, LakeFiles
from smug_platform.lake import net
from smug_platform.lake.columns import Column, identifier, literal, plan, quote, row_id
from smug_platform.lake.gate import gate
from smug_platform.lake.index import Index
from smug_platform.lake.keys import content_groups
from smug_platform.lake.net import Counts
from smug_platform.lake.runs import Array
from smug_platform.lake.state import Fill, State
from smug_platform.lake.stored import in_pieces, stored_rows
from smug_platform.lake.target import ROW_ID, Target
from smug_platform.lake.types import duckdb_type


@dataclass(frozen=True)
class Step:
    """One step of a table: its plan, its state before and after, and when each floor rose.

    memory: bytes that it may take.
    """

    target: Target
    columns: list[Column]
    old: State
    new: State
    floor_times: Mapping[str, datetime]
    memory: int

    @property
    def raised(self) -> dict[str, int]:
        """The floors that this step raises, by shard."""
        floors = {s: p for s, p in self.new.floors.items() if p > self.old.floors.get(s, 0)}
        return {} if self.target.history else floors

    @property
    def concerns_stored(self) -> bool:
        """Whether it changes rows that have no events of their own, of a table with a key."""
        return bool(self.target.table.key and (self.raised or self.fills))

    @property
    def fills(self) -> tuple[Fill, ...]:
        """The fills that are new in this step."""
        return tuple(fill for fill in self.new.fills if fill not in self.old.fills)


def apply(
    connection: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    index: Index,
    step: Step,
    events: pa.Table,
) -> Iterator[tuple[pa.Table, Counts, State]]:
    """The rows to append, with FILE and ROW of the rows they replace; counts; the new state.

    events: as `decode` gives them. The table itself is read only where a schema change or a
    TRUNCATE concerns rows that have no events of their own: piece after piece where they are more
    than memory holds, for which there must be no events.
    """
    if not step.target.table.key:
        yield _apply_keyless(connection, files, index, step, events)
    elif step.concerns_stored:
        for stored in in_pieces(files, step.target, index, step.memory):
            yield *_decide(connection, files, step, events, stored), step.new
    else:
        yield *_apply_keyed(connection, files, index, step, events), step.new


def _apply_keyed(
    connection: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    index: Index,
    step: Step,
    events: pa.Table,
) -> tuple[pa.Table, Counts]:
    passed = gate(step.target, index, files, events, step.new.floors)
    rows, counts = passed.rows.select(_names(step)), passed.counts
    if passed.contested.num_rows:
        stored = files.rows_at(index.places(files, passed.entries))
        more, decided = _decide(connection, files, step, passed.contested, stored)
        rows, counts = pa.concat_tables([rows, more.cast(rows.schema)]), counts + decided
    return rows, counts


def _decide(
    connection: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    step: Step,
    events: pa.Table,
    stored: pa.Table,
) -> tuple[pa.Table, Counts]:
    """Decide these events against these rows, all that they and the floors may concern."""
    _begin(connection, step, events, stored)
    _sink(connection, files, step)
    key = ", ".join(identifier(name) for name in step.target.table.key)
    named = f"select * from stored semi join events using ({key})"
    connection.execute(f"create or replace temp table existing as {named}")
    global_key = step.target.table.key_scope == "global" and not step.target.history
    rows, counts = net.keyed(connection, step.target, global_key=global_key)
    return _carry(connection, files, step, rows), counts


def _apply_keyless(
    connection: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    index: Index,
    step: Step,
    events: pa.Table,
) -> tuple[pa.Table, Counts, State]:
    if step.raised or _columns_changed(step):
        stored = stored_rows(files, step.target)
    else:
        found = index.find(_contents(connection, step, events)).entries
        stored = files.rows_at(index.places(files, found))
    _begin(connection, step, events, stored)
    _hold(connection, files, step)
    connection.execute("create or replace temp view existing as select * from stored")
    marks = dict(step.new.watermarks)
    rows, counts = net.keyless(connection, step.columns, marks)
    return rows.select(_names(step)), counts, replace(step.new, watermarks=marks)


def _begin(
    connection: duckdb.DuckDBPyConnection, step: Step, events: pa.Table, stored: pa.Table
) -> None:
    connection.register("given", events)
    connection.execute("create or replace temp table events as select * from given")
    connection.register("stored", zoneless(stored))
    _floors(connection, step.new.floors)


def _contents(connection: duckdb.DuckDBPyConnection, step: Step, events: pa.Table) -> Array:
    """The groups of the index that events of a table without a key may concern."""
    connection.register("given", events)
    content = row_id(column.name for column in step.columns)
    found = connection.sql(f"select distinct _shard, {content} as content from given")
    table = found.to_arrow_table()
    return np.unique(content_groups(table["_shard"], table["content"]))


def _names(step: Step) -> list[str]:
    """The columns of the rows to append, with FILE and ROW."""
    return [*(column.name for column in step.columns), *step.target.meta, FILE, ROW]


def zoneless(table: pa.Table) -> pa.Table:
    """Instants as timestamps in UTC without a zone, which is how DuckDB computes with them."""
    fields = [
        field.with_type(pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _floors(connection: duckdb.DuckDBPyConnection, floors: Mapping[str, int]) -> None:
    connection.execute(f"create or replace temp table floors as {net.by_shard(floors, '_floor')}")


def _below(raised: Mapping[str, int]) -> str:
    """The SQL condition for rows that raised floors sink."""
    below = [f"(_shard = {quote(shard)} and _position < {p})" for shard, p in raised.items()]
    alive = "(not _is_deleted or _moved_to is not null)"
    return f"{alive} and ({' or '.join(below) or 'false'})"


def _fetch(connection: duckdb.DuckDBPyConnection, files: LakeFiles, condition: str) -> bool:
    """Make `held`: the whole rows of those stored rows for which the condition holds.

    Whether there are any; `held` is made only then.
    """
    places = connection.sql(f"select {FILE}, {ROW} from stored where {condition}").to_arrow_table()
    if places.num_rows:
        connection.register("held", zoneless(files.rows_at(places)))
    return bool(places.num_rows)


def _values(step: Step) -> str:
    """The columns of `held` under the plan's names and types."""
    return ", ".join(
        f"{identifier(c.name)}::{duckdb_type(c.type.iceberg)} as {identifier(c.name)}"
        for c in step.columns
    )


def _sink(connection: duckdb.DuckDBPyConnection, files: LakeFiles, step: Step) -> None:
    """Rows below a raised floor become deletes at the floor, each with a number of its own."""
    if not (step.raised and _fetch(connection, files, _below(step.raised))):
        return
    for shard, floor in step.raised.items():
        when = step.floor_times[shard].astimezone(UTC).replace(tzinfo=None)
        connection.execute(
            f"""insert into events by name
            select least((select min(_i) from events), 0) - row_number() over () as _i,
                   'd' as _op, 1 as _sign, false as _same, _shard,
                   {floor}::hugeint as _position, timestamp '{when}' as _committed_at,
                   {_values(step)}
            from held where _shard = {quote(shard)}"""
        )


def _hold(connection: duckdb.DuckDBPyConnection, files: LakeFiles, step: Step) -> None:
    """For a table without a key: rows below a raised floor go; and where the columns changed, all
    rows go under their old content hash and come again under the new one.
    """
    connection.execute("alter table events add column _held varchar")
    changed = _columns_changed(step)
    if not (step.raised or changed):
        return
    sunk = _below(step.raised)
    if not _fetch(connection, files, "not _is_deleted" if changed else sunk):
        return
    connection.execute(
        f"""insert into events by name
        select 0 as _i, 'held' as _op, -1 as _sign, false as _same,
               _shard, _position, _committed_at, {ROW_ID} as _held, {_values(step)} from held"""
    )
    connection.execute(
        f"""insert into events by name
        select 0 as _i, 'held' as _op, 1 as _sign, false as _same,
               _shard, _position, _committed_at, {ROW_ID} as _held,
               {_filled(step)} from held where not ({sunk})"""
    )


def _columns_changed(step: Step) -> bool:
    """Whether the content hash of rows that are there already is another one now."""
    before = {column.name for column in plan(step.target, step.old)} if step.old.schemas else set()
    return bool(step.fills) or before != {column.name for column in step.columns}


def _filled(step: Step) -> str:
    """The columns of `held`, with the new fills."""
    parts = []
    for column in step.columns:
        name, kind = identifier(column.name), duckdb_type(column.type.iceberg)
        value = f"{name}::{kind}"
        for fill in step.fills:
            if step.new.alias(fill.column) == column.name:
                when = f"_shard = {quote(fill.shard)} and _position < {fill.before}"
                value = (
                    f"case when {when} then cast({literal(fill.value)} as {kind}) else {value} end"
                )
        parts.append(f"{value} as {name}")
    return ", ".join(parts)


def _carry(
    connection: duckdb.DuckDBPyConnection, files: LakeFiles, step: Step, rows: pa.Table
) -> pa.Table:
    """The rows with their values: those of `_carried` rows and of new fills come from the files."""
    plain = rows.filter(pc.invert(rows["_carried"])).select(_names(step))
    plain = plain.sort_by([(name, "ascending") for name in step.target.identity])
    if not step.fills and plain.num_rows == rows.num_rows:
        return plain
    connection.register("rows", rows)
    condition = f"({FILE}, {ROW}) in (select ({FILE}, {ROW}) from rows where _carried)"
    filled = [f"_shard = {quote(fill.shard)} and _position < {fill.before}" for fill in step.fills]
    if filled:
        untouched = (
            f"({FILE}, {ROW}) not in"
            f" (select ({FILE}, {ROW}) from rows where not _carried and {FILE} is not null)"
        )
        condition += f" or (({' or '.join(filled)}) and {untouched})"
    if not _fetch(connection, files, condition):
        return plain
    names = ", ".join(identifier(column.name) for column in step.columns)
    meta = ", ".join(step.target.meta)
    order = ", ".join(identifier(name) for name in step.target.identity)
    return connection.sql(
        f"""
        select {names}, {meta}, {FILE}, {ROW} from rows where not _carried
        union all by name
        select h.* replace (coalesce(f.flag.deleted, h._is_deleted) as _is_deleted,
                            if(f.flag is null, h._moved_to, f.flag.moved_to) as _moved_to)
        from (select {_filled(step)}, {meta}, {FILE}, {ROW} from held) h
        left join (select {FILE}, {ROW}, {{deleted: _is_deleted, moved_to: _moved_to}} as flag
                   from rows where _carried) f
          on h.{FILE} = f.{FILE} and h.{ROW} = f.{ROW}
        order by {order}
        """
    ).to_arrow_table()
