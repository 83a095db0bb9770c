"""What the generator remembers of the rows: who exists where, and what hangs on what.

Enough to write changes that hit: parents before children, children deleted with their parents, no
key twice. One `Town` is one shard. It is read from the shard at the start and kept up to date by
the activities, so that nothing has to be asked of the server in between.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pymysql.cursors import Cursor

from smug_platform.local.activity.pool import Pool
from smug_platform.local.activity.sql import Value

_VIEWS_KEPT = 500
_VIEW = "photo_id, viewer_country, referrer, viewed_on"
_TIMES = (
    ("accounts", "updated_at"),
    ("photos", "updated_at"),
    ("comments", "created_at"),
    ("orders", "updated_at"),
    ("favorites", "created_at"),
)


@dataclass(slots=True, eq=False)
class Account:
    """A member, on the shard that holds everything of theirs."""

    id: int
    country: str
    plan: str = "free"
    photos: "Pool[Photo]" = field(default_factory=lambda: Pool())
    albums: "Pool[Album]" = field(default_factory=lambda: Pool())
    subscriptions: "Pool[Subscription]" = field(default_factory=lambda: Pool())
    orders: "Pool[Order]" = field(default_factory=lambda: Pool())


@dataclass(slots=True, eq=False)
class Photo:
    """favorites: the accounts that like it; a dict, because its order is sure."""

    id: int
    account: Account
    bytes: int
    favorites: dict[int, None] = field(default_factory=dict)
    comments: "Pool[Comment]" = field(default_factory=lambda: Pool())
    albums: "Pool[Album]" = field(default_factory=lambda: Pool())


@dataclass(slots=True, eq=False)
class Album:
    """photos: in the album's order."""

    id: int
    account: Account
    photos: list[Photo] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Comment:
    """A comment on a photo."""

    id: int
    photo: Photo


@dataclass(slots=True, eq=False)
class Subscription:
    """A paid plan of an account."""

    id: int
    account: Account
    plan: str
    status: str


@dataclass(slots=True, eq=False)
class Order:
    """net: the sum of its lines; lines: the highest line number."""

    id: int
    account: Account
    status: str
    tax_rate: Decimal
    net: Decimal = Decimal(0)
    lines: int = 0


@dataclass(slots=True, eq=False)
class Town:
    """One shard. views: a few of the first page views; extra: columns photos got by ALTER."""

    index: int
    accounts: Pool[Account] = field(default_factory=Pool)
    photos: Pool[Photo] = field(default_factory=Pool)
    comments: Pool[Comment] = field(default_factory=Pool)
    subscriptions: Pool[Subscription] = field(default_factory=Pool)
    orders: Pool[Order] = field(default_factory=Pool)
    views: list[dict[str, Value]] = field(default_factory=list)
    extra: dict[str, None] = field(default_factory=dict)
    latest: datetime | None = None

    def remember_view(self, view: dict[str, Value]) -> None:
        """Keep a view for a later delete; only the first few, which a scan finds at once."""
        if len(self.views) < _VIEWS_KEPT:
            self.views.append(view)

    def used_ids(self) -> Iterator[int]:
        """Every id that came from the ticket server."""
        pools: tuple[Iterable[Any], ...] = (
            self.accounts,
            self.photos,
            self.comments,
            self.subscriptions,
            self.orders,
            (album for account in self.accounts for album in account.albums),
        )
        for pool in pools:
            for row in pool:
                yield row.id

    def settle(self, account: Account) -> int:
        """Take an account in with all that is theirs; returns how many rows that is."""
        return self._each(account, "add")

    def leave(self, account: Account) -> int:
        """Let an account go with all that is theirs; returns how many rows that is."""
        return self._each(account, "remove")

    def _each(self, account: Account, verb: str) -> int:
        rows = 1 + len(account.albums) + sum(len(album.photos) for album in account.albums)
        getattr(self.accounts, verb)(account)
        for photo in account.photos:
            getattr(self.photos, verb)(photo)
            for comment in photo.comments:
                getattr(self.comments, verb)(comment)
            rows += 1 + len(photo.comments) + len(photo.favorites)
        for subscription in account.subscriptions:
            getattr(self.subscriptions, verb)(subscription)
        for order in account.orders:
            getattr(self.orders, verb)(order)
            rows += order.lines
        return rows + len(account.subscriptions) + len(account.orders)


