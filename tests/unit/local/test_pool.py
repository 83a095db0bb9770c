from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_platform.local.activity.pool import Pool


@given(st.lists(st.integers(0, 20)))
def test_it_holds_what_was_added_and_not_removed(toggles: list[int]) -> None:
    pool: Pool[int] = Pool()
    held: set[int] = set()
    for item in toggles:
        (pool.remove if item in held else pool.add)(item)
        held ^= {item}
        assert set(pool) == held
        assert len(pool) == len(held)
        assert all((i in pool) == (i in held) for i in range(21))


def test_an_empty_pool_has_nothing_to_pick() -> None:
    assert Pool().pick(Random(0)) is None
    with pytest.raises(KeyError):
        Pool().remove(1)


def test_a_lean_prefers_the_first() -> None:
    rng, pool = Random(0), Pool(list(range(1000)))
    picks = [pool.pick(rng, lean=3) for _ in range(5000)]
    assert 0.18 < sum(pick is not None and pick < 10 for pick in picks) / 5000 < 0.26
    assert len(set(picks)) > 500
