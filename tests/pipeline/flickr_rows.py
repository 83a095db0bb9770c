"""Lake rows of Flickr's tables in memory: few and hard, for what reads the warehouse.

An account that was moved between shards, ids above 2^63, deleted rows, equal page views, a refunded
order, a discount line, a subscription that ended.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from smug_platform.lake.feed import Feed
from smug_platform.settings import Settings
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.load import load

TEXT, INSTANT = pa.string(), pa.timestamp("us", "UTC")
BIG = 2**64 - 1
T0 = datetime(2026, 1, 1, tzinfo=UTC)

_TYPES: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "u64": pa.decimal128(20, 0),
    "degree": pa.decimal128(9, 6),
    "rate": pa.decimal128(5, 4),
    "price": pa.decimal128(10, 2),
    "total": pa.decimal128(12, 2),
    "float": pa.float32(),
    "text": TEXT,
    "bytes": pa.binary(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "timestamp": INSTANT,
}
_TABLES = """
licenses: id int, code text, name text, allows_sale int
accounts: id u64, screen_name text, display_name text, email text, country text, city text,
  plan text, flags text, preferences text, storage_bytes u64, born_on date, signup_ip bytes,
  created_at datetime, updated_at timestamp
photos: id u64, account_id u64, title text, description text, media text, visibility text,
  license_id int, tags text, exif text, content_hash bytes, bytes long, width int, height int,
  latitude degree, longitude degree, rating float, duration long, taken_at datetime,
  uploaded_at datetime, updated_at timestamp
albums: id u64, account_id u64, title text, is_public bool, photo_count int, founded int,
  created_at datetime
album_photos: album_id u64, photo_id u64, sort_order int, added_at datetime
favorites: account_id u64, photo_id u64, created_at datetime
comments: id u64, photo_id u64, account_id u64, body text, is_spam int, created_at datetime,
  edited_at datetime
photo_views: photo_id u64, viewer_country text, referrer text, viewed_on date, _content_id text
subscriptions: id u64, account_id u64, plan text, status text, price price, currency text,
  started_at datetime, cancelled_at datetime
orders: id u64, account_id u64, status text, total total, tax_rate rate, currency text,
  ship_to text, coupon bytes, placed_at datetime, updated_at timestamp
order_items: order_id u64, line_number int, photo_id u64, product text, quantity int,
  unit_price price
"""
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    table: {name: _TYPES[kind] for name, kind in (each.split() for each in columns.split(","))}
    for table, columns in re.findall(r"(\w+): ([^:]+)(?=\n\w+:|\n$)", _TABLES)
}
LAKE_COLUMNS: dict[str, pa.DataType] = {
    "_shard": TEXT,
    "_position": pa.decimal128(38, 0),
    "_committed_at": INSTANT,
    "_is_deleted": pa.bool_(),
    "_moved_to": TEXT,
}


def day(text: str, hour: int = 12) -> datetime:
    return datetime.fromisoformat(text) + timedelta(hours=hour)


@dataclass
class Lake:
    """Lake tables in memory: rows by identity, and the rows that changed since a snapshot."""

    tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = field(default_factory=dict)
    changed_in: dict[tuple[Any, ...], int] = field(default_factory=dict)
    changed: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)
    extra: dict[str, dict[str, pa.DataType]] = field(default_factory=dict)
    clock: int = 0
    snapshot: int = 0

    def put(self, table: str, shard: str = "shard_0", at: int | None = None, **row: Any) -> None:
        """A change of a row of a shard; at: seconds after T0 at which it was committed."""
        self.clock += 1
        seconds = self.clock if at is None else at
        defaults = dict.fromkeys(self._columns(table))
        meta = {
            "_shard": shard,
            "_position": Decimal(10**34 + self.clock),
            "_committed_at": T0 + timedelta(seconds=seconds),
            "_is_deleted": False,
        }
        whole = defaults | meta | row
        identity = tuple(whole[name] for name in self.key(table))
        self.tables.setdefault(table, {})[identity] = whole
        self.changed.setdefault(table, set()).add(identity)
        self.changed_in[table, *identity] = self.snapshot

    def key(self, table: str) -> tuple[str, ...]:
        name = table.removesuffix("_history")
        key = FLICKR.table(name).key or ("_content_id",)
        return ("_shard", *key, *(("_position",) if table != name else ()))

    def load_into(self, settings: Settings, *, full: bool = False) -> list[str]:
        """Loads what changed since the last call, as the lake's feeds do; returns the tables."""
        since, self.snapshot = self.snapshot, self.snapshot + 1
        names = [*COLUMNS, "accounts_history", "subscriptions_history"]
        loaded = []
        with connect(settings) as connection:
            for table in names:
                identities = self.changed.pop(table, set())
                held = self.tables.get(table, {})
                rows = list(held.values()) if full else [held[each] for each in identities]
                arrow = pa.Table.from_pylist(rows, schema=pa.schema(self._columns(table)))
                start = None if full else since
                load(connection, Feed(table, self.key(table), arrow, self.snapshot, start, full))
                loaded += [table] if rows else []
        return loaded

    def rows(self) -> Iterator[tuple[str, pa.Table]]:
        """Each table, and its rows as a replica has them: with the time of a load of each."""
        for table in (*COLUMNS, "accounts_history", "subscriptions_history"):
            rows = [
                row | {"_loaded_at": T0 + timedelta(hours=self.changed_in[table, *identity])}
                for identity, row in self.tables.get(table, {}).items()
            ]
            columns = {**self._columns(table), "_loaded_at": INSTANT}
            yield table, pa.Table.from_pylist(rows, schema=pa.schema(columns))

    def _columns(self, table: str) -> Mapping[str, pa.DataType]:
        name = table.removesuffix("_history")
        return COLUMNS[name] | self.extra.get(table, {}) | LAKE_COLUMNS


