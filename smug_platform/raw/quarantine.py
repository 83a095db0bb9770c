"""The table `raw.quarantine`: what could not be applied, with its bytes and the reason.

An entry's id is a hash of what it holds and where it came from, so that a batch that is tried
again after a crash adds nothing twice.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.types import BinaryType, NestedField, StringType, TimestamptzType

from smug_platform import iceberg
from smug_platform.errors import LakeError
from smug_platform.iceberg import Table

_ATTEMPTS = 20  # each failure is another's success, and few tables are merged at once
NAME = "raw.quarantine"
SCHEMA = Schema(
    NestedField(
        1, "id", StringType(), required=True, doc="hash of stage, table, shard, place and payload"
    ),
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


def open_quarantine(catalog: Catalog) -> Table:
    """The table, made if it is not there."""
    table = iceberg.load(catalog, NAME)
    if table is None:
        catalog.create_table_if_not_exists(NAME, schema=SCHEMA, properties=iceberg.PROPERTIES)
        return open_quarantine(catalog)
    return table


def quarantine(catalog: Catalog, refused: Sequence[Refused]) -> int:
    """Put aside what is not there yet; the number of entries added.

    Called before the commit that leaves the entries behind: a crash between the two repeats the
    batch, and the ids make that harmless. Raises LakeError when others keep writing at once.
    """
    if not refused:
        return 0
    for _ in range(_ATTEMPTS):
        with suppress(CommitFailedException):  # another table's merge put something aside
            return _add(open_quarantine(catalog), refused)
    raise LakeError("others keep writing to the quarantine", remedy="try again", passes=True)


def counts(catalog: Catalog) -> dict[str, int]:
    """How many entries each table has in quarantine; a record of no known table counts as ''."""
    table = iceberg.load(catalog, NAME)
    return Counter(name or "" for name in _column(table, "table_name")) if table else {}


def _add(table: Table, refused: Sequence[Refused]) -> int:
    known = set(_column(table, "id"))
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
        arrow = pa.Table.from_pylist(rows, schema=schema_to_pyarrow(SCHEMA))
        transaction = table.transaction()
        iceberg.append(transaction, arrow, summary={})
        transaction.commit_transaction()
    return len(fresh)


def _column(table: Table, name: str) -> list[Any]:
    files = iceberg.LakeFiles(table.io, table.schema(), table.current_snapshot())
    column: list[Any] = files.read([name])[name].to_pylist()
    return column
