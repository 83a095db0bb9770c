"""The SQL text of the loader into Redshift.

Pure builders, so that a test compares whole texts; nothing here talks to a database. The words are
those of the Redshift Database Developer Guide: MERGE takes a table as source and no alias of its
target, COPY of Parquet goes by position, a column is added by a statement of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smug_platform.lake.target import ROW_ID, Target
from smug_platform.warehouse.ddl import LOADS, SCHEMA, quoted, replica
from smug_platform.warehouse.redshift_types import KEY, Column

NET = "smug_net"
REJECTS = f"{SCHEMA}._rejects"
LOADED_AT = Column("_loaded_at", "TIMESTAMPTZ")
ORDER = Column("_order", "INTEGER")

CREATE = (
    f"create schema if not exists {SCHEMA}",
    f"""create table if not exists {LOADS} (
  table_name varchar(256) not null,
  snapshot_id bigint not null,
  rows bigint not null,
  loaded_at timestamptz not null,
  committed_at timestamptz,
  positions varchar(65535) not null,
  relief varchar(1024) not null,
  columns varchar(65535) not null
) diststyle all""",
    f"""create table if not exists {REJECTS} (
  table_name varchar(256) not null,
  snapshot_id bigint not null,
  row_key varchar(65535) not null,
  column_name varchar(256) not null,
  reason varchar(65535) not null,
  rejected_at timestamptz not null
) diststyle even""",
)

TEXT_LENGTHS = (
    "select column_name, character_maximum_length from information_schema.columns"
    f" where table_schema = '{SCHEMA}' and table_name = ?"
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A temporary table that files of one shape are copied into. columns: in the files' order."""

    name: str
    columns: tuple[Column, ...]

    def create(self, like: str) -> str:
        """The statement that makes it, rows lying as the replica's do. like: `layout` of that."""
        return _create_temp(self.name, [*self.columns, ORDER], like)

    def copy(self, manifest: str, role: str) -> str:
        """The statement that loads the files of a manifest. role: of IAM, or `default`."""
        names = ", ".join(quoted(column.name) for column in self.columns)
        signed = "default" if role == "default" else literal(role)
        return (
            f"copy {self.name} ({names}) from {literal(manifest)}"
            f" iam_role {signed} format as parquet manifest"
        )

    def number(self, order: int) -> str:
        """The statement that marks the rows that were copied last: later ones count."""
        return f"update {self.name} set {quoted(ORDER.name)} = {order} where _order is null"


def layout(target: Target, *, sorted_too: bool = True) -> str:
    """How a replica's rows lie: beside those with the same key, in the order of their loading.

    A merge and the joins by key so stay on one node; incremental models read the newest rows.

    >>> from smug_platform.tables.flickr import FLICKR
    >>> layout(Target(FLICKR.table("photos"))), layout(Target(FLICKR.table("licenses")))
    ('diststyle key distkey("id") sortkey("_loaded_at")', 'diststyle all sortkey("_loaded_at")')
    """
    key = target.table.key
    style = f"diststyle key distkey({quoted(key[0])})" if key else "diststyle even"
    if target.table.reference:
        style = "diststyle all"
    return f"{style} sortkey({quoted(LOADED_AT.name)})" if sorted_too else style


def create(name: str, columns: Sequence[Column], like: str) -> str:
    """The statement that makes an empty table of the warehouse's schema."""
    return f"create table {replica(name)} (\n{_body(columns)}\n) {like}"


def create_net(columns: Sequence[Column], like: str) -> str:
    """The statement that makes the table that `merge` and `all_of` read."""
    return _create_temp(NET, [*columns, LOADED_AT], like)


def add(name: str, column: Column) -> str:
    """The statement that adds a column."""
    return f"alter table {replica(name)} add column {quoted(column.name)} {column.type}"


def widen_text(name: str, column: Column) -> str:
    """The statement that makes a VARCHAR longer; it runs outside a transaction."""
    return f"alter table {replica(name)} alter column {quoted(column.name)} type {column.type}"


def drop(name: str, column: str) -> str:
    """The statement that drops a column."""
    return f"alter table {replica(name)} drop column {quoted(column)}"


def retyped(name: str, column: Column) -> tuple[str, ...]:
    """The statements that give a column its new type, rows and all, while others read."""
    table, old, new = replica(name), quoted(column.name), quoted(f"{column.name}__new")
    return (
        f"alter table {table} add column {new} {column.type}",
        f"update {table} set {new} = cast({old} as {column.type})",
        f"alter table {table} drop column {old}",
        f"alter table {table} rename column {new} to {old}",
    )


def rebuilt(name: str, columns: Sequence[Column], target: Target) -> tuple[str, ...]:
    """The statements that give a replica's columns their new types, rows and all."""
    names = ", ".join(quoted(column.name) for column in columns)
    cast = ", ".join(f"cast({quoted(c.name)} as {c.type})" for c in columns)
    new = f"{name}__new"
    return (
        f"drop table if exists {replica(new)}",
        create(new, columns, layout(target)),
        f"insert into {replica(new)} ({names}) select {cast} from {replica(name)}",
        *swapped(name),
    )


def swapped(name: str, *, held: bool = True) -> tuple[str, ...]:
    """The statements that put `<name>__new` in a replica's place: readers see one or the other.

    held: there is one to take the place of.
    """
    old = (f"drop table {replica(name)}",) if held else ()
    return (*old, f"alter table {replica(f'{name}__new')} rename to {quoted(name)}")


