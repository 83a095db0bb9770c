"""Photos and albums: uploads, edits, ratings, albums made and reordered, deletes with children.

An account's storage_bytes is the sum of its photos' bytes at any moment.
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from smug_platform.local.activity import words
from smug_platform.local.activity.sql import Expression, Value
from smug_platform.local.activity.turn import Turn
from smug_platform.local.activity.world import Account, Album, Photo

_VISIBILITY = ("public", "public", "public", "public", "friends", "family", "private")
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_MICRODEGREE = Decimal("0.000001")


def upload(turn: Turn) -> None:
    """A member uploads some photos in a row, and the storage counter follows."""
    account = turn.hot_account() if turn.rng.random() < 0.15 else turn.member()
    if account is None:
        return
    photos = [_add(turn, account) for _ in range(turn.rng.randint(1, 12))]
    _store(turn, account, sum(photo.bytes for photo in photos))
    if account.albums and turn.rng.random() < 0.3:
        album = account.albums.pick(turn.rng)
        if album is not None:
            _fill(turn, album, photos)


def edit(turn: Turn) -> None:
    """A new title, text, visibility, license or place."""
    photo = turn.photo()
    if photo is None:
        return
    rng = turn.rng
    changes: tuple[dict[str, Value], ...] = (
        {"title": words.title(rng), "tags": words.tags(rng)},
        {"description": words.sentences(rng)},
        {"description": rng.choice(("", None))},
        {"visibility": rng.choice(_VISIBILITY)},
        {"license_id": rng.randint(0, 10)},
        dict(zip(("latitude", "longitude"), _place(turn), strict=True)),
        _extra(turn),
    )
    _update(turn, photo, rng.choice(changes))
    turn.did("edit_photo")


def rate(turn: Turn) -> None:
    """The rating of a photo moves: nearly always of one of the famous ones."""
    photo = turn.photo(hot=0.85)
    if photo is not None:
        _update(turn, photo, {"rating": _rating(turn)})
        turn.did("rate_photo")


def make_album(turn: Turn) -> None:
    """A member gathers photos in a new album."""
    account = turn.member()
    if account is None or not account.photos:
        return
    rng, now = turn.rng, turn.clock.tick()
    album = Album(turn.ticket(), account)
    photos = list(account.photos)
    chosen = rng.sample(photos, min(len(photos), rng.randint(1, 12)))
    turn.transaction.insert(
        "albums",
        {
            "id": album.id,
            "account_id": account.id,
            "title": words.title(rng) or "album",
            "is_public": rng.random() < 0.8,
            "photo_count": 0,
            "founded": rng.choice((None, 1901, 1969, 2155, now.year)),
            "created_at": now,
        },
    )
    account.albums.add(album)
    _fill(turn, album, chosen)
    turn.did("make_album")


def reorder_album(turn: Turn) -> None:
    """A member moves an album's last photo to the front: each place in between changes."""
    account = turn.member()
    album = account.albums.pick(turn.rng) if account else None
    if album is None or len(album.photos) < 2:
        return
    album.photos.insert(0, album.photos.pop())
    low = -int((turn.clock.tick() - _EPOCH).total_seconds())
    for place, photo in enumerate(album.photos[:8]):
        turn.transaction.update(
            "album_photos",
            {"sort_order": low + place},
            {"album_id": album.id, "photo_id": photo.id},
        )
    turn.did("reorder_album")


def remove(turn: Turn) -> None:
    """A photo goes, and its comments, favorites and album places before it."""
    photo = turn.town.photos.pick(turn.rng)
    if photo is None or photo in turn.town.photos.first(10):
        return
    for table, rows in (
        ("comments", len(photo.comments)),
        ("favorites", len(photo.favorites)),
        ("album_photos", len(photo.albums)),
    ):
        turn.transaction.delete(table, {"photo_id": photo.id}, rows=rows)
    turn.transaction.delete("photos", {"id": photo.id})
    for album in photo.albums:
        album.photos.remove(photo)
        _count(turn, album)
    for comment in photo.comments:
        turn.town.comments.remove(comment)
    turn.town.photos.remove(photo)
    photo.account.photos.remove(photo)
    _store(turn, photo.account, -photo.bytes)
    turn.did("delete_photo")


