"""A small source shard for tests: it applies changes and writes down the deltas they cause.

The rows that a shard holds at the end are the oracle; the deltas are what `raw.deltas` would hold.
All events of the unit tests come from here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from smug_platform.capture.change import CHANGED
from smug_platform.raw import deltas as raw

START = datetime(2026, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


def column(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """A column as Debezium's schema-change events describe it."""
    return {
        "name": name,
        "typeName": kind,
        "charsetName": None,
        "length": None,
        "scale": None,
        "optional": True,
        "defaultValueExpression": None,
        "enumValues": None,
    } | more


@dataclass
class Shard:
    """One table on one shard."""

    name: str
    table: str
    columns: list[dict[str, Any]]
    key: tuple[str, ...] = ("id",)
    epoch: int = 1
    file: int = 1
    offset: int = 4
    rows: list[Row] = field(default_factory=list)
    deltas: list[dict[str, Any]] = field(default_factory=list)
    sequence: int = 0

    @property
    def now(self) -> datetime:
        """The shard's clock: a second a delta."""
        return START + timedelta(seconds=len(self.deltas))

    def snapshot(self) -> None:
        """What a snapshot of the table puts on the stream."""
        self._tick()
        self._schema_change("DROP", f"DROP TABLE IF EXISTS `{self.table}`")
        self._schema_change("CREATE", f"CREATE TABLE `{self.table}` (...)")
        for row in self.rows:
            self.sequence += 1
            row["_at"] = self.now
            self._row("r", None, row, row_number=1 if self.key else self.sequence)
        self._tick()

    def insert(self, *rows: Row) -> None:
        """One event of several rows."""
        self._tick()
        for number, row in enumerate(rows):
            full = {c["name"]: None for c in self.columns} | row | {"_at": self.now}
            self.rows.append(full)
            self._row("c", None, full, row_number=number)

    def update(self, where: Row, **changes: Any) -> None:
        """Update the first row that matches; a new key makes it a delete and an insert."""
        self._tick()
        row = self._find(where)
        before = dict(row)
        row |= changes
        if row != before:
            row["_at"] = self.now
        if any(before[name] != row[name] for name in self.key):
            self._row("d", before, None)
            row["_at"] = self.now
            self._row("c", None, row)
        else:
            self._row("u", before, row)

    def delete(self, where: Row) -> None:
        """Delete the first row that matches."""
        self._tick()
        row = self._find(where)
        self.rows.remove(row)
        self._row("d", row, None)

    def truncate(self) -> None:
        """TRUNCATE TABLE."""
        self._tick()
        self.rows.clear()
        self._delta("t", {"before": None, "after": None})

    def alter(
        self, columns: list[dict[str, Any]], ddl: str, rows: Iterable[Row] | None = None
    ) -> None:
        """ALTER TABLE to these columns; rows: what the shard holds after it."""
        self._tick()
        self.columns = columns
        if rows is not None:
            self.rows = list(rows)
        self._schema_change("ALTER", ddl)

    def change_by(self, statement: str, rows: Iterable[Row]) -> None:
        """A statement that changes rows, told as such; rows: what the shard holds after it."""
        self._tick()
        self.rows = list(rows)
        self._schema_change(CHANGED, statement)

    def rotate(self) -> None:
        """The next binlog file."""
        self.file, self.offset = self.file + 1, 4

    def _find(self, where: Row) -> Row:
        return next(row for row in self.rows if where.items() <= row.items())

    def _tick(self) -> None:
        self.offset += 100

    def _schema_change(self, kind: str, ddl: str) -> None:
        table = None if kind in {"DROP", CHANGED} else {"columns": self._described()}
        change = {"type": kind, "id": f'"flickr"."{self.table}"', "table": table}
        self._delta("ddl", {"ddl": ddl, "tableChanges": [change]})

    def _described(self) -> list[dict[str, Any]]:
        return [c | {"position": number} for number, c in enumerate(self.columns, start=1)]

    def _row(self, op: str, before: Row | None, after: Row | None, row_number: int = 0) -> None:
        self._delta(op, {"before": image(before), "after": image(after)}, row_number=row_number)

    def _key(self, payload: dict[str, Any]) -> str | None:
        row = payload.get("after") or payload.get("before")
        return compact({name: row[name] for name in self.key}) if row and self.key else None

    def _delta(self, op: str, payload: dict[str, Any], row_number: int = 0) -> None:
        when = self.now
        source = {"ts_ms": int(when.timestamp() * 1000), "file": f"binlog.{self.file:06}"}
        self.deltas.append(
            {
                "table_name": self.table,
                "shard": self.name,
                "op": op,
                "epoch": self.epoch,
                "binlog_file": self.file,
                "binlog_offset": self.offset,
                "row_number": row_number,
                "key": self._key(payload),
                "payload": compact(
                    payload | {"source": source} | ({} if op == "ddl" else {"op": op})
                ),
                "committed_at": when,
                "captured_at": when,
                "landed_at": when,
                "stream_shard": "shardId-0",
                "sequence_number": "1",
            }
        )


def compact(payload: dict[str, Any]) -> str:
    """JSON as Debezium writes it: no spaces, and text as it is."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


def image(row: Row | None) -> Row | None:
    """A row as an event holds it: without `_at`, the time of its last change."""
    return row and {name: value for name, value in row.items() if name != "_at"}


def arrow(deltas: Iterable[dict[str, Any]]) -> pa.Table:
    """Deltas as rows of `raw.deltas`."""
    return pa.Table.from_pylist(list(deltas), schema=raw.ARROW)
