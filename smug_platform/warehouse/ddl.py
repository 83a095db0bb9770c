"""The SQL text of the loader: how a replica table is made, evolved and brought up to date.

Pure builders from an Arrow schema to statements, so that a test compares whole texts. Which Arrow
type becomes which column type, and which column type may widen into which, are tables of data.
Nothing here talks to a database.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from smug_platform.errors import WarehouseError

SCHEMA = "warehouse"
LOADS = f"{SCHEMA}._loads"

CREATE_LOADS = f"""create table if not exists {LOADS} (
  table_name varchar,
  snapshot_id bigint,
  rows bigint,
  loaded_at timestamp with time zone,
  committed_at timestamp with time zone,
  positions varchar,
  relief varchar
)"""

_TYPES: dict[str, str] = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "string_view": "VARCHAR",
    "binary": "BLOB",
    "large_binary": "BLOB",
    "binary_view": "BLOB",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
}

# A value of the left type keeps every digit in each type on the right. Decimals are compared by
# their digits.
_WIDENS: dict[str, frozenset[str]] = {
    "INTEGER": frozenset({"BIGINT", "DOUBLE", "VARCHAR"}),
    "BIGINT": frozenset({"VARCHAR"}),
    "FLOAT": frozenset({"DOUBLE"}),
    "DATE": frozenset({"TIMESTAMP", "VARCHAR"}),
    "TIMESTAMP": frozenset({"VARCHAR"}),
    "BOOLEAN": frozenset({"INTEGER", "BIGINT"}),
}
_DIGITS = {"INTEGER": 10, "BIGINT": 19}


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its type, spelled as DuckDB's catalog spells it."""

    name: str
    type: str


LOADED_AT = Column("_loaded_at", "TIMESTAMP WITH TIME ZONE")
"""When a row was loaded: one time a load, later with each load of a table whatever the clock does.
Incremental models find by it what they have not seen, however late it was committed or arrived."""


def columns(schema: pa.Schema) -> tuple[Column, ...]:
    """The columns of the replica of such rows; raises WarehouseError for a type without one.

    >>> columns(pa.schema([("id", pa.decimal128(20, 0)), ("at", pa.timestamp("us", "UTC"))]))
    (Column(name='id', type='DECIMAL(20,0)'), Column(name='at', type='TIMESTAMP WITH TIME ZONE'))
    """
    return tuple(Column(field.name, _column_type(field.name, field.type)) for field in schema)


def create_table(table: str, wanted: Sequence[Column]) -> str:
    """The statement that makes, or makes anew, an empty replica.

    >>> print(create_table("favorites", [Column("account_id", "DECIMAL(20,0)")]))
    create or replace table warehouse."favorites" (
      "account_id" DECIMAL(20,0)
    )
    """
    body = ",\n".join(f"  {quoted(column.name)} {column.type}" for column in wanted)
    return f"create or replace table {replica(table)} (\n{body}\n)"


def evolve(table: str, current: Iterable[Column], wanted: Iterable[Column]) -> tuple[str, ...]:
    """The statements that let a replica hold rows with the wanted columns.

    A new column is added, a type that got wider is altered. A column that the rows lack stays and
    reads null in them; a narrower type keeps the column as it is. Raises WarehouseError when a
    column can hold neither type.

    >>> evolve("photos", [Column("bytes", "INTEGER")], [Column("bytes", "BIGINT")])
    ('alter table warehouse."photos" alter column "bytes" type BIGINT',)
    """
    held = {column.name: column.type for column in current}
    statements = []
    for column in wanted:
        if column.name not in held:
            change = f"add column {quoted(column.name)} {column.type}"
        elif widens(held[column.name], column.type):
            change = f"alter column {quoted(column.name)} type {column.type}"
        elif column.type == held[column.name] or widens(column.type, held[column.name]):
            continue
        else:
            raise WarehouseError(
                f"{table}.{column.name} is {held[column.name]} in the warehouse "
                f"and {column.type} in the lake",
                remedy="load the table in full",
            )
        statements.append(f"alter table {replica(table)} {change}")
    return tuple(statements)


