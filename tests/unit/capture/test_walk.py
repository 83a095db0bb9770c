"""What of a table's changes is left out while its rows are read."""

from dataclasses import replace

import pytest

from smug_platform.capture.change import Change
from smug_platform.capture.state import State, Unread
from smug_platform.capture.walk import is_being_sent, is_sent, without_unread


def changes(*keys: str | None) -> list[Change]:
    return [Change("shard_0.flickr.photos", key, "{}") for key in keys]


@pytest.mark.parametrize(
    ("low", "high", "stay"),
    [
        pytest.param(None, None, [], id="nothing-read"),
        pytest.param(None, ("7",), ["8"], id="the-first-piece-failed"),
        pytest.param(("5",), ("7",), ["4", "5", "8"], id="amid"),
        pytest.param(("7",), ("7",), ["4", "5", "6", "7", "8"], id="at-its-end"),
    ],
)
def test_rows_that_are_yet_to_be_read_have_no_changes(
    low: tuple[str, ...] | None, high: tuple[str, ...] | None, stay: list[str]
) -> None:
    unread = Unread("photos", low=low, high=high, numbers=("id",))
    found = without_unread(changes(*(f'{{"id":{key}}}' for key in range(4, 9))), [unread])
    assert [change.key for change in found] == [f'{{"id":{key}}}' for key in stay]


def test_keys_of_several_columns_are_compared_in_the_order_of_the_key() -> None:
    unread = Unread(
        "photos", low=("2", "-5"), high=("18446744073709551615", "0"), numbers=("b", "a")
    )
    pairs = [(9, 1), (-5, 2), (-4, 2), (0, 18446744073709551615), (1, 18446744073709551615)]
    found = without_unread(changes(*(f'{{"a":{a},"b":{b}}}' for a, b in pairs)), [unread])
    assert [change.key for change in found] == [
        f'{{"a":{a},"b":{b}}}' for a, b in (pairs[0], pairs[1], pairs[4])
    ]


def test_what_an_earlier_run_may_have_sent_stays_in_doubt_until_it_is_read_that_far() -> None:
    left = Unread("photos", low=("40",), high=("900",), rows=4, numbers=("id",), sent=("200",))
    state = State(1, 7, None, "first", (), unread=(Unread("texts"), left))
    steps = [replace(left, low=(low,), rows=rows) for low, rows in (("90", 5), ("1000", 6))]
    found = []
    for now in steps:
        state = is_being_sent(state, now=now)
        found.append(state.unread[1])
        state = is_sent(state, now=now)
        found.append(state.unread[1])
    assert [(one.low, one.sent) for one in found] == [
        (("40",), ("200",)),
        (("90",), ("200",)),
        (("90",), ("1000",)),
        (("1000",), ("1000",)),
    ]
    assert state.unread[0] == Unread("texts")


def test_nothing_else_is_left_out() -> None:
    unread = [Unread("photos", numbers=("id",)), Unread("texts")]
    others = [
        *changes(None),
        Change("shard_0", '{"databaseName":"flickr"}', "{}"),
        Change("shard_0.flickr.photos_old", '{"id":1}', "{}"),
        Change("shard_0.flickr.texts", '{"id":"a"}', "{}"),
    ]
    assert without_unread(others, unread) == others
