"""One step of a table: what it changes of the rows that are there, and that in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import pyarrow as pa

from smug_platform.iceberg.files import FILE, ROW, LakeFiles
from smug_platform.lake import net
from smug_platform.lake.columns import Column, identifier, literal, plan, quote, row_id
from smug_platform.lake.conflicts import Conflict
from smug_platform.lake.state import Fill, State
from smug_platform.lake.target import Target
from smug_platform.lake.types import duckdb_type


@dataclass(frozen=True)
class Step:
    """One step of a table: its plan, its state before and after, and when each floor rose.

    memory: bytes that it may take. in_conflict: shards whose rows are refused.
    """

    target: Target
    columns: list[Column]
    old: State
    new: State
    floor_times: Mapping[str, datetime]
    memory: int
    in_conflict: Mapping[str, Conflict] = field(default_factory=dict)

    @property
    def raised(self) -> dict[str, int]:
        """The floors that this step raises, by shard."""
        floors = {s: p for s, p in self.new.floors.items() if p > self.old.floors.get(s, 0)}
        return {} if self.target.history else floors

    @property
    def fills(self) -> tuple[Fill, ...]:
        """The fills that are new in this step."""
        return tuple(fill for fill in self.new.fills if fill not in self.old.fills)

    @property
    def is_content_changed(self) -> bool:
        """Whether the content hash of rows that are there already is another one now."""
        before = plan(self.target, self.old) if self.old.schemas else []
        names = {column.name for column in before}
        return bool(self.fills) or names != {column.name for column in self.columns}

    @property
    def concerns_stored(self) -> bool:
        """Whether it changes rows that have no events of their own."""
        by_columns = self.fills if self.target.table.key else self.is_content_changed
        return bool(self.raised or by_columns)

    @property
    def content(self) -> str:
        """In SQL: the content hash of a row."""
        return row_id(column.name for column in self.columns)

    @property
    def names(self) -> list[str]:
        """The columns of the rows to append, with FILE and ROW."""
        return [*(column.name for column in self.columns), *self.target.meta, FILE, ROW]

    @property
    def values(self) -> str:
        """In SQL: the columns of `held` under the plan's names and types."""
        return ", ".join(
            f"{identifier(c.name)}::{duckdb_type(c.type.iceberg)} as {identifier(c.name)}"
            for c in self.columns
        )

    @property
    def filled(self) -> str:
        """In SQL: the same with the new fills."""
        parts = []
        for column in self.columns:
            name, kind = identifier(column.name), duckdb_type(column.type.iceberg)
            value = f"{name}::{kind}"
            for fill in self.fills:
                if self.new.alias(fill.column) == column.name:
                    when = f"_shard = {quote(fill.shard)} and _position < {fill.before}"
                    to = f"cast({literal(fill.value)} as {kind})"
                    value = f"case when {when} then {to} else {value} end"
            parts.append(f"{value} as {name}")
        return ", ".join(parts)

    @property
    def sunk(self) -> str:
        """The SQL condition for rows that the raised floors sink."""
        below = [
            f"(_shard = {quote(shard)} and _position < {p})" for shard, p in self.raised.items()
        ]
        alive = "(not _is_deleted or _moved_to is not null)"
        return f"{alive} and ({' or '.join(below) or 'false'})"


def begin(
    connection: duckdb.DuckDBPyConnection, step: Step, events: pa.Table, stored: pa.Table
) -> None:
    """Make `events`, `stored` and `floors`."""
    connection.register("given", events)
    connection.execute("create or replace temp table events as select * from given")
    connection.register("stored", zoneless(stored))
    floors = net.by_shard(step.new.floors, "_floor")
    connection.execute(f"create or replace temp table floors as {floors}")


def fetch(connection: duckdb.DuckDBPyConnection, files: LakeFiles, condition: str) -> bool:
    """Make `held`: the whole rows of those stored rows for which the condition holds.

    Whether there are any; `held` is made only then.
    """
    places = connection.sql(f"select {FILE}, {ROW} from stored where {condition}").to_arrow_table()
    if places.num_rows:
        connection.register("held", zoneless(files.rows_at(places)))
    return bool(places.num_rows)


def zoneless(table: pa.Table) -> pa.Table:
    """Instants as timestamps in UTC without a zone, which is how DuckDB computes with them."""
    fields = [
        field.with_type(pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
