"""Landing: a micro-batch of the stream becomes one commit of `raw.deltas`.

The stream's positions and the source positions reached stand in the summary of that same commit,
so there is nothing to lose or double between the two. What can't be read goes to quarantine with
its bytes. Nothing is filtered here but the copies of a schema change, which the producer sends
through every lane of the stream.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
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
from smug_platform.raw.envelopes import decode
from smug_platform.raw.quarantine import Refused, quarantine
from smug_platform.stamps import readable
from smug_platform.stream.reader import Batch, Reader, StreamPositions

FORMAT = 1


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
    told = raw.summary(table)
    text = told.get("smug.stream")
    if text is None:
        return None
    readable("the place of raw in the stream", {"format": told.get("smug.format", 1)}, FORMAT)
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
    summary = _summary(batch.positions, sources)
    snapshot_id = iceberg.append(transaction, arrow, summary=summary, on_file=raw.remember)
    transaction.commit_transaction()
    return Landed(
        deltas=arrow.num_rows,
        copies=max(copies, 0),
        quarantined=added,
        tables={
            one["values"]: one["counts"] for one in arrow["table_name"].value_counts().to_pylist()
        },
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
        "smug.format": str(FORMAT),
        "smug.sources": orjson.dumps({s: str(p) for s, p in sources.items()}).decode(),
    }


def _reached(arrow: pa.Table) -> dict[str, Position]:
    """The highest position of each source shard in a batch."""
    shards = arrow["shard"].combine_chunks().dictionary_encode()
    codes = shards.indices.to_numpy()
    places = raw.places(arrow)
    found = {}
    for code, shard in enumerate(shards.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        for place in places:
            rows = rows[place[rows] == place[rows].max()]
        found[shard] = Position(*(int(place[rows[0]]) for place in places))
    return found
