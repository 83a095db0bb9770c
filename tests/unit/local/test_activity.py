"""What members do, played on shards that exist only in memory."""

import re
from collections.abc import Iterator
from decimal import Decimal
from random import Random

from smug_platform.local.activity import words
from smug_platform.local.activity.clock import FIRST_DAY, Clock
from smug_platform.local.activity.plan import FOUNDING, MIX
from smug_platform.local.activity.sql import Transaction
from smug_platform.local.activity.tickets import TicketServer
from smug_platform.local.activity.turn import Turn
from smug_platform.local.activity.world import Account, Album, Comment, Order, Photo, Town


def play(seed: int, turns: int = 12) -> Iterator[tuple[Town, Transaction]]:
    rng = Random(seed)
    clock, tickets = Clock(FIRST_DAY, days=60, rng=rng), TicketServer()
    towns = [Town(0), Town(1)]
    for number in range(turns):
        town = towns[number % 2]
        clock.move(number / turns, (number + 1) / turns, ticks=500)
        turn = Turn(rng, clock, tickets, towns, town, Transaction())
        for activity, often in FOUNDING if number < 2 else MIX:
            for _ in range(int(often + rng.random())):
                activity(turn)
        yield town, turn.transaction


def text(seed: int) -> list[str]:
    return [s for _, transaction in play(seed) for s in transaction.statements()]


def test_a_seed_gives_the_same_statements() -> None:
    assert text(3) == text(3)
    assert text(3) != text(4)


def test_every_kind_occurs() -> None:
    kinds = {kind for _, transaction in play(5, turns=60) for kind in transaction.kinds}
    assert kinds == {
        *("sign_up", "edit_profile", "subscription_trial", "subscription_active"),
        *("subscription_past_due", "subscription_upgrade", "subscription_cancelled"),
        *("upload", "edit_photo", "rate_photo", "make_album", "reorder_album", "delete_photo"),
        *("favorite", "unfavorite", "move_favorite", "view", "unview"),
        *("comment", "edit_comment", "flag_comment", "renumber_comment"),
        *("place_order", "order_printed", "order_shipped", "refund", "refund_part"),
    }


def test_a_few_rows_take_a_large_part_of_the_updates() -> None:
    updated = re.findall(r"UPDATE `photos` SET .* WHERE `id`=(\d+)", "\n".join(text(1)))
    famous = sorted(updated, key=updated.count, reverse=True)
    assert updated.count(famous[0]) > len(updated) / 25


def test_hard_values_occur() -> None:
    sent = "\n".join(s for _, t in play(2, turns=40) for s in t.statements())
    for wanted in (
        "👩‍👩‍👧‍👦",
        "\u0301",
        "ß",
        "''",
        "NULL",
        "'19",
        "-90,-180",
        ",0,",
        "\\\\o/",
        "X'",
    ):
        assert wanted in sent, wanted
    assert any(int(number) >= 2**63 for number in re.findall(r"\d{19}", sent))


def test_latin1_columns_get_latin1_text() -> None:
    for _, _, _, cities in words.COUNTRIES.values():
        for city in cities:
            city.encode("latin1")


def moving_town() -> tuple[Town, Account]:
    town, account = Town(0), Account(1, "DE")
    photo, album = Photo(2, account, 10), Album(3, account)
    photo.favorites |= {7: None, 8: None}
    photo.comments.add(Comment(4, photo))
    album.photos.append(photo)
    account.photos.add(photo)
    account.albums.add(album)
    account.orders.add(Order(5, account, "placed", Decimal(0), lines=3))
    town.settle(account)
    return town, account


def test_an_account_leaves_with_all_its_rows() -> None:
    town, account = moving_town()
    other = Town(1)
    assert sorted(town.used_ids()) == [1, 2, 3, 4, 5]
    # account, photo, two favorites, comment, album, its place, order, three lines
    assert town.leave(account) == 11
    assert list(town.used_ids()) == []
    assert other.settle(account) == 11
    assert sorted(other.used_ids()) == [1, 2, 3, 4, 5]
