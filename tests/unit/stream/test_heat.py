"""How evenly the stream is written: the hottest lane and key, and for how long that counts."""

from smug_platform.capture.change import Change
from smug_platform.capture.sink import is_hot
from smug_platform.stream import heat
from smug_platform.stream.heat import Thermometer, sample
from smug_platform.stream.lanes import LANES


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def change(key: int | None, table: str = "photos") -> Change:
    return Change(f"shard_0.flickr.{table}", b'{"id":%d}' % key if key else None, b"{}")


def test_a_key_that_most_goes_to_is_named_with_its_lane() -> None:
    counted = Thermometer(Clock())
    for number in range(2_000):
        counted.count(change(7), 3, 80)
        counted.count(change(100 + number), number % LANES, 20)
    found = counted.read()
    assert found is not None
    assert (found.records, found.bytes, found.lane) == (4_000, 200_000, 3)
    assert (found.key, found.key_share) == ('photos {"id":7}', 0.8)
    assert found.lane_share == 0.8 + 0.2 / LANES
    assert is_hot(found, 0.5)
    assert not is_hot(found, 0.9)


def test_spread_keys_are_not_hot_and_few_changes_tell_nothing() -> None:
    counted = Thermometer(Clock())
    for number in range(16_000):
        counted.count(change(number + 1), number % LANES, 100)
    found = counted.read()
    assert found is not None
    assert found.lane_share == 1 / LANES
    assert not is_hot(found, 0.5)
    one = Thermometer(Clock())
    one.count(change(None, "photo_views"), 5, 100)
    found = one.read()
    assert found is not None
    assert (found.key, found.lane_share) == ("photo_views", 1.0)
    assert not is_hot(found, 0.5)


def test_what_is_two_minutes_old_no_longer_counts() -> None:
    clock = Clock()
    counted = Thermometer(clock)
    assert counted.read() is None
    counted.count(change(1), 1, 300)
    clock.now = 61
    counted.read()
    counted.count(change(2), 2, 100)
    clock.now = 62
    found = counted.read()
    assert found is not None
    assert (found.lane, found.lane_share) == (1, 0.75)
    clock.now = 122
    found = counted.read()
    assert found is not None
    assert (found.lane, found.lane_share) == (2, 1.0)
    clock.now = 300
    assert counted.read() is None


def test_a_hot_key_is_still_told_where_keys_are_too_many_to_keep() -> None:
    clock = Clock()
    counted = Thermometer(clock)
    for number in range(heat._MOST_KEYS + 5_000):
        counted.count(change(10 + number), number % LANES, 10)
        counted.count(change(1), 0, 10)
        if number % 1_000 == 0:
            clock.now += 2
            counted.read()
            assert len(counted._now.keys) <= heat._MOST_KEYS
    clock.now += 2
    found = counted.read()
    assert found is not None
    assert found.key == 'photos {"id":1}'
    assert found.key_share == 0.5


def test_of_a_large_batch_a_sample_stands_for_all_of_it() -> None:
    """One in four changes is of one row."""
    counted = Thermometer(Clock())
    batch = [change(1 if number % 4 == 0 else 100 + number) for number in range(4096)]
    for _ in range(200):
        taken = list(sample(batch))
        assert len(taken) == 256
        for one, times in taken:
            counted.count(one, 0, 100, times)
    found = counted.read()
    assert found is not None
    assert (found.records, found.bytes) == (200 * 4096, 200 * 4096 * 100)
    assert found.key == 'photos {"id":1}'
    assert 0.2 < found.key_share < 0.3


def test_of_a_small_batch_each_change_counts() -> None:
    batch = [change(number) for number in range(1, 511)]
    assert list(sample(batch)) == [(one, 1) for one in batch]
