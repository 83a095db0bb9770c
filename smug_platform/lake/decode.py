"""Decoding: the JSON of a batch of deltas to typed columns.

A batch is read by `usual` in one pass, if all of it is as it nearly always is. If not, it is read
here, by DuckDB: every value as text first and then as its column's type, so that what can't be read
is seen. Such a row goes to quarantine with its bytes. A column that the JSON has and the schema in
force has not is treated alike. Nothing becomes NULL without a word.
"""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.capture.position import Position
from smug_platform.duck import spread
from smug_platform.lake.columns import Column, identifier, quote
from smug_platform.lake.images import images
from smug_platform.lake.target import Target
from smug_platform.lake.usual import usual
from smug_platform.raw.quarantine import Refused

POSITION = (
    "((epoch::hugeint * 10000000000 + binlog_file) * 100000000000000 + binlog_offset)"
    " * 1000000000 + row_number"
)
_ENVELOPE = ["op", "shard", "epoch", "binlog_file", "binlog_offset", "row_number", "committed_at"]
_GIVEN = f"""
  select _i, op as _op, coalesce(op = 'u' and before = after, false) as _same,
         shard as _shard, {POSITION} as _position, committed_at::timestamp as _committed_at,
         before, after
  from deltas
"""
_CHECKED = f"""
with given as not materialized ({_GIVEN}),
parsed as not materialized (
  select * exclude (image, _keys), try(from_json({{image}}, {{shape}})) as _r,
         if(_keys = {{usual}}, null,
            list_filter(_keys, lambda k: not list_contains({{known}}, k)
                        and not ({{dropped}}))) as _unknown
  from (select *, try(json_keys(image)) as _keys from ({{images}}))
),
read as not materialized (
  select _i, _op, _sign, _same, _unknown, _r, _shard, _position, _committed_at, {{values}},
         {{zeros}} as _zeros
  from parsed
)
select * exclude (_unknown, _r), {{reason}} as _reason from read
"""
_OF_REFUSED = ["_i", "_shard", "_position", "_reason"]


