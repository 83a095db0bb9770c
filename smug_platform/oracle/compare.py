"""The rows of one table of one shard, compared on three sides by key and hash, in DuckDB.

Each side is a relation (k, h, late): the key's text, the row's hash, and, where the row changed
after the position at which the source is read, the ordinal of that change. Keys that changed since
on any side are left out; that the source has come so far is for the caller to ask (`beyond`).
Of a table without a key the hash is the key, and how often it stands there counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from pyiceberg.table import Table as Iceberg

from smug_platform.oracle.canonical import (
    Column,
    apart,
    quoted,
    replica_piece,
    replica_text,
    together,
)
from smug_platform.tables.table import Table

SIDES = ("source", "lake", "warehouse")
MAX_SHOWN = 20
# A copy that another shard's copy has taken the place of is still a row of its own shard.
_HELD = "(not _is_deleted or _moved_to is not null)"
_META = ("_shard", "_position", "_is_deleted", "_moved_to")

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Slice:
    """One table of one shard, and how it is compared.

    columns: the source's, without the excluded; limit: the ordinal of the position at which the
    source is read; aliases: the names that the lake gives to columns it has renamed.
    """

    table: Table
    shard: str
    columns: tuple[Column, ...]
    limit: int
    aliases: Mapping[str, str]

    def held_as(self, column: Column) -> str:
        """The column's name in the lake and in the warehouse."""
        return self.aliases.get(column.name, column.name)


def load_source(connection: Connection, parts: Iterable[pa.Table], columns: int) -> None:
    """Make the relation of the source from the parts that its view gives. columns: of floats."""
    floats = "".join(
        f" || '|' || coalesce((f{n}::double + 0.0)::varchar, '~')" for n in range(columns)
    )
    hashed = f"md5(h{floats})" if columns else "h"
    connection.execute("create or replace temp table source (k varchar, h varchar, late hugeint)")
    for part in parts:
        connection.register("part", part)
        connection.execute(f"insert into source select k, {hashed}, null from part")
        connection.unregister("part")


def load_lake(connection: Connection, lake: Iceberg | None, cut: Slice) -> None:
    """Make the relation of the lake, by pyiceberg's own reader, in batches."""
    names = {field.name for field in lake.schema().fields} if lake else set()
    if lake is None or missing(cut, names):
        _make(connection, "lake", None)
        return
    wanted = dict.fromkeys((*_META, *(cut.held_as(column) for column in cut.columns)))
    connection.register("part", lake.scan(selected_fields=tuple(wanted)).to_arrow_batch_reader())
    _make(connection, "lake", replica_query(cut, "part", types_of(connection, "part")))
    connection.unregister("part")


def load_warehouse(connection: Connection, warehouse: Connection | None, cut: Slice) -> None:
    """Make the relation of the warehouse, from its own open connection."""
    replica = f"warehouse.{quoted(cut.table.name)}"
    types = types_of(warehouse, replica) if warehouse else {}
    if warehouse is None or missing(cut, types):
        _make(connection, "warehouse", None)
        return
    connection.register("part", warehouse.sql(replica_query(cut, replica, types)).to_arrow_table())
    _make(connection, "warehouse", "select * from part")
    connection.unregister("part")


def missing(cut: Slice, names: Iterable[str]) -> list[str]:
    """The columns that a replica with those names lacks.

    >>> from smug_platform.tables.flickr import FLICKR
    >>> columns = (Column("id", "bigint"), Column("title", "text"))
    >>> missing(Slice(FLICKR.table("photos"), "shard_0", columns, 0, {}), ["id"])
    ['title']
    """
    present = set(names)
    return [column.name for column in cut.columns if cut.held_as(column) not in present]


def types_of(connection: Connection, relation: str) -> dict[str, str]:
    """The columns of a relation and their DuckDB types; empty when there is no such table."""
    try:
        found = connection.execute(f"describe select * from {relation}").fetchall()
    except duckdb.CatalogException:
        return {}
    return {str(row[0]): str(row[1]) for row in found}