def _add(turn: Turn, account: Account) -> Photo:
    rng, now = turn.rng, turn.clock.tick()
    photo = Photo(turn.ticket(), account, rng.randint(40_000, 24_000_000))
    video = rng.random() < 0.06
    latitude, longitude = _place(turn)
    row: dict[str, Value] = {
        "id": photo.id,
        "account_id": account.id,
        "title": words.title(rng),
        "description": rng.choice((None, "", words.sentences(rng))),
        "media": "video" if video else rng.choice(("photo",) * 19 + ("screenshot",)),
        "visibility": rng.choice(_VISIBILITY),
        "license_id": rng.choice((0, 0, 0, rng.randint(1, 10))),
        "tags": words.tags(rng),
        "exif": _exif(turn),
        "content_hash": rng.randbytes(14) + rng.choice((b"\0\0", b"\x20\0", rng.randbytes(2))),
        "bytes": photo.bytes,
        "width": rng.randint(320, 9504),
        "height": rng.randint(240, 16_777_215 if rng.random() < 0.001 else 6336),
        "latitude": latitude,
        "longitude": longitude,
        "rating": rng.choice((None, _rating(turn))),
        "duration": timedelta(milliseconds=rng.randint(500, 90_000_000)) if video else None,
        "taken_at": _taken_at(turn),
        "uploaded_at": now,
        "updated_at": now,
    }
    turn.transaction.insert("photos", row | _extra(turn))
    account.photos.add(photo)
    turn.town.photos.add(photo)
    turn.did("upload")
    return photo


def _update(turn: Turn, photo: Photo, change: dict[str, Value]) -> None:
    turn.transaction.update("photos", change | {"updated_at": turn.clock.tick()}, {"id": photo.id})


def _store(turn: Turn, account: Account, size: int) -> None:
    counter = Expression(
        f"`storage_bytes` + {size}"
        if size >= 0
        else f"GREATEST(`storage_bytes`, {-size}) - {-size}"  # a photo put in by hand counts 0
    )
    turn.transaction.update(
        "accounts",
        {"storage_bytes": counter, "updated_at": turn.clock.tick()},
        {"id": account.id},
    )


def _fill(turn: Turn, album: Album, photos: list[Photo]) -> None:
    for photo in photos:
        turn.transaction.insert(
            "album_photos",
            {
                "album_id": album.id,
                "photo_id": photo.id,
                "sort_order": len(album.photos),
                "added_at": turn.clock.tick(),
            },
        )
        album.photos.append(photo)
        photo.albums.add(album)
    _count(turn, album)


def _count(turn: Turn, album: Album) -> None:
    turn.transaction.update("albums", {"photo_count": len(album.photos)}, {"id": album.id})


def _extra(turn: Turn) -> dict[str, Value]:
    """Values for the columns that this shard's photos have been given by ALTER TABLE."""
    values: dict[str, Value] = {}
    if "safety_level" in turn.town.extra:
        values["safety_level"] = turn.rng.choice((1, 1, 1, 2, 3))
    if "alt_text" in turn.town.extra:
        values["alt_text"] = turn.rng.choice((None, "", words.sentences(turn.rng)[:500]))
    return values


def _rating(turn: Turn) -> float:
    return turn.rng.choice((0.0, 16777216.0, round(turn.rng.uniform(-1, 5), 2)))


def _place(turn: Turn) -> tuple[Decimal | None, Decimal | None]:
    rng = turn.rng
    if rng.random() < 0.4:
        return None, None
    if rng.random() < 0.02:  # Null Island, and the far corner
        return rng.choice(((Decimal(0), Decimal(0)), (Decimal(-90), Decimal(-180))))
    return tuple(  # type: ignore[return-value]
        Decimal(rng.uniform(-limit, limit)).quantize(_MICRODEGREE) for limit in (90, 180)
    )


def _taken_at(turn: Turn) -> datetime | None:
    """Most were taken in the last years; a scan may be of 1931, and some cameras know no date."""
    chance = turn.rng.random()
    if chance < 0.1:
        return None
    micros = timedelta(microseconds=turn.rng.randrange(1_000_000))
    if chance < 0.15:
        scanned = datetime(1931, 5, 1, tzinfo=UTC)
        return scanned + timedelta(days=turn.rng.randrange(14_000)) + micros
    return turn.clock.now - timedelta(minutes=turn.rng.randrange(2_000_000)) + micros


def _exif(turn: Turn) -> str | None:
    rng = turn.rng
    if rng.random() < 0.25:
        return None
    return json.dumps(
        {
            "camera": rng.choice(words.CAMERAS),
            "iso": 100 * 2 ** rng.randint(0, 7),
            "f": rng.choice((1.4, 2.8, 5.6, 11)),
            "exposure": rng.choice(("1/250", "1/60", "30")),
            "lens": None,
        },
        ensure_ascii=False,
    )
