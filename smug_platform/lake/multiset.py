"""Applying a batch to a table without a key: rows that are equal to the last byte are counted.

Rows are told apart by the hash of their contents. Where a schema change or a TRUNCATE concerns all
rows of the table, and they are more than memory holds, they come in parts by that hash.
"""

from collections.abc import Callable, Iterator, Mapping

import duckdb
import numpy as np
import pyarrow as pa

from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake import net
from smug_platform.lake.index import Index
from smug_platform.lake.keys import content_groups
from smug_platform.lake.net import Counts
from smug_platform.lake.runs import Array
from smug_platform.lake.step import Step, begin, fetch, zoneless
from smug_platform.lake.stored import deciding, pieces_of, slices
from smug_platform.lake.target import ROW_ID

_OLD = f"split_part({ROW_ID}, '-', 1)"
Applied = tuple[pa.Table, Counts, Mapping[str, int]]


def apply(
    connection: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    index: Index,
    step: Step,
    events: pa.Table,
) -> Iterator[Applied]:
    """As `lake.apply` has it. Where all rows of the table are concerned, and are more than memory
    holds, they come in parts; there must be no events then.
    """
    if not step.concerns_stored:
        found = index.find(_contents(connection, step, events)).entries
        _begin(connection, step, events, files.rows_at(index.places(files, found)))
        connection.execute("create or replace temp view existing as select * from stored")
        yield _decided(connection, step)
        return
    parts = pieces_of(files, step.memory)
    assert parts == 1 or not events.num_rows
    for part in range(parts):
        _hold(connection, files, step, events, _falls_to(part, parts))
        yield _decided(connection, step)


def _begin(
    connection: duckdb.DuckDBPyConnection, step: Step, events: pa.Table, stored: pa.Table
) -> None:
    begin(connection, step, events, stored)
    connection.execute("alter table events add column _held varchar")


def _decided(connection: duckdb.DuckDBPyConnection, step: Step) -> Applied:
    marks = dict(step.new.watermarks)
    rows, counts = net.keyless(connection, step.columns, marks)
    return rows.select(step.names), counts, marks


def _contents(connection: duckdb.DuckDBPyConnection, step: Step, events: pa.Table) -> Array:
    """The groups of the index that the events may concern."""
    connection.register("given", events)
    found = connection.sql(f"select distinct _shard, {step.content} as content from given")
    table = found.to_arrow_table()
    return np.unique(content_groups(table["_shard"], table["content"]))


def _hold(
    connection: duckdb.DuckDBPyConnection,
    files: LakeFiles,
    step: Step,
    events: pa.Table,
    falls_to_part: Callable[[str], str],
) -> None:
    """Make `events` and `existing` where all rows of the table are concerned: rows below a raised
    floor go; and where the columns changed, all rows go under their old content hash and come
    again under the new one. falls_to_part: of a content hash.
    """
    new, old = falls_to_part(step.content), falls_to_part(_OLD)
    concerned = "not _is_deleted" if step.is_content_changed else f"{step.sunk} and {old}"
    _begin(connection, step, events, files.read(deciding(step.target), []))
    connection.execute("create or replace temp table existing as select * from stored")
    held = f"""select 0 as _i, 'held' as _op, false as _same, _shard, _position, _committed_at,
                      {ROW_ID} as _held"""
    for rows in slices(files, step.target, step.memory):
        connection.register("stored", zoneless(rows))
        connection.execute(f"insert into existing by name select * from stored where {old}")
        if fetch(connection, files, concerned):
            connection.execute(
                f"""insert into events by name
                {held}, -1 as _sign, {step.values} from held where {old}
                union all by name
                select * from ({held}, 1 as _sign, {step.filled} from held where not ({step.sunk}))
                where {new}"""
            )


def _falls_to(part: int, parts: int) -> Callable[[str], str]:
    """The SQL condition that a content hash falls to a part."""
    return lambda content: f"(hash({content}) % {parts} = {part})" if parts > 1 else "true"
