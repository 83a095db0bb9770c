"""The table `raw.quarantine`: what could not be applied, with its bytes and the reason.

An entry's id is a hash of what it holds and where it came from, so that a batch that is tried
again after a crash adds nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table import Table as IcebergTable
from pyiceberg.types import BinaryType, NestedField, StringType, TimestamptzType

NAME = "raw.quarantine"
SCHEMA = Schema(
    NestedField(1, "id", StringType(), required=True, doc="hash of place, payload and reason"),
    NestedField(2, "stage", StringType(), doc="where it was refused: raw or lake"),
    NestedField(3, "table_name", StringType(), doc="the source table, where it is known"),
    NestedField(4, "shard", StringType(), doc="the source shard, where it is known"),
    NestedField(5, "place", StringType(), doc="source position, or stream shard and sequence"),
    NestedField(6, "reason", StringType(), doc="why it could not be applied"),
    NestedField(7, "payload", BinaryType(), doc="the bytes that came"),
    NestedField(8, "quarantined_at", TimestamptzType()),
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A change or record that can't be applied."""

    stage: str
    table: str | None
    shard: str | None
    place: str
    reason: str
    payload: bytes

    @property
    def id(self) -> str:
        """The same for the same thing, however often it is refused."""
        head = f"{self.stage}|{self.table}|{self.shard}|{self.place}|".encode()
        return sha256(head + self.payload).hexdigest()


def open_quarantine(catalog: Catalog) -> IcebergTable:
    """The table, made if it is not there."""
    properties = {"format-version": "2", "write.metadata.delete-after-commit.enabled": "true"}
    return catalog.create_table_if_not_exists(NAME, schema=SCHEMA, properties=properties)


def quarantine(catalog: Catalog, refused: Sequence[Refused]) -> int:
    """Put aside what is not there yet; the number of entries added.

    Called before the commit that leaves the entries behind: a crash between the two repeats the
    batch, and the ids make that harmless.
    """
    if not refused:
        return 0
    table = open_quarantine(catalog)
    known = set(table.scan(selected_fields=("id",)).to_arrow()["id"].to_pylist())
    fresh = {entry.id: entry for entry in refused if entry.id not in known}
    if fresh:
        now = datetime.now(UTC)
        rows = [
            {
                "id": key,
                "stage": entry.stage,
                "table_name": entry.table,
                "shard": entry.shard,
                "place": entry.place,
                "reason": entry.reason,
                "payload": entry.payload,
                "quarantined_at": now,
            }
            for key, entry in fresh.items()
        ]
        table.append(pa.Table.from_pylist(rows, schema=schema_to_pyarrow(SCHEMA)))
    return len(fresh)


def counts(catalog: Catalog) -> dict[str, int]:
    """How many entries each table has in quarantine; a record of no known table counts as ''."""
    if not catalog.table_exists(NAME):
        return {}
    names = open_quarantine(catalog).scan(selected_fields=("table_name",)).to_arrow()
    tally = names["table_name"].value_counts().to_pylist()
    return {entry["values"] or "": entry["counts"] for entry in tally}