def replica_query(cut: Slice, relation: str, types: Mapping[str, str]) -> str:
    """The query that gives a replica's rows as (k, h, late), deleted ones with k only if late."""
    texts = replica_texts(cut, types)
    joined = " || ".join(replica_piece(texts[c.name]) for c in together(cut.columns)) or "''"
    floats = "".join(
        f" || '|' || coalesce(({texts[c.name]}::double + 0.0)::varchar, '~')"
        for c in apart(cut.columns)
    )
    whole = f"md5({joined})"
    hashed = f"md5({whole}{floats})" if floats else whole
    key = " || ".join(replica_piece(texts[name]) for name in cut.table.key) or whole
    return (
        f"select {key} as k, if({_HELD}, {hashed}, null) as h,"
        f" if(_position > {cut.limit}::hugeint, _position::hugeint, null) as late from {relation}"
        f" where _shard = {_literal(cut.shard)} and ({_HELD} or late is not null)"
    )


def replica_texts(cut: Slice, types: Mapping[str, str]) -> dict[str, str]:
    """The text of each of the slice's columns in a replica with those types, by column name."""
    return {
        column.name: replica_text(Column(held, column.type), types[held])
        for column, held in ((column, cut.held_as(column)) for column in cut.columns)
    }


@dataclass(frozen=True)
class Counted:
    """What a comparison counted. rows: of the source; late: keys left out since they changed
    after the position; different: the keys that differ, all of them.
    """

    rows: int
    late: int
    different: frozenset[str]


def compare(connection: Connection) -> Counted:
    """Compare the three relations that were made before."""
    connection.execute(
        """create or replace temp table late_keys as
        select distinct k from (from lake union all from warehouse) where late is not null"""
    )
    for side in SIDES:
        # A key that stands twice shows in n; s tells the floats of equal keys apart.
        connection.execute(
            f"""create or replace temp table {side}_rows as
            select k, count(*) as n, min(h) as h, sum(hash(h)::hugeint) as s
            from {side} anti join late_keys using (k) where h is not null group by k"""
        )
    same = " and ".join(
        f"{side}_rows.{name} is not distinct from source_rows.{name}"
        for side in ("lake", "warehouse")
        for name in ("n", "h", "s")
    )
    different = connection.execute(
        f"""select k from source_rows full join lake_rows using (k)
            full join warehouse_rows using (k) where not ({same})"""
    ).fetchall()
    ((rows, late),) = connection.execute(
        "select (select count(*) from source), (select count(*) from late_keys)"
    ).fetchall()
    return Counted(rows, late, frozenset(str(key) for (key,) in different))


def beyond(connection: Connection, limit: int) -> tuple[int, int | None, int | None]:
    """How many keys were left out for a change after the ordinal `limit`, and the highest such
    change of the lake and of the warehouse.
    """
    ((keys, lake, warehouse),) = connection.execute(
        """select count(distinct k), max(late) filter (side = 1), max(late) filter (side = 2)
           from (select k, late, 1 as side from lake union all select k, late, 2 from warehouse)
           where late > ?::hugeint""",
        [limit],
    ).fetchall()
    return keys, lake, warehouse


def counts(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """How many rows the source, the lake and the warehouse hold of each key."""
    found = connection.execute(
        """select k, coalesce(source_rows.n, 0), coalesce(lake_rows.n, 0),
                  coalesce(warehouse_rows.n, 0)
           from source_rows full join lake_rows using (k) full join warehouse_rows using (k)
           where list_contains(?, k)""",
        [list(keys)],
    ).fetchall()
    return {str(key): (source, lake, warehouse) for key, source, lake, warehouse in found}


def replica_rows(
    connection: Connection, relation: str, cut: Slice, keys: Sequence[str]
) -> dict[str, list[str | None]]:
    """The texts of a replica's live rows with those keys, in the order of the slice's columns."""
    types = types_of(connection, relation)
    if missing(cut, types) or not types:
        return {}
    texts = replica_texts(cut, types)
    joined = " || ".join(replica_piece(texts[c.name]) for c in together(cut.columns)) or "''"
    key = " || ".join(replica_piece(texts[name]) for name in cut.table.key) or f"md5({joined})"
    values = ", ".join(
        f"({texts[column.name]}::double)::varchar" if column.kind == "float" else texts[column.name]
        for column in cut.columns
    )
    found = connection.execute(
        f"select {key} as k, {values} from {relation}"
        f" where _shard = {_literal(cut.shard)} and {_HELD} and list_contains(?, k)",
        [list(keys)],
    ).fetchall()
    return {str(row[0]): list(row[1:]) for row in found}


def _make(connection: Connection, name: str, query: str | None) -> None:
    empty = "select null::varchar as k, null::varchar as h, null::hugeint as late limit 0"
    connection.execute(f"create or replace temp table {name} as {query or empty}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
