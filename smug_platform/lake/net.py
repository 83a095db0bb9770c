"""The net change of a batch: which rows of the lake become what, decided by position alone.

Pure SQL over three relations in a DuckDB connection, all made by the caller:
  events    decoded changes (see decode), and what a floor or a fill brings about: deletes of
            existing rows; for a table without a key, existing rows that go and come again,
            with their row id in `_held`
  existing  the lake's rows of the keys that events name: identity, meta columns, file and row
  floors    (_of_shard, _floor): a row of the shard before it is gone
The rules: an event counts if its position is not before its shard's floor; of the events of one
row the last one counts; and it is applied only if its position is after the position the row
holds. So replay, redelivery and reordering change nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from smug_platform.iceberg.files import FILE, ROW
from smug_platform.lake.columns import Column, identifier, quote, row_id
from smug_platform.lake.target import ROW_ID, Target


@dataclass(frozen=True)
class Counts:
    """What became of a batch's events."""

    duplicates: int = 0
    identical: int = 0
    merged_away: int = 0
    stale: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.duplicates + other.duplicates,
            self.identical + other.identical,
            self.merged_away + other.merged_away,
            self.stale + other.stale,
        )


def keyed(
    connection: duckdb.DuckDBPyConnection, target: Target, *, global_key: bool
) -> tuple[pa.Table, Counts]:
    """The rows to change of a table with a key, and the counts.

    The table: the lake's columns, `_carried` (true: the values are those of the existing row at
    FILE and ROW, only the flags are new) and FILE, ROW of the row replaced (NULL for a new one).
    """
    identity = [identifier(name) for name in target.identity]
    using = ", ".join(identity)
    floor = "" if target.history else "where _position >= coalesce(_floor, 0)"
    connection.execute(
        f"""create or replace temp table counted as
        select * from events left join floors on _shard = _of_shard {floor}"""
    )
    (net,) = _one(
        connection,
        f"""create or replace temp table net as
        select * from counted semi join
        (select max({{p: _position, i: _i}}).i as _i from counted where not _same group by {using})
        using (_i)""",
    )
    (passed,) = _one(
        connection,
        f"""create or replace temp table passed as
        select n.*, e.{FILE}, e.{ROW} from net n left join existing e using ({using})
        where e._position is null or n._position > e._position""",
    )
    rows = _resolved(connection, target, global_key=global_key)
    return rows, _counts(connection, using, net, passed)


def _counts(connection: duckdb.DuckDBPyConnection, using: str, net: int, passed: int) -> Counts:
    events, counted, distinct, identical = _one(
        connection,
        f"""select (select count(*) from events), count(*),
            count(distinct ({using}, _position, _op)), count(*) filter (_same) from counted""",
    )
    (again,) = _one(
        connection,
        f"""select count(*) from net n join existing e using ({using})
            where n._position = e._position""",
    )
    return Counts(
        duplicates=counted - distinct + again,
        identical=identical,
        merged_away=max(distinct - identical - net, 0),
        stale=events - counted + net - passed - again,
    )


def _resolved(
    connection: duckdb.DuckDBPyConnection, target: Target, *, global_key: bool
) -> pa.Table:
    """The passed events as rows; for a global key also the shard that holds the live copy.

    A key may for moments be live on two shards, while a row is moved between them. The copy that
    was written last is the live one then; the other is kept, marked with where it moved to, and is
    live again should the winner be deleted.
    """
    if not global_key:
        return connection.sql(
            "select *, _op = 'd' as _is_deleted, null::varchar as _moved_to, false as _carried"
            " from passed"
        ).to_arrow_table()
    key = ", ".join(identifier(name) for name in target.table.key)
    identity = ", ".join(identifier(name) for name in target.identity)
    return connection.sql(
        f"""
        with others as (
          select * from existing semi join passed using ({key}) anti join passed using ({identity})
          where not _is_deleted or _moved_to is not null
        ),
        winners as (
          select {key}, max({{t: _committed_at, s: _shard}}).s as _winner
          from (select {identity}, _committed_at from passed where _op <> 'd'
                union all select {identity}, _committed_at from others)
          group by {key}
        ),
        flagged as (
          select o.*, o._shard <> w._winner as _lost, w._winner
          from others o join winners w using ({key})
        )
        select * exclude (_winner), _op = 'd' or _winner <> _shard as _is_deleted,
               if(_op <> 'd' and _winner <> _shard, _winner, null) as _moved_to, false as _carried
        from passed left join winners using ({key})
        union all by name
        select {identity}, {FILE}, {ROW}, _lost as _is_deleted,
               if(_lost, _winner, null) as _moved_to, true as _carried
        from flagged
        where _is_deleted is distinct from _lost
          or _moved_to is distinct from if(_lost, _winner, null)
        """
    ).to_arrow_table()


