"""A view of the server at one place of the binlog, and its rows as Debezium would tell them."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import time_ns
from typing import Any

import orjson

from smug_platform.capture.change import Change
from smug_platform.capture.pieces import Row
from smug_platform.capture.state import Unread
from smug_platform.capture.written import Written, spelled
from smug_platform.tables.table import Source

# A row that may be more than a record of the stream takes is a change like any other.
_LONG_BYTES = 256 * 1024


@dataclass(frozen=True)
class View:
    """Where in the binlog a view of the server stands, and when (seconds since 1970).

    shard: its name; source: what is streamed of it.
    """

    shard: str
    source: Source
    file: str
    offset: int
    at: int

    def changes(self, unread: Unread, rows: Sequence[Row]) -> Sequence[Change]:
        """Rows of a table as the changes that Debezium makes of those of a snapshot."""
        about = {"source": self.place(unread), "transaction": None, "op": "r"}
        now = time_ns()
        clock = f'"ts_ms":{now // 10**6},"ts_us":{now // 1000},"ts_ns":{now}'
        written = Written(
            f"{self.shard}.{self.source.database}.{unread.table}",
            [spelled(key) for key, _ in rows],
            [image for _, image in rows],
            f",{orjson.dumps(about).decode()[1:-1]},{clock}}}".encode(),
        )
        is_long = any(len(image) > _LONG_BYTES for image in written.images)
        return list(written) if is_long else written

    def place(self, unread: Unread) -> dict[str, Any]:
        """What Debezium says of where a row comes from, and after how many of its table."""
        return {
            "version": "smug_platform",
            "connector": self.source.connector,
            "name": self.shard,
            "ts_ms": self.at * 1000,
            # Debezium's word where no DROP and CREATE came before: the rows are some of a table's.
            "snapshot": "incremental" if unread.where else "true",
            "db": self.source.database,
            "sequence": None,
            "ts_us": self.at * 1_000_000,
            "ts_ns": self.at * 1_000_000_000,
            "table": unread.table,
            "server_id": 0,
            "gtid": None,
            "file": self.file,
            "pos": self.offset,
            "row": 0,
            "thread": None,
            "query": None,
            "after_rows": unread.rows,
        }
