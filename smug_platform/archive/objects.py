"""The archive's objects: Parquet, zstd, sorted by position; columns of `raw.deltas` and `seal`.

What raw has landed of a few commits is cut here into one piece for each shard, hour and table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from smug_platform.archive.keys import Keys
from smug_platform.archive.manifest import Chain, Sealed, digest, object_name
from smug_platform.archive.seal import seal
from smug_platform.capture.position import Position
from smug_platform.lake.runs import Array
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Source

_HOUR = 3_600_000_000  # microseconds
_START = datetime(1970, 1, 1, tzinfo=UTC)
_GROUP = 16_384  # rows of a row group
_ODD = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64
)
_DELTA = "DELTA_BINARY_PACKED"  # of numbers that rise: two bytes a row instead of eight
_ENCODED = {
    "epoch": _DELTA, "binlog_file": _DELTA, "binlog_offset": _DELTA, "row_number": _DELTA,
    "committed_at": _DELTA, "captured_at": _DELTA, "landed_at": _DELTA,
    "sequence_number": "DELTA_BYTE_ARRAY",
}  # fmt: skip
_REPEATING = ["table_name", "shard", "op", "stream_shard", "account", "account_before"]


@dataclass(frozen=True)
class Piece:
    """Changes of one table in one hour of a shard: which of the rows that raw held, by position."""

    shard: str
    hour: str
    table: str
    rows: pa.Table
    chosen: Array

    def parts(self) -> Iterator[pa.Table]:
        """The changes, some at a time: what fits a core's cache is copied in half the time."""
        for start in range(0, len(self.chosen), _GROUP):
            yield self.rows.take(pa.array(self.chosen[start : start + _GROUP]))


def pieces(
    rows: pa.Table, sequences: Array, known: Mapping[str, Chain], table: str
) -> Iterator[Piece]:
    """The rows of a table in pieces, without those that the chains hold already.

    sequences: of the raw commit that brought each row.
    """
    rows = rows.combine_chunks()
    shards = rows["shard"].combine_chunks().dictionary_encode()
    hours = hours_of(rows)
    places = raw.places(rows)
    codes = shards.indices.to_numpy().astype(np.int64)
    first = int(hours.min()) if len(hours) else 0
    span = int(hours.max()) - first + 1 if len(hours) else 1
    groups = codes * span + (hours - first)
    for group in np.unique(groups):
        shard = shards.dictionary[int(group) // span].as_py()
        hour = hour_text(int(group) % span + first)
        through = known[shard].through(hour) if shard in known else 0
        chosen = np.flatnonzero((groups == group) & (sequences > through))
        if len(chosen):
            own = [place[chosen] for place in places]
            yield Piece(shard, hour, table, rows, chosen[np.lexsort(own[::-1])])


def encode(piece: Piece, number: int, source: Source, keys: Keys) -> tuple[Sealed, bytes]:
    """A piece as an object of the manifest of that number, sealed; and its entry there."""
    declared = next((one for one in source.tables if one.name == piece.table), None)
    buffer, writer, ends, total = pa.BufferOutputStream(), None, list[str](), 0
    for rows in piece.parts():
        ends += [str(position_at(rows, at)) for at in (0, rows.num_rows - 1)]
        total += position_total(rows)
        sealed = seal(rows, declared, keys) if declared is not None else rows
        writer = writer or _writer(buffer, sealed.schema)
        writer.write_table(sealed)
    assert writer is not None  # a piece has rows
    writer.close()
    data = buffer.getvalue().to_pybytes()
    sha256 = digest(data)
    return Sealed(
        name=object_name(piece.shard, piece.hour, piece.table, number, sha256),
        table=piece.table, rows=len(piece.chosen), bytes=len(data), sha256=sha256,
        first=ends[0], last=ends[-1], positions=position_text(total),
    ), data  # fmt: skip


def _writer(sink: pa.BufferOutputStream, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=1,
        store_schema=False,
        use_dictionary=[name for name in _REPEATING if name in schema.names],
        column_encoding=_ENCODED,
        write_statistics=list(raw.PLACE),
    )


def by_position(rows: pa.Table) -> pa.Table:
    """The rows in the order of their positions, and as they came where these are equal."""
    places = raw.places(rows)
    behind = np.zeros(max(rows.num_rows - 1, 0), dtype=bool)
    for place in reversed(places):
        behind = (place[1:] < place[:-1]) | ((place[1:] == place[:-1]) & behind)
    if not behind.any():
        return rows
    return rows.take(pa.array(np.lexsort(places[::-1])))


def position_at(rows: pa.Table, number: int) -> Position:
    """The position of a row; a schema change's has no row of its own."""
    return Position(*(rows[name][number].as_py() or 0 for name in raw.PLACE))


def position_total(rows: pa.Table) -> int:
    """A sum over the positions of rows, which is another for others."""
    return int(mixed(rows).sum(dtype=np.uint64))


def position_text(total: int) -> str:
    """Such a sum, or one of several, as a manifest has it."""
    return f"{total % (1 << 64):016x}"


def mixed(rows: pa.Table) -> Array:
    """One 64-bit word a position, in which small differences are large ones."""
    words = np.zeros(rows.num_rows, np.uint64)
    for factor, place in zip(_ODD, raw.places(rows), strict=True):
        words = (words ^ place.astype(np.uint64)) * factor
        words ^= words >> np.uint64(29)
    return words


def hour_text(hour: int) -> str:
    """An hour since 1970 as text.

    >>> hour_text(0)
    '1970-01-01T00'
    """
    return f"{_START + timedelta(hours=hour):%Y-%m-%dT%H}"


def hours_of(rows: pa.Table) -> Array:
    """The hour of each row's commit at the source; of its capture where that is not known."""
    when = pc.coalesce(rows["committed_at"], rows["captured_at"], rows["landed_at"])
    found: Array = when.cast(pa.int64()).fill_null(0).to_numpy() // _HOUR
    return found