def widens(narrow: str, wide: str) -> bool:
    """True when each value of the first column type is kept exactly by the other, wider one.

    >>> widens("DECIMAL(10,2)", "DECIMAL(14,4)"), widens("DECIMAL(10,2)", "DECIMAL(10,4)")
    (True, False)
    >>> widens("BIGINT", "DECIMAL(20,0)"), widens("BIGINT", "INTEGER")
    (True, False)
    """
    if narrow == wide:
        return False
    if wide in _WIDENS.get(narrow, frozenset()):
        return True
    left, right = digits(narrow), digits(wide)
    if left is None:
        return False
    if right is None:
        return wide == "VARCHAR"
    if not wide.startswith("DECIMAL"):
        return False
    return left[0] <= right[0] and left[1] <= right[1]


def delete_changed(table: str, key: Sequence[str], feed: str) -> str:
    """The statement that removes the rows which the feed brings anew.

    >>> print(delete_changed("photos", ("_shard", "id"), "feed"))
    delete from warehouse."photos" as t using feed as f
    where t."_shard" = f."_shard" and t."id" = f."id"
    """
    match = " and ".join(f"t.{quoted(name)} = f.{quoted(name)}" for name in key)
    return f"delete from {replica(table)} as t using {feed} as f\nwhere {match}"


def insert(table: str, wanted: Sequence[Column], feed: str, loaded_at: datetime) -> str:
    """The statement that appends the feed's rows, by name, as loaded at that time.

    >>> from datetime import UTC
    >>> print(insert("tags", [Column("id", "BIGINT")], "feed", datetime(2026, 1, 1, tzinfo=UTC)))
    insert into warehouse."tags" ("id", "_loaded_at")
    select "id", timestamptz '2026-01-01 00:00:00+00:00' from feed
    """
    names = ", ".join(quoted(column.name) for column in wanted)
    return (
        f"insert into {replica(table)} ({names}, {quoted(LOADED_AT.name)})\n"
        f"select {names}, timestamptz '{loaded_at}' from {feed}"
    )


def high_water(feed: str) -> str:
    """The query for what the feed reaches: a row a shard, its last position and its last commit in
    microseconds since 1970.
    """
    return (
        "select _shard, cast(max(_position) as varchar), epoch_us(max(_committed_at))\n"
        f"from {feed} where _shard is not null group by _shard order by _shard"
    )


def replica(table: str) -> str:
    """The qualified name of the replica of a lake table."""
    return f"{SCHEMA}.{quoted(table)}"


def quoted(name: str) -> str:
    """An identifier that is read as it stands.

    >>> quoted('a"b')
    '"a""b"'
    """
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _column_type(name: str, arrow: pa.DataType) -> str:
    if pa.types.is_decimal(arrow) and arrow.precision <= 38:
        return f"DECIMAL({arrow.precision},{arrow.scale})"
    if pa.types.is_timestamp(arrow) and arrow.unit == "us" and arrow.tz:
        return "TIMESTAMP WITH TIME ZONE"
    if pa.types.is_fixed_size_binary(arrow):
        return "BLOB"
    known = _TYPES.get(str(arrow))
    if known is None:
        raise WarehouseError(
            f"column {name!r} has the type {arrow}, which has no place in the warehouse",
            remedy="declare the column as excluded, or give the type a column type in ddl.py",
        )
    return known


def digits(column_type: str) -> tuple[int, int] | None:
    """Digits before and after the point of an exact number's type; None for the others.

    >>> digits("DECIMAL(20,2)"), digits("BIGINT"), digits("DOUBLE")
    ((18, 2), (19, 0), None)
    """
    if column_type in _DIGITS:
        return _DIGITS[column_type], 0
    if not column_type.startswith("DECIMAL("):
        return None
    precision, scale = column_type.removeprefix("DECIMAL(").rstrip(")").split(",")
    return int(precision) - int(scale), int(scale)