def account(id_: int, **more: Any) -> dict[str, Any]:
    return {
        "id": Decimal(id_),
        "screen_name": f"member {id_}",
        "email": "a@example.org",
        "country": "DE",
        "plan": "free",
        "flags": "",
        "storage_bytes": Decimal(0),
        "signup_ip": b"\x7f\x00\x00\x01",
        "created_at": day("2025-06-01"),
        "updated_at": T0,
    } | more


def photo(id_: int, owner: int, size: int, **more: Any) -> dict[str, Any]:
    return {
        "id": Decimal(id_),
        "account_id": Decimal(owner),
        "title": f"photo {id_} 📷",
        "media": "photo",
        "visibility": "public",
        "license_id": 0,
        "content_hash": b"\x01" * 14 + b"\x00\x00",
        "bytes": size,
        "width": 4000,
        "height": 3000,
        "uploaded_at": day("2026-01-05"),
        "updated_at": T0,
    } | more


def members(lake: Lake) -> None:
    for shard in ("shard_0", "shard_1"):
        copy = {"_is_deleted": True, "_moved_to": "shard_0"} if shard == "shard_1" else {}
        lake.put("licenses", shard, id=0, code="ALL", name="Reserved", allows_sale=0, **copy)
        lake.put("licenses", shard, id=1, code="CC-BY", name="Attribution", allows_sale=1, **copy)
    ada = account(1, plan="pro", flags="verified,staff", storage_bytes=Decimal(3000))
    lake.put("accounts", **ada)
    lake.put("accounts", "shard_1", **account(2, storage_bytes=Decimal(500), city="Köln"))
    lake.put("accounts", **account(BIG), _is_deleted=True, _moved_to="shard_1")
    lake.put("accounts", "shard_1", **account(BIG))
    lake.put("accounts", **account(4), _is_deleted=True)
    history = "accounts_history"
    lake.put(history, at=10, **account(1))
    lake.put(history, at=11, **account(1, storage_bytes=Decimal(3000)))
    lake.put(history, at=20, **ada)
    lake.put(history, at=25, **ada)
    lake.put(history, "shard_1", at=10, **account(2, city="Köln"))
    lake.put(history, at=10, **account(BIG))
    lake.put(history, "shard_1", at=30, **account(BIG))
    lake.put(history, at=31, **account(BIG), _is_deleted=True)
    lake.put(history, at=10, **account(4))
    lake.put(history, at=40, **account(4), _is_deleted=True)


def photos(lake: Lake) -> None:
    exif = '{"camera": "µ4/3", "iso": 100, "lens": null}'
    taken = day("2026-01-01", 23)
    lake.put("photos", **photo(10, 1, 1000, license_id=1, exif=exif, taken_at=taken))
    video = {"media": "video", "duration": 61_500_000, "visibility": "private"}
    lake.put("photos", **photo(11, 1, 2000, **video))
    square = {"width": 100, "height": 100, "latitude": Decimal("1.5"), "longitude": Decimal("-2")}
    lake.put("photos", "shard_1", **photo(12, 2, 500, **square))
    lake.put("photos", **photo(13, 1, 9999), _is_deleted=True)
    made = day("2026-01-05")
    lake.put("albums", id=Decimal(1), account_id=Decimal(1), title="x", created_at=made)
    for number in (10, 11):
        album = {"album_id": Decimal(1), "photo_id": Decimal(number), "sort_order": number}
        lake.put("album_photos", **album, added_at=made)


def favorite(who: int, what: int, when: str) -> dict[str, Any]:
    return {"account_id": Decimal(who), "photo_id": Decimal(what), "created_at": day(when)}


