"""The cases that the live numbers have a part in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.store import Store
from smug_platform.tables.flickr import FLICKR
from tests.lanes import LaneStream, changes_of
from tests.unit.realtime.flickr import Members, days_of, server

METRICS = ("uploads", "favorites", "comments", "orders", "revenue")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "live.db") as made:
        yield made


@pytest.mark.parametrize("copies", [2, 3, 100])
def test_J11_aggregates_are_not_counted_twice(store: Store, copies: int) -> None:
    shard, stream = server("shard_0"), LaneStream(most=50)
    consumer = Consumer(store, stream, FLICKR)  # type: ignore[arg-type]
    stream.publish(shard.name, 1, changes_of(shard.snapshot()))
    consumer.step()
    Members(shard, 3, 0).work(20)
    changes = changes_of(shard.new())
    for _ in range(copies):
        stream.publish(shard.name, 1, changes)
    step = consumer.step()
    assert (step.changes, step.duplicates) == (len(changes), (copies - 1) * len(changes))
    assert {name: sums_at(store, name) for name in METRICS} == days_of([shard])


def test_J12_an_older_update_after_a_newer_one_was_counted(store: Store) -> None:
    shard, stream = server("shard_0"), LaneStream(most=50)
    consumer = Consumer(store, stream, FLICKR)  # type: ignore[arg-type]
    stream.publish(shard.name, 1, changes_of(shard.snapshot()))
    order = {
        "id": 1,
        "status": "placed",
        "total": "5.00",
        "currency": "EUR",
        "placed_at": 60_000_000,
    }
    shard.do("orders", "insert", order)
    shard.do("orders", "update", {"id": 1}, total="7.00")
    shard.do("orders", "update", {"id": 1}, total="9.00")
    first, older, newer = changes_of(shard.new())
    for changes in ([first], [newer], [older]):
        stream.publish(shard.name, 1, changes)
        consumer.step()
    assert set(sums_at(store, "orders").values()) == {1}
