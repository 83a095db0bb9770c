"""Members at work on a shard of Flickr's counted tables, and what the windows then must show."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from smug_platform.realtime.metrics import METRICS
from tests.history import START, Shard, column
from tests.lanes import Server

TIMES = {metric.table: metric.time for metric in METRICS}
_ID = column("id", "BIGINT UNSIGNED")
_AT = {"length": 6}
COLUMNS = {
    "photos": [_ID, column("title", "VARCHAR"), column("uploaded_at", "DATETIME", **_AT)],
    "favorites": [
        column("account_id", "BIGINT UNSIGNED"), column("photo_id", "BIGINT UNSIGNED"),
        column("created_at", "DATETIME", **_AT),
    ],
    "comments": [_ID, column("body", "TEXT"), column("created_at", "DATETIME", **_AT)],
    "orders": [
        _ID, column("status", "ENUM"), column("total", "DECIMAL", length=12, scale=2),
        column("currency", "CHAR", length=3), column("placed_at", "DATETIME", **_AT),
    ],
}  # fmt: skip
KEYS = {"favorites": ("account_id", "photo_id")}


def server(name: str) -> Server:
    """A shard with the four tables, empty."""
    tables = {
        table: Shard(name, table, list(columns), key=KEYS.get(table, ("id",)))
        for table, columns in COLUMNS.items()
    }
    return Server(name, tables)


def micros(moment: datetime) -> int:
    """As Debezium writes a DATETIME(6)."""
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


class Members:
    """Random work on a shard, from a seed."""

    def __init__(self, shard: Server, seed: int, first_id: int) -> None:
        self.shard, self.random, self.next_id = shard, random.Random(seed), first_id

    def work(self, changes: int) -> None:
        """So many changes, roughly."""
        for _ in range(changes):
            table = self.random.choice(list(COLUMNS))
            rows = self.shard.tables[table].rows
            kind = self.random.random()
            if kind < 0.5 or not rows:
                fresh = [self.row(table) for _ in range(self.random.randint(1, 3))]
                self.shard.do(table, "insert", *fresh)
            elif kind < 0.85:
                where = self._key(table, self.random.choice(rows))
                self.shard.do(table, "update", where, **self.changed(table))
            else:
                self.shard.do(table, "delete", self._key(table, self.random.choice(rows)))

    def row(self, table: str) -> dict[str, Any]:
        self.next_id += 1
        key = {"account_id": self.next_id % 7, "photo_id": self.next_id}
        own = key if table == "favorites" else {"id": self.next_id}
        row = self.changed(table, all_of_it=True)
        return {one["name"]: None for one in COLUMNS[table]} | row | own

    def changed(self, table: str, *, all_of_it: bool = False) -> dict[str, Any]:
        minutes = self.random.randint(-40, 90)
        values: dict[str, Any] = {
            TIMES[table]: micros(START + timedelta(minutes=minutes, seconds=7))
        }
        if table == "orders":
            values |= {
                "status": self.random.choice(["placed", "refunded"]),
                "total": str(Decimal(self.random.randint(0, 9999)) / 100),
                "currency": self.random.choice(["USD", "EUR"]),
            }
        elif table == "favorites":
            self.next_id += 1
            values["photo_id"] = self.next_id  # a key that changes
        else:
            values |= {"title" if table == "photos" else "body": f"t{self.random.random()}"}
        if all_of_it:
            return values
        count = self.random.randint(1, len(values))
        return {name: values[name] for name in self.random.sample(list(values), count)}

    @staticmethod
    def _key(table: str, row: dict[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in KEYS.get(table, ("id",))}


def effects_of(shard: Server) -> list[tuple[str, int, str, int]]:
    """Metric, minute, currency, value of each row that the shard holds."""
    found = []
    for table, one in shard.tables.items():
        for row in one.rows:
            minute = row[TIMES[table]] // 60_000_000
            if table != "orders":
                found.append(({"photos": "uploads"}.get(table, table), minute, "", 1))
                continue
            paid = 0 if row["status"] == "refunded" else int(Decimal(row["total"]) * 100)
            found.append(("orders", minute, row["currency"], 1))
            found.append(("revenue", minute, row["currency"], paid))
    return found


def days_of(shards: list[Server]) -> dict[str, dict[tuple[date, str], int]]:
    """What each metric must show by day, computed from the rows that are there."""
    found: dict[str, Counter[tuple[date, str]]] = {metric.name: Counter() for metric in METRICS}
    for metric, minute, currency, value in (e for shard in shards for e in effects_of(shard)):
        day = date(1970, 1, 1) + timedelta(days=minute // 1440)
        found[metric][day, currency] += value
    return {
        name: {key: value for key, value in sums.items() if value} for name, sums in found.items()
    }


def windows_of(shards: list[Server]) -> dict[tuple[str, str, str, str], int]:
    """What the windows must show: by metric, start, shard and currency, over all operations."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for shard in shards:
        for metric, minute, currency, value in effects_of(shard):
            start = datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%d %H:%M:%S")
            found[metric, start, shard.name, currency] += value
    return {key: value for key, value in found.items() if value}