def keyless(
    connection: duckdb.DuckDBPyConnection, columns: list[Column], watermarks: dict[str, int]
) -> tuple[pa.Table, Counts]:
    """The rows to change of a table without a key, which is a multiset for each shard.

    Rows are counted by content: n equal rows have the ids <hash>-1 to <hash>-n, and each tells the
    position of a change that brought one of them, which depends on the batches. Such a table
    travels through one lane of the stream, in order, so an event counts if it is after the shard's
    watermark. `watermarks` moves on.
    """
    content = row_id(column.name for column in columns)
    names = ", ".join(identifier(column.name) for column in columns)
    connection.execute(
        f"""create or replace temp table counted as
        select e.*,
               if(_held is not null and _sign < 0, split_part(_held, '-', 1), {content}) as _hash
        from events e left join floors f on _shard = f._of_shard
        left join ({by_shard(watermarks, "_mark")}) m on _shard = m._of_shard
        where _held is not null or (_position >= coalesce(_floor, 0)
              and _position > coalesce(_mark, 0))
        qualify row_number() over
          (partition by _shard, _position, _sign, _held order by _i) = 1"""
    )
    rows = connection.sql(
        f"""
        with held as (
          select _shard, split_part({ROW_ID}, '-', 1) as _hash, count(*) as had
          from existing where not _is_deleted group by all
        ),
        net as (
          select _shard, _hash, sum(_sign)::bigint as net, max(_position) as _position,
                 max(_committed_at) as _committed_at, arg_max(struct_pack({names}), _i) as v
          from counted where not _same group by all having sum(_sign) <> 0
        ),
        moved as (
          select n.*, coalesce(had, 0) as had, greatest(coalesce(had, 0) + net, 0) as has
          from net n left join held using (_shard, _hash)
        ),
        numbered as (
          select *, unnest(range(least(had, has) + 1, greatest(had, has) + 1)) as ordinal from moved
        )
        select v.*, n._shard, n._position, n._committed_at, n.net < 0 as _is_deleted,
               null::varchar as _moved_to, n._hash || '-' || ordinal as {ROW_ID},
               false as _carried, e.{FILE}, e.{ROW}
        from numbered n left join (select _shard, {ROW_ID}, {FILE}, {ROW} from existing) e
          on e._shard = n._shard and e.{ROW_ID} = n._hash || '-' || ordinal
        """
    ).to_arrow_table()
    total, kept, identical = _one(
        connection,
        """select (select count(*) from events where _held is null),
            count(*) filter (_held is null), count(*) filter (_same) from counted""",
    )
    found = connection.execute("select _shard, max(_position) from counted group by 1").fetchall()
    for shard, reached in found:
        watermarks[shard] = max(int(reached), watermarks.get(shard, 0))
    return rows, Counts(total - kept, identical, max(kept - identical - rows.num_rows, 0), 0)


def by_shard(positions: Mapping[str, int], name: str) -> str:
    """The query of those positions, under that name, by `_of_shard`.

    >>> by_shard({"shard_0": 7}, "_floor")
    "select unnest(['shard_0']::varchar[]) as _of_shard, unnest([7]::hugeint[]) as _floor"
    """
    shards = ", ".join(map(quote, positions))
    return (
        f"select unnest([{shards}]::varchar[]) as _of_shard,"
        f" unnest([{', '.join(map(str, positions.values()))}]::hugeint[]) as {name}"
    )


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    (row,) = connection.execute(query).fetchall()
    return tuple(int(value) for value in row)
