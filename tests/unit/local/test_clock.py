from collections import Counter
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from smug_platform.local.activity.clock import FIRST_DAY, Clock

PROGRESS = st.floats(0, 3, allow_nan=False)


@given(PROGRESS, PROGRESS)
def test_time_goes_forward_with_progress(one: float, other: float) -> None:
    clock = Clock(FIRST_DAY, days=60, rng=Random(0))
    first, second = sorted((one, other))
    assert clock.at(first) <= clock.at(second)


def test_ticks_are_strictly_later_and_stay_near_their_turn() -> None:
    clock = Clock(FIRST_DAY, days=60, rng=Random(0))
    clock.move(0.5, 0.51, ticks=200)
    times = [clock.tick() for _ in range(200)]
    assert times == sorted(set(times))
    assert clock.at(0.5) < times[0]
    assert times[-1] < clock.at(0.51) + timedelta(hours=3)
    clock.move(0.1, 0.2, ticks=5)  # an earlier turn does not turn it back
    assert clock.tick() > times[-1]


def test_weekends_are_busy_and_the_business_grows() -> None:
    clock = Clock(FIRST_DAY, days=56, rng=Random(0))
    days = Counter((clock.at(i / 50_000) - FIRST_DAY).days for i in range(50_000))
    assert len(days) == 56
    for week in range(8):
        assert days[week * 7 + 6] > 1.5 * days[week * 7 + 2]
    assert 1.6 < sum(days[d] for d in range(49, 56)) / sum(days[d] for d in range(7)) < 2.1


def test_past_the_end_it_goes_on_at_the_same_pace() -> None:
    clock = Clock(FIRST_DAY, days=60, rng=Random(0))
    assert timedelta(days=30) < clock.at(2) - clock.at(1) < timedelta(days=60)
