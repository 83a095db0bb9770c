"""Batches of changes: as decoded rows, as rows of `raw.deltas`, and as envelopes of the stream.

All are made by DuckDB from the same numbers, so that each engine merges the same changes.
"""

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from bench.shapes import SHARD, Shape
from smug_platform.raw.deltas import ARROW

_EPOCH, _FILE = 1, 2  # the binlog file after the one that the base rows come from
_STEP = 420  # bytes of the binlog a change
_PRIME = 32_416_190_071  # with no table's size in common, so that it goes through all keys
_AT = "1760000000000 + n // 20"  # milliseconds: 20,000 changes a second
_OF_KEYS = {
    # each key once, all over the table; one in twenty goes, one in ten is new
    "distinct": """
        select n, if(n % 20 = 7, 'd', if(n % 10 = 3, 'c', 'u')) as op,
               if(n % 10 = 3, {rows} + {before} + n, (n * {prime} + {batch} * 7919) % {rows}) as k,
               {version} as v
        from range({size}) as r(n)""",
    # a quarter of the changes goes to 1,000 hot keys; one in fifty changes nothing; one in twenty
    # comes twice
    "hot": """
        with made as (
          select n, if(n % 20 = 7, 'd', if(n % 10 = 3, 'c', 'u')) as op,
                 case when n % 10 = 3 then {rows} + {before} + n
                      when n % 4 = 0 then hash(n, {batch}) % 1000 * ({rows} // 1000)
                      else hash(n, {batch}) % {rows} end::bigint as k,
                 {version} * 1000 + n % 1000 as v
          from range({size} * 20 // 21) as r(n)
        )
        from made union all from made where n % 20 = 0""",
}
_SOURCE = (
    '\'{{"version":"3.6.0.Final","connector":"mysql","name":"\' || shard || \'","ts_ms":\' || ts'
    ' || \',"snapshot":"false","db":"flickr","sequence":null,"ts_us":\' || ts || \'000,"ts_ns":\''
    ' || ts || \'000000,"table":"{table}","server_id":11,"gtid":'
    '"3e11fa47-71ca-11e1-9e33-c80aa9429562:\' || n || \'","file":"binlog.{file:06}","pos":\' || pos'
    ' || \',"row":0,"thread":7,"query":null}}\''
)
_DELTAS = """
    select '{table}' as table_name, shard, op, {epoch} as epoch, {file} as binlog_file,
           pos as binlog_offset, 0 as row_number, key,
           '{{"before":' || if(op = 'c', 'null', {before}) || ',"after":'
             || if(op = 'd', 'null', {after}) || ',"source":' || {source}
             || ',"transaction":null,"op":"' || op || '","ts_ms":' || ts + 3
             || ',"ts_us":' || ts + 3 || '000,"ts_ns":' || ts + 3 || '000000}}' as payload,
           make_timestamp(ts * 1000) as committed_at, make_timestamp(ts * 1000) as captured_at,
           make_timestamp(ts * 1000) as landed_at, 'shardId-000000000000' as stream_shard,
           n::varchar as sequence_number
    from (select *, {shard} as shard, {at} as ts, {first} + n * {step} as pos,
                 to_json({{{key}: {wire}}})::varchar as key from changes)
"""
_ENVELOPES = """
    select encode('{{"epoch":' || epoch || ',"topic":"' || shard || '.flickr.' || table_name || '",'
           || chr(10) || '"key":' || key || ',' || chr(10) || '"value":' || payload || '}}') as data
    from deltas
"""


@dataclass(frozen=True)
class Changes:
    """A batch of `size` changes of a table of `rows` rows. number: 1, 2, ... in their order.

    before: changes of all batches before it, so that its positions come after theirs.
    keys: "distinct", or "hot" for copies, hot keys and changes of one key in a row.
    """

    shape: Shape
    rows: int
    size: int
    number: int
    before: int
    keys: str = "distinct"

    def decoded(self) -> pa.Table:
        """The changes as typed rows with `_is_deleted`, in their order."""
        with duckdb.connect() as connection:
            self._make(connection)
            values = self.shape.values().replace("$v", "v")
            query = f"select {values}, op = 'd' as _is_deleted from changes order by n"
            return connection.sql(query).to_arrow_table()

    def deltas(self) -> pa.Table:
        """The changes as rows of `raw.deltas`."""
        with duckdb.connect() as connection:
            self._deltas(connection)
            return connection.sql("select * from deltas").to_arrow_table().cast(ARROW)

    def envelopes(self) -> pa.Table:
        """The changes as envelopes of the stream, in the column `data`."""
        with duckdb.connect() as connection:
            self._deltas(connection)
            return connection.sql(_ENVELOPES.format()).to_arrow_table()

    def _make(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("set enable_progress_bar = false")
        numbers = _OF_KEYS[self.keys].format(
            rows=self.rows, before=self.before, batch=self.number, version=self.number,
            size=self.size, prime=_PRIME,
        )  # fmt: skip
        connection.execute(f"create temp table changes as {numbers}")

    def _deltas(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._make(connection)
        shape = self.shape
        query = _DELTAS.format(
            table=shape.name, epoch=_EPOCH, file=_FILE, shard=SHARD, at=_AT, step=_STEP,
            first=1000 + self.before * _STEP, key=shape.key, wire=shape.fields[0].wire,
            before=shape.image("(v - if(n % 50 = 11, 0, 1))" if self.keys == "hot" else "(v - 1)"),
            after=shape.image("v"), source=_SOURCE.format(table=shape.name, file=_FILE),
        )  # fmt: skip
        connection.execute(f"create temp table deltas as {query}")