def net(
    into: str, target: Target, columns: Sequence[Column], stages: Sequence[Stage], at: datetime
) -> str:
    """The statement that puts the last staged row of each key into a table, as loaded at `at`."""
    names = [quoted(column.name) for column in columns]
    values = ", ".join(column.value(quoted(column.name)) for column in columns)
    identity = ", ".join(quoted(name) for name in target.identity)
    return (
        f"insert into {into} ({', '.join(names)}, {quoted(LOADED_AT.name)})\n"
        f"select {values}, timestamptz '{at}'\nfrom (\n"
        f"  select staged.*, row_number() over (partition by {identity}"
        f" order by {quoted(ORDER.name)} desc) as _rank\n"
        f"  from (\n{_staged(columns, stages)}\n  ) as staged\n) as ranked\nwhere _rank = 1"
    )


def merge(target: Target, columns: Sequence[Column]) -> str:
    """The statement that brings the net rows into the replica."""
    name = quoted(target.name)
    match = " and ".join(f"{name}.{quoted(n)} = {NET}.{quoted(n)}" for n in target.identity)
    all_of = [*columns, LOADED_AT]
    changed = ",\n  ".join(
        f"{quoted(c.name)} = {NET}.{quoted(c.name)}"
        for c in all_of
        if c.name not in target.identity
    )
    names = ", ".join(quoted(column.name) for column in all_of)
    values = ", ".join(f"{NET}.{quoted(column.name)}" for column in all_of)
    return (
        f"merge into {replica(target.name)} using {NET} on {match}\n"
        f"when matched then update set\n  {changed}\n"
        f"when not matched then insert ({names})\nvalues ({values})"
    )


def all_of(name: str, columns: Sequence[Column]) -> str:
    """The statement that puts the net rows into a replica that was emptied."""
    names = ", ".join(quoted(column.name) for column in [*columns, LOADED_AT])
    return f"insert into {replica(name)} ({names}) select {names} from {NET}"


def twice(target: Target, columns: Sequence[Column], stages: Sequence[Stage]) -> str:
    """The query for a row that one merge brought twice: at most one, its identity and how often."""
    identity = ", ".join(quoted(name) for name in target.identity)
    keyed = [column for column in columns if column.name in target.identity]
    return (
        f"select {identity}, count(*) from (\n{_staged(keyed, stages)}\n) as staged\n"
        f"group by {identity}, {quoted(ORDER.name)} having count(*) > 1 limit 1"
    )


def live_twice(target: Target, rows: str, *, full: bool) -> str | None:
    """The query for a key that would be live on two shards; None where that may be.

    rows: the table of the new ones. full: they are all.
    """
    if target.table.key_scope != "global" or target.history or ROW_ID in target.identity:
        return None
    key = [quoted(name) for name in target.table.key]
    names = ", ".join(key)
    live = f"select {names} from {rows} where not _is_deleted"
    if not full:
        held = ", ".join(f"held.{name}" for name in key)
        same = " and ".join(f"held.{name} = keys.{name}" for name in key)
        mine = f"{same.replace('keys.', 'news.')} and held._shard = news._shard"
        live += (
            f"\n  union all\n  select {held} from {replica(target.name)} as held\n"
            f"  join (select distinct {names} from {rows}) as keys on {same}\n"
            f"  left join {rows} as news on {mine}\n"
            "  where not held._is_deleted and news._shard is null"
        )
    return f"select {names}, count(*) from (\n  {live}\n) as live\ngroup by {names}\n\
having count(*) > 1 limit 1"


def taken_back(target: Target, columns: Sequence[Column], rows: str) -> str:
    """The statement that forgets the rejects whose rows have come well now. rows: those."""
    kinds = {column.name: column.type for column in columns}
    values = [
        f"to_hex({quoted(name)})"
        if kinds[name].startswith("VARBYTE")
        else f"cast({quoted(name)} as varchar)"
        for name in target.identity
    ]
    key = f" || '{KEY}' || ".join(values)
    return (
        f"delete from {REJECTS} where table_name = {literal(target.name)}"
        f" and row_key in (select {key} from {rows})"
    )


def not_twice(count: int) -> str:
    """The statement that forgets so many rejects of a table, by their keys."""
    keys = ", ".join("?" * count)
    return f"delete from {REJECTS} where table_name = ? and row_key in ({keys})"


def rejected(count: int) -> str:
    """The statement that notes so many rejects."""
    return f"insert into {REJECTS} values {', '.join(['(?, ?, ?, ?, ?, ?)'] * count)}"


def high_water(rows: str) -> str:
    """The query for what new rows reach: a row a shard, its last position as text, and its last
    commit.
    """
    return (
        "select _shard, cast(max(_position) as varchar), max(_committed_at)\n"
        f"from {rows} where _shard is not null group by _shard order by _shard"
    )


def literal(text: str) -> str:
    r"""A literal; a backslash escapes in Redshift's.

    >>> literal("it's a \\")
    "'it''s a \\\\'"
    """
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _create_temp(name: str, columns: Sequence[Column], like: str) -> str:
    return f"create temp table {name} (\n{_body(columns)}\n) {like}".rstrip()


def _body(columns: Sequence[Column]) -> str:
    return ",\n".join(f"  {quoted(column.name)} {column.type}" for column in columns)


def _staged(columns: Sequence[Column], stages: Sequence[Stage]) -> str:
    """All staged rows, under the columns that are wanted, with their order."""
    parts = []
    for stage in stages:
        held = {column.name: column.type for column in stage.columns}
        chosen = [
            quoted(c.name)
            if held.get(c.name) == c.staged
            else f"cast({quoted(c.name) if c.name in held else 'null'} as {c.staged})"
            f" as {quoted(c.name)}"
            for c in columns
        ]
        names = ", ".join([*chosen, quoted(ORDER.name)])
        parts.append(f"    select {names} from {stage.name}")
    return "\n    union all\n".join(parts)
