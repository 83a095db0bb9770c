"""Applying a batch: decoded events against the rows that the lake holds.

What a schema change or a TRUNCATE does to rows that have no events of their own is turned into
events or carried rows here; which event wins is decided in `net`. Tables without a key are in
`multiset`.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.iceberg.files import FILE, ROW, LakeFiles
from smug_platform.lake import multiset, net
from smug_platform.lake.columns import identifier, quote
from smug_platform.lake.gate import gate
from smug_platform.lake.index import Index
from smug_platform.lake.net import Counts
from smug_platform.lake.step import Step, begin, fetch
from smug_platform.lake.stored import in_pieces


def apply(
    connection: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    index: Index,
    step: Step,
    events: pa.Table,
) -> Iterator[tuple[pa.Table, Counts, Mapping[str, int]]]:
    """The rows to append, with FILE and ROW of the rows they replace; counts; the watermarks.

    events: as `decode` gives them. The table itself is read only where a schema change or a
    TRUNCATE concerns rows that have no events of their own: piece after piece where they are more
    than memory holds, for which there must be no events.
    """
    if not step.target.table.key:
        yield from multiset.apply(connection, files, index, step, events)
    elif step.concerns_stored:
        for stored in in_pieces(files, step.target, index, step.memory):
            yield *_decide(connection, files, step, events, stored), {}
    else:
        yield *_apply_keyed(connection, files, index, step, events), {}


def _apply_keyed(
    connection: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    index: Index,
    step: Step,
    events: pa.Table,
) -> tuple[pa.Table, Counts]:
    passed = gate(step.target, index, files, events, step.new.floors)
    rows, counts = passed.rows.select(step.names), passed.counts
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
    begin(connection, step, events, stored)
    _sink(connection, files, step)
    key = ", ".join(identifier(name) for name in step.target.table.key)
    named = f"select * from stored semi join events using ({key})"
    connection.execute(f"create or replace temp table existing as {named}")
    global_key = step.target.table.key_scope == "global" and not step.target.history
    rows, counts = net.keyed(connection, step.target, global_key=global_key)
    return _carry(connection, files, step, rows), counts


def _sink(connection: duckdb.DuckDBPyConnection, files: LakeFiles, step: Step) -> None:
    """Rows below a raised floor become deletes at the floor, each with a number of its own."""
    if not (step.raised and fetch(connection, files, step.sunk)):
        return
    for shard, floor in step.raised.items():
        when = step.floor_times[shard].astimezone(UTC).replace(tzinfo=None)
        connection.execute(
            f"""insert into events by name
            select least((select min(_i) from events), 0) - row_number() over () as _i,
                   'd' as _op, 1 as _sign, false as _same, _shard,
                   {floor}::hugeint as _position, timestamp '{when}' as _committed_at,
                   {step.values}
            from held where _shard = {quote(shard)}"""
        )


def _carry(
    connection: duckdb.DuckDBPyConnection, files: LakeFiles, step: Step, rows: pa.Table
) -> pa.Table:
    """The rows with their values: those of `_carried` rows and of new fills come from the files."""
    plain = rows.filter(pc.invert(rows["_carried"])).select(step.names)
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
    if not fetch(connection, files, condition):
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
        from (select {step.filled}, {meta}, {FILE}, {ROW} from held) h
        left join (select {FILE}, {ROW}, {{deleted: _is_deleted, moved_to: _moved_to}} as flag
                   from rows where _carried) f
          on h.{FILE} = f.{FILE} and h.{ROW} = f.{ROW}
        order by {order}
        """
    ).to_arrow_table()
