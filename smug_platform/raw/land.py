"""Landing: a micro-batch of the stream becomes one commit of `raw.deltas`.

The stream's positions and the source positions reached stand in the summary of that same commit,
so there is nothing to lose or double between the two. What can't be read goes to quarantine with
its bytes. Nothing is filtered here but the copies of a schema change, which the producer sends
through every lane of the stream.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table as IcebergTable

from smug_platform import iceberg
from smug_platform.capture.position import Position
from smug_platform.errors import StreamError
from smug_platform.iceberg import Table
from smug_platform.raw import deltas as raw
from smug_platform.raw.quarantine import Refused, quarantine
from smug_platform.stream.reader import Batch, Reader, Record, StreamPositions

_SHARD = "_shard"  # the table name of a schema change that concerns no one table

_ENVELOPE = pa.schema(
    [
        ("epoch", pa.int32()),
        ("number", pa.int64()),
        ("topic", pa.string()),
        ("key", pa.string()),
        ("payload", pa.string()),
        ("stream_shard", pa.string()),
        ("sequence_number", pa.string()),
    ]
)

_REACHED = """
select shard, place.e, place.f, place.o, place.r
from (select shard, max({e: epoch, f: binlog_file, o: binlog_offset, r: row_number}) as place
      from deltas group by shard)
"""

_DECODE = """
select if(split_part(topic, '.', 3) = '', null, split_part(topic, '.', 3)) as table_name,
       split_part(topic, '.', 1) as shard,
       coalesce(v.op, 'ddl') as op,
       epoch,
       try_cast(regexp_extract(v.source.file, '\\.(\\d+)$', 1) as bigint) as binlog_file,
       v.source.pos as binlog_offset,
       if(v.op = 'r', number, v.source."row") as row_number,
       key,
       payload,
       make_timestamp(v.source.ts_us) as committed_at,
       make_timestamp(v.ts_ms * 1000) as captured_at,
       stream_shard,
       sequence_number
from (select *, from_json(payload, '{"op":"VARCHAR","ts_ms":"BIGINT","source":{"file":"VARCHAR",
      "pos":"BIGINT","row":"INTEGER","ts_us":"BIGINT"}}') as v from envelopes)
"""


@dataclass(frozen=True)
class Landed:
    """What one landing did. behind: how far the reader was from the stream's tip afterwards."""

    deltas: int = 0
    copies: int = 0
    quarantined: int = 0
    tables: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, Position] = field(default_factory=dict)
    behind: timedelta = timedelta(0)
    latest_commit: datetime | None = None
    snapshot_id: int | None = None
    seconds: float = 0.0


def land(catalog: Catalog, reader: Reader, *, max_records: int = 100_000) -> Landed:
    """Read the stream from where raw stands and commit what came; one commit at most.

    A concurrent landing makes this one's commit fail; it is then read and planned anew from the
    positions that the other left, never retried as it was. Raises StreamError when the stream
    can't be read, or when landings keep colliding.
    """
    for _ in range(3):
        table = raw.open_deltas(catalog)
        batch = reader.read(stream_positions(table), max_records=max_records)
        try:
            return _commit(catalog, table, batch)
        except CommitFailedException:
            continue
    raise StreamError(
        "another landing keeps winning", remedy="let only one land at a time", passes=True
    )


def stream_positions(table: IcebergTable) -> StreamPositions | None:
    """Where in the stream `raw.deltas` stands; None before the first landing."""
    text = raw.summary(table).get("smug.stream")
    if text is None:
        return None
    found = orjson.loads(text)
    return StreamPositions(found["incarnation"], found["sequences"])


def source_positions(table: IcebergTable) -> dict[str, Position]:
    """The highest source position that has landed, by source shard."""
    found = orjson.loads(raw.summary(table).get("smug.sources", "{}"))
    return {shard: Position.parse(text) for shard, text in found.items()}


