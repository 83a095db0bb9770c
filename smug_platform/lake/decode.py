"""Decoding: the JSON of a batch of deltas to typed columns, in one pass of DuckDB.

Every value is read as text first and then as its column's type, so that what can't be read is
seen: such a row goes to quarantine with its bytes. A column that the JSON has and the schema in
force has not is treated alike. Nothing becomes NULL without a word.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb
import orjson
import pyarrow as pa
from pyiceberg.types import IcebergType

from smug_platform.capture.position import Position
from smug_platform.lake.state import Fill, State
from smug_platform.lake.target import Target
from smug_platform.lake.types import LakeType, SourceColumn, common, duckdb_type
from smug_platform.raw.quarantine import Refused

POSITION = (
    "((epoch::hugeint * 10000000000 + binlog_file) * 100000000000000 + binlog_offset)"
    " * 1000000000 + row_number"
)


@dataclass(frozen=True)
class Column:
    """How one lake column is read: its type, its names on the wire, the fills that concern it."""

    name: str
    type: LakeType
    wire: tuple[str, ...]
    fills: tuple[Fill, ...] = ()

    def expression(self, row: str) -> str:
        """The SQL expression of the value in the struct of texts `row`."""
        value = self.type.expression(self.text(row))
        kind = duckdb_type(self.type.iceberg)
        for fill in self.fills:
            when = f"_shard = {quote(fill.shard)} and _position < {fill.before}"
            value = f"case when {when} then cast({quote(fill.value)} as {kind}) else {value} end"
        return value

    def text(self, row: str) -> str:
        """The SQL expression of the value's text."""
        names = dict.fromkeys(self.spelling(name) for name in self.wire)
        return f"coalesce({', '.join(f'{row}.{identifier(name)}' for name in names)}, null)"

    def spelling(self, name: str) -> str:
        """The first of its names on the wire that differs from this one in case alone, if at all.

        DuckDB tells no two of them apart.
        """
        return next(known for known in self.wire if known.lower() == name.lower())


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote(text: str) -> str:
    """A quoted SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def plan(target: Target, state: State) -> list[Column]:
    """The column plan: the union of the shards' schemas, old names included.

    Raises LakeError when two shards declare a column in ways that no type holds.
    """
    variants: dict[str, list[SourceColumn]] = {}
    for column in state.columns():
        variants.setdefault(column.name, []).append(column)
    return [
        Column(
            name=name,
            type=common(target.table.name, found),
            wire=(name, *(old for old in state.aliases if state.alias(old) == name)),
            fills=tuple(fill for fill in state.fills if state.alias(fill.column) == name),
        )
        for name, found in variants.items()
    ]


def decode(
    connection: duckdb.DuckDBPyConnection, target: Target, columns: list[Column], deltas: pa.Table
) -> list[Refused]:
    """Make the table `events` in the connection; what could not be read comes back.

    deltas: rows of `raw.deltas` of this table, none of them a schema change or a truncate.
    events: `i` (arrival), `op`, `same` (before equals after), the lake's columns and _shard,
    _position, _committed_at. For a table without a key also `sign`: +1 for a row that comes, -1
    for one that goes; an update is one of each.
    """
    connection.register("deltas", deltas)
    wire = sorted({name for column in columns for name in column.wire})
    read = {column.spelling(name) for column in columns for name in column.wire}
    struct = dict.fromkeys(sorted(read), "VARCHAR")
    shape = orjson.dumps({"before": struct, "after": struct}).decode()
    known = "[" + ", ".join(map(quote, wire)) + "]"
    connection.execute(
        f"""
        create or replace temp table parsed as
        select row_number() over () as i, op, payload, shard as _shard,
               {POSITION} as _position, committed_at::timestamp as _committed_at,
               from_json({_respelled(columns)}, {quote(shape)}) as v,
               list_filter(json_keys(payload, if(op = 'd', '$.before', '$.after')),
                           lambda k: not list_contains({known}, k)) as unknown
        from deltas
        """
    )
    images = _images(target)
    values = ", ".join(f"{c.expression('r')} as {identifier(c.name)}" for c in columns)
    connection.execute(
        f"""
        create or replace temp table read as
        select i, op, sign, same, payload, unknown, r, _shard, _position, _committed_at, {values}
        from ({images})
        """
    )
    refused = _refused(connection, target, columns)
    connection.execute(
        """create or replace temp table events as
        select * exclude (payload, unknown, r) from read where i not in (select i from refused)"""
    )
    return refused


def _respelled(columns: list[Column]) -> str:
    """The SQL expression of the payload in which names that differ in case alone are one."""
    payload = "payload"
    for column in columns:
        for old in column.wire:
            if (new := column.spelling(old)) != old:
                payload = _renamed(_renamed(payload, "before", old, new), "after", old, new)
    return payload


def _renamed(payload: str, image: str, old: str, new: str) -> str:
    path = quote(f'$.{image}."{old}"')
    patch = f"json_object({quote(image)}, json_object({quote(new)}, {payload}->{path}))"
    return f"if(json_exists({payload}, {path}), json_merge_patch({payload}, {patch}), {payload})"


def _images(target: Target) -> str:
    """Which image of a row counts: for a table without a key, both images of an update."""
    same = "op = 'u' and v.before is not distinct from v.after as same"
    if target.table.key:
        return f"select *, 1 as sign, if(op = 'd', v.before, v.after) as r, {same} from parsed"
    return f"""select *, -1 as sign, v.before as r, {same} from parsed where op in ('d', 'u')
        union all select *, 1, v.after, {same} from parsed where op in ('c', 'r', 'u')"""


def _refused(
    connection: duckdb.DuckDBPyConnection, target: Target, columns: list[Column]
) -> list[Refused]:
    """Make the table `refused`: the number of each unreadable delta, and why."""
    reasons = [
        f"if({c.text('r')} is not null and {identifier(c.name)} is null,"
        f" {quote(c.name + ' is not of type ' + str(c.type.iceberg))}, null)"
        for c in columns
    ]
    reasons += [
        f"if({identifier(name)} is null, {quote('key column ' + name + ' is null')}, null)"
        for name in target.table.key
    ]
    reasons += [
        "if(r is null, 'no row image', null)",
        "if(len(unknown) > 0, 'not in the schema in force: ' || array_to_string(unknown, ', '),"
        " null)",
        "if(_position is null, 'no source position', null)",
    ]
    connection.execute(
        f"""create or replace temp table refused as
        select i, reason, _shard, _position, payload
        from (select *, concat_ws('; ', {", ".join(reasons)}) as reason from read)
        where reason <> ''"""
    )
    found = connection.execute("select distinct on (i) * exclude (i) from refused").fetchall()
    return [
        Refused(
            stage="lake",
            table=target.table.name,
            shard=shard,
            place=str(Position.from_ordinal(int(position))) if position is not None else "",
            reason=reason,
            payload=payload.encode(),
        )
        for reason, shard, position, payload in found
    ]


def row_id(columns: Iterable[str]) -> str:
    """The SQL expression of a row's content hash: over its values that are not NULL.

    So a column that is added and NULL everywhere changes no hash.
    """
    parts = [
        f"{quote(name + '=')} || length({identifier(name)}::varchar) || ':'"
        f" || {identifier(name)}::varchar"
        for name in sorted(columns)
    ]
    return f"md5(concat_ws('|', {', '.join(parts)}))"


def types(columns: Iterable[Column]) -> Mapping[str, IcebergType]:
    """The Iceberg type of each column."""
    return {column.name: column.type.iceberg for column in columns}
