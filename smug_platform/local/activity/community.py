"""What members do with each other's photos: favorites, comments, views, and keys that change."""

from smug_platform.local.activity import words
from smug_platform.local.activity.sql import Value
from smug_platform.local.activity.turn import Turn
from smug_platform.local.activity.world import Comment, Photo


def favorite(turn: Turn) -> None:
    """An account of any shard likes a photo of this one."""
    photo, fan = turn.photo(hot=0.35), turn.anyone()
    if photo is None or fan is None or fan.id in photo.favorites:
        return
    turn.transaction.insert(
        "favorites",
        {"account_id": fan.id, "photo_id": photo.id, "created_at": turn.clock.tick()},
    )
    photo.favorites[fan.id] = None
    turn.did("favorite")


def unfavorite(turn: Turn) -> None:
    """Somebody likes a photo no more."""
    photo = _liked(turn)
    if photo is not None:
        fan = turn.rng.choice(list(photo.favorites))
        turn.transaction.delete("favorites", {"account_id": fan, "photo_id": photo.id})
        del photo.favorites[fan]
        turn.did("unfavorite")


def move_favorite(turn: Turn) -> None:
    """A favorite goes to another photo: its primary key changes."""
    photo, other = _liked(turn), turn.photo(hot=0)
    if photo is None or other is None:
        return
    fans = [fan for fan in photo.favorites if fan not in other.favorites]
    if fans:
        fan = turn.rng.choice(fans)
        turn.transaction.update(
            "favorites", {"photo_id": other.id}, {"account_id": fan, "photo_id": photo.id}
        )
        del photo.favorites[fan]
        other.favorites[fan] = None
        turn.did("move_favorite")


def comment(turn: Turn) -> None:
    """An account of any shard comments on a photo of this one."""
    photo, author = turn.photo(hot=0.3), turn.anyone()
    if photo is None or author is None:
        return
    said = Comment(turn.ticket(), photo)
    turn.transaction.insert(
        "comments",
        {
            "id": said.id,
            "photo_id": photo.id,
            "account_id": author.id,
            "body": words.sentences(turn.rng) if turn.rng.random() < 0.99 else "",
            "is_spam": 0,
            "created_at": turn.clock.tick(),
            "edited_at": None,
        },
    )
    photo.comments.add(said)
    turn.town.comments.add(said)
    turn.did("comment")


def edit_comment(turn: Turn) -> None:
    """A comment is edited, or found to be spam."""
    said = turn.town.comments.pick(turn.rng)
    if said is None:
        return
    change: dict[str, Value] = {"edited_at": turn.clock.tick()}
    if turn.rng.random() < 0.3:
        change |= {"is_spam": turn.rng.choice((0, 1, 1, 2))}
        turn.did("flag_comment")
    else:
        change |= {"body": words.sentences(turn.rng)}
        turn.did("edit_comment")
    turn.transaction.update("comments", change, {"id": said.id})


def renumber_comment(turn: Turn) -> None:
    """A comment gets a new id: its primary key changes."""
    said = turn.town.comments.pick(turn.rng)
    if said is not None:
        old, said.id = said.id, turn.ticket()
        turn.transaction.update("comments", {"id": said.id}, {"id": old})
        turn.did("renumber_comment")


def view(turn: Turn) -> None:
    """One sampled view; one in six comes again, equal to the last byte."""
    photo = turn.photo(hot=0.5)
    if photo is None:
        return
    rng = turn.rng
    row: dict[str, Value] = {
        "photo_id": photo.id,
        "viewer_country": words.country(rng) if rng.random() < 0.9 else None,
        "referrer": rng.choice(words.REFERRERS),
        "viewed_on": turn.clock.tick().date(),
    }
    for _ in range(1 + (rng.random() < 0.17)):
        turn.transaction.insert("photo_views", row)
        turn.town.remember_view(row)
        turn.did("view")


def unview(turn: Turn) -> None:
    """One view was a robot's: one of the rows that are equal goes."""
    if turn.town.views:
        row = turn.town.views.pop(turn.rng.randrange(len(turn.town.views)))
        turn.transaction.delete("photo_views", row, limit=1)
        turn.did("unview")


def _liked(turn: Turn) -> Photo | None:
    """A photo that has a favorite, if a few looks find one."""
    looks = (turn.photo(hot=0.1) for _ in range(8))
    return next((photo for photo in looks if photo and photo.favorites), None)