def _commit(catalog: Catalog, table: Table, batch: Batch) -> Landed:
    started = time.perf_counter()
    sources = source_positions(table)
    if not batch.records and not batch.poison and batch.positions == stream_positions(table):
        return Landed(behind=batch.behind, sources=sources)
    arrow, refused = decode(batch.records)
    copies = len(batch.records) - len(refused) - arrow.num_rows
    refused += [
        Refused("raw", None, None, f"{p.stream_shard}/{p.sequence_number}", p.reason, p.data)
        for p in batch.poison
    ]
    for shard, position in _reached(arrow).items():
        sources[shard] = max(position, sources.get(shard, position))
    added = quarantine(catalog, refused)
    transaction = table.transaction()
    snapshot_id = iceberg.append(transaction, arrow, summary=_summary(batch.positions, sources))
    transaction.commit_transaction()
    return Landed(
        deltas=arrow.num_rows,
        copies=max(copies, 0),
        quarantined=added,
        tables=Counter(arrow["table_name"].to_pylist()),
        sources=sources,
        behind=batch.behind,
        latest_commit=pc.max(arrow["committed_at"]).as_py(),
        snapshot_id=snapshot_id,
        seconds=time.perf_counter() - started,
    )


def _summary(stream: StreamPositions, sources: Mapping[str, Position]) -> dict[str, str]:
    """What the commit says beside its data: how far stream and sources have been read."""
    positions = {"incarnation": stream.incarnation, "sequences": dict(stream.sequences)}
    return {
        "smug.stream": orjson.dumps(positions).decode(),
        "smug.sources": orjson.dumps({s: str(p) for s, p in sources.items()}).decode(),
    }


def decode(records: list[Record]) -> tuple[pa.Table, list[Refused]]:
    """Envelopes to the columns of `raw.deltas`, in the order they came, and what is no envelope.

    A schema change that concerns several tables becomes one delta a table.
    """
    envelopes, refused = _envelopes(records)
    connection = duckdb.connect()
    connection.register("envelopes", envelopes)
    found = connection.sql(_DECODE).to_arrow_table()
    is_ddl = pc.equal(found["op"], "ddl")
    changes = _schema_changes(found.filter(is_ddl))
    return pa.concat_tables([changes, _typed(found.filter(pc.invert(is_ddl)))]), refused


def _envelopes(records: list[Record]) -> tuple[pa.Table, list[Refused]]:
    """The envelopes taken apart; an envelope is JSON of three lines: head, key, value."""
    columns: list[list[object]] = [[] for _ in _ENVELOPE]
    refused = []
    for record in records:
        try:
            envelope = orjson.loads(record.data)
            _, key, value = record.data.split(b"\n")
            fields = (
                envelope["epoch"],
                envelope.get("number", 0),
                envelope["topic"],
                key[len(b'"key":') : -1].decode() if envelope["key"] is not None else None,
                value[len(b'"value":') : -1].decode(),
                record.stream_shard,
                record.sequence_number,
            )
        except (ValueError, KeyError, TypeError) as error:
            place = f"{record.stream_shard}/{record.sequence_number}/{record.sub}"
            reason = f"not an envelope: {error}"
            refused.append(Refused("raw", None, None, place, reason, record.data))
            continue
        for column, item in zip(columns, fields, strict=True):
            column.append(item)
    return pa.table(columns, schema=_ENVELOPE), refused


def _schema_changes(found: pa.Table) -> pa.Table:
    """One row a changed table, without the copies that came through the other lanes."""
    rows = {}
    for row in found.to_pylist():
        event = orjson.loads(row["payload"])
        names = [change["id"].split(".")[-1].strip('"') for change in event["tableChanges"]]
        for name in names or [_SHARD]:
            place = (row["shard"], row["epoch"], row["binlog_file"], row["binlog_offset"])
            rows[(*place, name, event["ddl"])] = row | {"table_name": name}
    return _typed(pa.Table.from_pylist(list(rows.values()), schema=found.schema))


def _typed(found: pa.Table) -> pa.Table:
    landed_at = pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), found.num_rows)
    return found.append_column("landed_at", landed_at).select(raw.ARROW.names).cast(raw.ARROW)


def _reached(arrow: pa.Table) -> dict[str, Position]:
    """The highest position of each source shard in a batch."""
    connection = duckdb.connect()
    connection.register("deltas", arrow)
    rows = connection.execute(_REACHED).fetchall()
    return {shard: Position(*place) for shard, *place in rows}