def comment(id_: int, photo_id: int, spam: int = 0) -> dict[str, Any]:
    return {
        "id": Decimal(id_),
        "photo_id": Decimal(photo_id),
        "account_id": Decimal(2),
        "body": "",
        "is_spam": spam,
        "created_at": day("2026-01-06"),
    }


def view(id_: str, photo_id: int) -> dict[str, Any]:
    return {"_content_id": id_, "photo_id": Decimal(photo_id), "viewed_on": date(2026, 1, 6)}


def engagement(lake: Lake) -> None:
    lake.put("favorites", **favorite(2, 10, "2026-01-06"))
    lake.put("favorites", **favorite(BIG, 10, "2026-01-07"))
    lake.put("favorites", **favorite(1, 12, "2026-01-07"), _is_deleted=True)
    lake.put("comments", **comment(1, 10))
    lake.put("comments", **comment(2, 10, spam=1))
    for id_, photo_id in (("a", 10), ("b", 10), ("d", 11)):
        lake.put("photo_views", **view(id_, photo_id))
    lake.put("photo_views", **view("c", 10), _is_deleted=True)


def order(id_: int, owner: int, total: str, **more: Any) -> dict[str, Any]:
    return {
        "id": Decimal(id_),
        "account_id": Decimal(owner),
        "status": "shipped",
        "total": Decimal(total),
        "tax_rate": Decimal("0.2000"),
        "currency": "EUR",
        "placed_at": day("2026-01-10"),
        "updated_at": T0,
    } | more


CENTS = order(102, 2, "1.17", tax_rate=Decimal(0), currency="USD", placed_at=day("2026-01-11", 23))


def commerce(lake: Lake) -> None:
    lake.put("orders", **order(100, 1, "21.60", coupon=b"\xff\x00"))
    lake.put("orders", "shard_1", **order(101, 2, "6.00", status="refunded"))
    lake.put("orders", "shard_1", **CENTS)
    for number, line, what, product, quantity, price, shard in (
        (100, 1, 10, "mug", 2, "10.00", "shard_0"),
        (100, 2, 0, "discount", 1, "-2.00", "shard_0"),
        (101, 1, 12, "mug", 1, "5.00", "shard_1"),
        (102, 1, 12, "print", 3, "0.39", "shard_1"),
    ):
        row = {"order_id": Decimal(number), "line_number": line, "photo_id": Decimal(what)}
        lake.put(
            "order_items",
            shard,
            **row,
            product=product,
            quantity=quantity,
            unit_price=Decimal(price),
        )
    paid = {"plan": "pro", "price": Decimal("8.25"), "currency": "USD"}
    first = {"id": Decimal(200), "account_id": Decimal(1), "started_at": day("2025-11-15")} | paid
    second = {"id": Decimal(201), "account_id": Decimal(2), "started_at": day("2025-12-01")} | paid
    over = second | {"status": "cancelled", "cancelled_at": day("2026-01-20")}
    lake.put("subscriptions", **first, status="active")
    lake.put("subscriptions", "shard_1", **over)
    lake.put("subscriptions_history", at=10, **first, status="trial")
    lake.put("subscriptions_history", at=12, **first, status="past_due")
    lake.put("subscriptions_history", at=14, **first, status="active")
    lake.put("subscriptions_history", "shard_1", at=10, **second, status="active")
    lake.put("subscriptions_history", "shard_1", at=13, **over)


def first_lake() -> Lake:
    lake = Lake()
    for fill in (members, photos, engagement, commerce):
        fill(lake)
    return lake


def later_changes(lake: Lake) -> None:
    """Late changes and deletes, a refund, a move, and a column that came in mid-stream."""
    lake.extra["photos"] = {"alt_text": TEXT}
    lake.put("photos", "shard_1", **photo(12, 2, 700, alt_text="a dog"))
    lake.put("photos", **photo(11, 1, 2000), _is_deleted=True)
    lake.put("orders", "shard_1", **CENTS | {"status": "refunded"})
    # Late: committed before all that was loaded, of days before those that were counted.
    lake.put("favorites", at=0, **favorite(1, 10, "2026-01-04"))
    lake.put("favorites", at=0, **favorite(1, 12, "2026-01-05"))
    # The last of its day goes; one goes to another shard; one comes back.
    lake.put("favorites", **favorite(BIG, 10, "2026-01-07"), _is_deleted=True)
    lake.put("favorites", **favorite(2, 10, "2026-01-06"), _is_deleted=True, _moved_to="shard_1")
    lake.put("favorites", "shard_1", **favorite(2, 10, "2026-01-06"))
    lake.put("photo_views", **view("a", 10), _is_deleted=True)
    lake.put("photo_views", **view("c", 10))
    lake.put("photo_views", **view("d", 11), _is_deleted=True)
    lake.put("comments", **comment(1, 10), _is_deleted=True)
    # A comment that is on another photo now.
    lake.put("comments", **comment(2, 11, spam=1))