def read_town(
    index: int, cursor: Cursor, *, base_columns: frozenset[str], elsewhere: Container[int] = ()
) -> Town:
    """What a shard holds now. base_columns: those of photos that flickr.sql declares.

    Rows without a parent on this shard, as a person may have written them, are left alone; so is
    an account in `elsewhere`: a move that was killed half-way left it on two shards.
    """
    town = Town(index)
    accounts = {
        row[0]: Account(*row)
        for row in _rows(cursor, "accounts", "id, country, plan", "id")
        if row[0] not in elsewhere
    }
    photos = _read_photos(cursor, accounts)
    _read_albums(cursor, accounts, photos)
    _read_commerce(cursor, accounts)
    for account in accounts.values():
        town.settle(account)
    for view in _rows(cursor, "photo_views", _VIEW, "4, 1, 2, 3", limit=_VIEWS_KEPT):
        town.remember_view(dict(zip(_VIEW.split(", "), view, strict=True)))
    cursor.execute("SHOW COLUMNS FROM photos")
    town.extra = dict.fromkeys(c[0] for c in cursor.fetchall() if c[0] not in base_columns)
    for table, column in _TIMES:
        cursor.execute(f"SELECT MAX({column}) FROM {table}")
        times = [row[0].replace(tzinfo=UTC) for row in cursor.fetchall() if row[0]]
        town.latest = max(filter(None, [town.latest, *times]), default=None)
    return town


def _read_photos(cursor: Cursor, accounts: dict[int, Account]) -> dict[int, Photo]:
    photos: dict[int, Photo] = {}
    for photo_id, owner, size in _rows(cursor, "photos", "id, account_id, bytes", "id"):
        if account := accounts.get(owner):
            photos[photo_id] = Photo(photo_id, account, size)
            account.photos.add(photos[photo_id])
    for photo_id, fan in _rows(cursor, "favorites", "photo_id, account_id", "photo_id, account_id"):
        if photo := photos.get(photo_id):
            photo.favorites[fan] = None
    for comment_id, photo_id in _rows(cursor, "comments", "id, photo_id", "id"):
        if photo := photos.get(photo_id):
            photo.comments.add(Comment(comment_id, photo))
    return photos


def _read_albums(cursor: Cursor, accounts: dict[int, Account], photos: dict[int, Photo]) -> None:
    albums: dict[int, Album] = {}
    for album_id, owner in _rows(cursor, "albums", "id, account_id", "id"):
        if account := accounts.get(owner):
            albums[album_id] = Album(album_id, account)
            account.albums.add(albums[album_id])
    order = "album_id, sort_order, photo_id"
    for album_id, photo_id in _rows(cursor, "album_photos", "album_id, photo_id", order):
        album, photo = albums.get(album_id), photos.get(photo_id)
        if album and photo:
            album.photos.append(photo)
            photo.albums.add(album)


def _read_commerce(cursor: Cursor, accounts: dict[int, Account]) -> None:
    columns = "id, account_id, plan, status"
    for number, owner, plan, status in _rows(cursor, "subscriptions", columns, "id"):
        if account := accounts.get(owner):
            account.subscriptions.add(Subscription(number, account, plan, status))
    orders: dict[int, Order] = {}
    columns = "id, account_id, status, tax_rate"
    for number, owner, status, tax_rate in _rows(cursor, "orders", columns, "id"):
        if account := accounts.get(owner):
            orders[number] = Order(number, account, status, tax_rate)
            account.orders.add(orders[number])
    columns = "order_id, line_number, quantity * unit_price"
    for number, line, amount in _rows(cursor, "order_items", columns, "order_id, line_number"):
        if order := orders.get(number):
            order.net += amount
            order.lines = line


def _rows(
    cursor: Cursor, table: str, columns: str, order: str, *, limit: int | None = None
) -> list[tuple[Any, ...]]:
    end = "" if limit is None else f" LIMIT {limit}"
    cursor.execute(f"SELECT {columns} FROM {table} ORDER BY {order}{end}")
    return list(cursor.fetchall())
