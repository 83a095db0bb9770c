"""The table `raw.deltas`: every delta that the stream delivered, in Iceberg, append-only.

A delta is one change of one row, one TRUNCATE, or one schema change of one table. Its envelope is
typed, its payload is the JSON that Debezium made, untouched. The same delta may stand here twice:
the stream delivers at least once, and what is merged from here is gated by position.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable
from pyiceberg.transforms import HourTransform, IdentityTransform
from pyiceberg.types import IntegerType, LongType, NestedField, StringType, TimestamptzType

from smug_platform import iceberg
from smug_platform.iceberg import Table
from smug_platform.iceberg.cache import Cache
from smug_platform.iceberg.manifests import entries, manifests
from smug_platform.raw.views import Array

NAME = "raw.deltas"
SCHEMA = Schema(
    NestedField(1, "table_name", StringType(), doc="the source table; _shard where none is meant"),
    NestedField(2, "shard", StringType(), doc="the source shard"),
    NestedField(3, "op", StringType(), doc="r read, c create, u update, d delete, t truncate, ddl"),
    NestedField(4, "epoch", IntegerType(), doc="rises when the binlog's numbering starts anew"),
    NestedField(5, "binlog_file", LongType(), doc="number of the binlog file"),
    NestedField(6, "binlog_offset", LongType(), doc="bytes into the binlog file"),
    NestedField(7, "row_number", IntegerType(), doc="row within the event, or within the snapshot"),
    NestedField(8, "key", StringType(), doc="the key as JSON; null where the source has none"),
    NestedField(9, "payload", StringType(), doc="the event's value, the JSON that Debezium made"),
    NestedField(10, "committed_at", TimestamptzType(), doc="the source's time of the change"),
    NestedField(11, "captured_at", TimestamptzType(), doc="when Debezium read the change"),
    NestedField(12, "landed_at", TimestamptzType(), doc="when the micro-batch was landed here"),
    NestedField(13, "stream_shard", StringType(), doc="the Kinesis shard it came through"),
    NestedField(14, "sequence_number", StringType(), doc="its Kinesis sequence number"),
)
ARROW = schema_to_pyarrow(SCHEMA, include_field_ids=False)
# By landing hour, not by the source's: a micro-batch then writes one file a table, however old
# the changes that it brings are.
PARTITIONS = PartitionSpec(
    PartitionField(1, 1000, IdentityTransform(), "table_name"),
    PartitionField(12, 1001, HourTransform(), "landed_hour"),
)
PROPERTIES = {
    "format-version": "2",
    "commit.retry.num-retries": "0",  # a retried append by a stale writer would land twice
    "history.expire.min-snapshots-to-keep": "100",  # `continuity` looks back that far
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.metrics.default": "none",
}
PLACE = ("epoch", "binlog_file", "binlog_offset", "row_number")
"""The columns of a delta's source position."""
_CONTROL = pa.array(["ddl", "t"])
_LANDED = Cache[pa.Table](512 << 20)  # by path of the file; weight: bytes
_PIECE = 32 << 20  # bytes in memory
_MANY = 50_000  # rows of a file from which several threads read it sooner than one


@dataclass(frozen=True, slots=True)
class DeltaFile:
    """One data file of `raw.deltas`: whose deltas it holds, and which commit added it.

    hour: in which they landed, since 1970.
    """

    table: str
    sequence: int
    rows: int
    path: str
    hour: int = 0


def open_deltas(catalog: Catalog) -> Table:
    """The table, made if it is not there."""
    table = iceberg.load(catalog, NAME)
    if table is None:
        catalog.create_table_if_not_exists(
            NAME, schema=SCHEMA, partition_spec=PARTITIONS, properties=PROPERTIES
        )
        return open_deltas(catalog)
    return table


def sequence(deltas: IcebergTable) -> int:
    """The sequence number of the table's latest commit; 0 when there is none."""
    snapshot = deltas.current_snapshot()
    return (snapshot.sequence_number or 0) if snapshot else 0


def summary(deltas: IcebergTable) -> Mapping[str, str]:
    """The additional properties of the latest commit's summary: the positions it has reached."""
    snapshot = deltas.current_snapshot()
    return snapshot.summary.additional_properties if snapshot and snapshot.summary else {}


def delta_files(deltas: IcebergTable, after: int = 0) -> Iterator[DeltaFile]:
    """The data files that commits after sequence number `after` added, oldest commit first.

    By sequence number and not by snapshot id: it stays right when old snapshots have expired.
    """
    found = []
    for manifest in manifests(deltas.current_snapshot(), deltas.io):
        if manifest.sequence_number <= after:
            continue
        for entry in entries(manifest, deltas.io):
            number = entry.sequence_number or manifest.sequence_number
            if number > after:
                file = entry.data_file
                name, hour = file.partition[0], file.partition[1]
                found.append(DeltaFile(name, number, file.record_count, file.file_path, hour))
    yield from sorted(found, key=lambda file: file.sequence)


def remember(path: str, rows: pa.Table) -> None:
    """Hold the deltas of a file that this process writes: it merges them next, most likely."""
    _LANDED.put(path, _typed(rows), rows.nbytes)


def memory_of(deltas: IcebergTable, file: DeltaFile) -> int:
    """Bytes that the deltas of a file take in memory, about."""
    if (held := _LANDED.get(file.path)) is not None:
        return int(held.nbytes)
    return iceberg.memory_of(deltas.io, file.path)


def pieces(deltas: IcebergTable, files: list[DeltaFile]) -> Iterator[pa.Table]:
    """The deltas in those files, as `read` gives them, so many at a time as make a piece."""
    for file in files:
        size = memory_of(deltas, file) // max(file.rows, 1) + 1
        with deltas.io.new_input(file.path).open() as stream:
            for batch in pq.ParquetFile(stream).iter_batches(max(_PIECE // size, 1)):
                yield _typed(pa.Table.from_batches([batch]))


def read_columns(deltas: IcebergTable, file: DeltaFile, columns: Sequence[str]) -> pa.Table:
    """Those columns of the deltas in a file."""
    with deltas.io.new_input(file.path).open() as stream:
        return pq.ParquetFile(stream).read(list(columns))


def is_control(rows: pa.Table) -> pa.ChunkedArray:
    """Which deltas are schema changes and truncates, and no change of a row."""
    return pc.is_in(rows["op"], value_set=_CONTROL)


def places(rows: pa.Table) -> list[Array]:
    """The columns of `PLACE` as numbers; a schema change has no row of its own, and says 0."""
    return [pc.fill_null(rows[name], 0).to_numpy() for name in PLACE]


def read(deltas: IcebergTable, files: list[DeltaFile]) -> pa.Table:
    """The deltas in those files, in the order of the files, as one Arrow table."""
    parts = []
    for file in files:
        if (held := _LANDED.get(file.path)) is not None:
            parts.append(held)
            continue
        with deltas.io.new_input(file.path).open() as stream:
            # Not `read_table`: what that sets up takes three times as long as a small file.
            found = pq.ParquetFile(stream).read(use_threads=file.rows > _MANY)
        parts.append(_typed(found))
    return pa.concat_tables(parts) if parts else ARROW.empty_table()


def _typed(rows: pa.Table) -> pa.Table:
    """The rows with the table's columns alone, in its order and types."""
    return rows.select(ARROW.names).cast(ARROW)