def decode(
    connection: duckdb.DuckDBPyConnection,
    target: Target,
    columns: list[Column],
    deltas: pa.Table,
    dropped: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> tuple[pa.Table, list[Refused]]:
    """The events of the deltas, in their order, and those that could not be read.

    deltas: rows of `raw.deltas` of this table, none of them a schema change or a truncate.
    events: _i (arrival), _op, _sign, _same (before equals after), _shard, _position,
    _committed_at, the lake's columns, and _zeros, how many of their values are zero dates. For a
    table without a key, _sign is +1 for a row that comes and -1 for one that goes; an update is one
    of each. dropped: as the state has it.
    """
    events = usual(connection, target, columns, deltas)
    if events is not None:
        return events, []
    before, after = images(deltas["payload"])
    given = deltas.select(_ENVELOPE).append_column("_i", pa.array(np.arange(deltas.num_rows)))
    given = given.append_column("before", before).append_column("after", after)
    connection.register("deltas", spread(given))
    found = connection.sql(_CHECKED.format(**_parts(target, columns, dropped))).to_arrow_table()
    is_bad = pc.not_equal(found["_reason"], "")
    refused = _refused(target, found.filter(is_bad), deltas)
    events = found.drop_columns(["_reason"])
    if refused:  # with all images of the deltas
        bad = found.filter(is_bad)["_i"].combine_chunks()
        events = events.filter(pc.invert(pc.is_in(events["_i"], value_set=bad)))
    return events, refused


def _parts(
    target: Target, columns: list[Column], dropped: Mapping[str, Mapping[str, int]]
) -> dict[str, str]:
    """What the query that checks each value is made of."""
    wire = sorted({name for column in columns for name in column.wire})
    read = {column.spelling(name) for column in columns for name in column.wire}
    return {
        "image": _respelled(columns),
        "shape": quote(orjson.dumps(dict.fromkeys(sorted(read), "VARCHAR")).decode()),
        "usual": "[" + ", ".join(quote(c.name) for c in columns if not c.is_made) + "]",
        "known": "[" + ", ".join(map(quote, wire)) + "]",
        "dropped": _dropped(dropped),
        "images": _images(target),
        "values": ", ".join(
            f"{column.expression(column.text('_r'))} as {identifier(column.name)}"
            for column in columns
        ),
        "zeros": _zeros(columns),
        "reason": _reason(target, columns),
    }


def _zeros(columns: list[Column]) -> str:
    """The SQL expression of how many zero dates a row has."""
    is_zero = [c.type.flag.expression(c.text("_r")) for c in columns if c.type.none]
    return f"({' + '.join(f'({one})::smallint' for one in is_zero) or '0'})::smallint"


def _dropped(dropped: Mapping[str, Mapping[str, int]]) -> str:
    """The SQL condition that the column `k` was there when the row was written, and is no more."""
    found = [
        f"(k = {quote(name)} and _shard = {quote(shard)} and _position < {before})"
        for shard, names in dropped.items()
        for name, before in names.items()
    ]
    return " or ".join(found) or "false"


def _respelled(columns: list[Column]) -> str:
    """The SQL expression of the image in which names that differ in case alone are one."""
    image = "image"
    for column in columns:
        for old in column.wire:
            if (new := column.spelling(old)) != old:
                path = quote(f'$."{old}"')
                patch = f"json_object({quote(new)}, {image}->{path})"
                image = (
                    f"if(json_exists({image}, {path}), json_merge_patch({image}, {patch}), {image})"
                )
    return image


def _images(target: Target) -> str:
    """Which image of a row counts: for a table without a key, both images of an update."""
    rest = "* exclude (before, after)"
    if target.table.key:
        return f"select {rest}, 1 as _sign, if(_op = 'd', before, after) as image from given"
    return f"""select {rest}, -1 as _sign, before as image from given where _op in ('d', 'u')
        union all select {rest}, 1, after from given where _op in ('c', 'r', 'u')"""


def _reason(target: Target, columns: list[Column]) -> str:
    """The SQL expression of why a row can't be read; empty for one that can.

    The text is put together only for a row to which one of the conditions applies.
    """
    why = [
        (f"({c.text('_r')} <> {quote(c.type.none)} and {identifier(c.name)} is null)"
         if c.type.none else f"({c.text('_r')} is not null and {identifier(c.name)} is null)",
         quote(f"{c.name} is not of type {c.type.iceberg}"))
        for c in columns
    ]  # fmt: skip
    why += [
        (f"{identifier(name)} is null", quote(f"key column {name} is null"))
        for name in target.table.key
    ]
    unknown = "'not in the schema in force: ' || array_to_string(_unknown, ', ')"
    why += [
        ("_r is null", "'no row image'"),
        ("coalesce(len(_unknown) > 0, false)", unknown),
        ("_position is null", "'no source position'"),
    ]
    texts = ", ".join(f"if({condition}, {text}, null)" for condition, text in why)
    return f"if({' or '.join(condition for condition, _ in why)}, concat_ws('; ', {texts}), '')"


def _refused(target: Target, bad: pa.Table, deltas: pa.Table) -> list[Refused]:
    """One entry for quarantine a delta, with its payload."""
    first = {row["_i"]: row for row in reversed(bad.select(_OF_REFUSED).to_pylist())}
    payloads = deltas["payload"].take(pa.array(sorted(first), pa.int64())).to_pylist()
    return [
        Refused(
            stage="lake",
            table=target.table.name,
            shard=row["_shard"],
            place=_place(row["_position"]),
            reason=row["_reason"],
            payload=payload.encode(),
        )
        for (_, row), payload in zip(sorted(first.items()), payloads, strict=True)
    ]


def _place(position: Decimal | None) -> str:
    return str(Position.from_ordinal(int(position))) if position is not None else ""
