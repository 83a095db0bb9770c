"""Words are put in order and looked up as NumPy does it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_platform.scan import native

WORDS = st.lists(
    st.one_of(st.integers(0, 20), st.integers(2**44, 2**44 + 9), st.integers(0, 2**64 - 1)),
    max_size=60,
)


@given(WORDS)
def test_the_order_is_stable(words: list[int]) -> None:
    given_ = np.array(words, np.uint64)
    assert native.order(given_).tolist() == np.argsort(given_, kind="stable").tolist()


def test_many_words_are_put_in_order() -> None:
    words = np.random.default_rng(7).integers(0, 2**64, 100_000, np.uint64)
    assert (native.order(words) == np.argsort(words, kind="stable")).all()


def test_a_column_of_a_wider_array_is_put_in_order() -> None:
    pairs = np.array([[3, 0], [1, 9], [2, 5]], np.uint64)
    assert native.order(pairs[:, 0]).tolist() == [1, 2, 0]


@given(WORDS, WORDS)
def test_matches_are_all_pairs_that_are_equal(words: list[int], asked: list[int]) -> None:
    words, asked = sorted(words), sorted(set(asked))
    query, found = native.matches(np.array(words, np.uint64), np.array(asked, np.uint64))
    assert list(zip(query.tolist(), found.tolist(), strict=True)) == [
        (number, at)
        for number, one in enumerate(asked)
        for at, word in enumerate(words)
        if word == one
    ]


@pytest.mark.parametrize("kind", ["<u8", "<i4"])
def test_values_are_taken_from_their_places(kind: str) -> None:
    values = np.arange(100, dtype=kind) * 7
    places = np.array([99, 0, 50, 50], np.int64)
    assert native.take(values, places).tolist() == [693, 0, 350, 350]
    assert native.take(values, places).dtype == values.dtype
