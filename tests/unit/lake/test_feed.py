"""The change feed, and what compaction does to it."""

from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog

from smug_platform.lake import merge as merging
from smug_platform.lake.compact import MAX_FILES, compact, debt
from smug_platform.lake.feed import Feed, current_snapshots, feed
from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from tests.history import Shard
from tests.unit.lake.test_merge import COLUMNS, PHOTOS, land, live, new_catalog, rows

TARGET = Target(PHOTOS)


class Source:
    """A shard whose changes are landed and merged as they are made."""

    def __init__(self, folder: Path) -> None:
        self.catalog: Catalog = new_catalog(folder)
        self.shard = Shard("shard_0", "photos", COLUMNS)
        self.shard.snapshot()
        self.landed = 0

    def insert(self, *ids: int) -> None:
        self.shard.insert(*[{"id": id_, "title": "a", "n": 0} for id_ in ids])

    def land(self) -> None:
        land(self.catalog, self.shard.deltas[self.landed :])
        self.landed = len(self.shard.deltas)

    def merge(self) -> int:
        self.land()
        assert merge(self.catalog, TARGET).commits == 1
        return current_snapshots(self.catalog, (TARGET,))["photos"]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def changed(found: Feed | None) -> list[tuple[Any, ...]]:
    assert found is not None
    return sorted((int(r["id"]), r["title"], r["_is_deleted"]) for r in found.rows.to_pylist())


def test_first_feed_is_the_whole_table(source: Source) -> None:
    source.insert(1, 2)
    source.merge()
    found = feed(source.catalog, TARGET, None)
    assert found is not None
    assert found.full
    assert found.key == ("_shard", "id")
    assert changed(found) == [(1, "a", False), (2, "a", False)]


def test_feed_is_what_changed_since(source: Source) -> None:
    source.insert(1, 2, 3)
    since = source.merge()
    source.shard.update({"id": 1}, title="b")
    source.merge()
    source.shard.update({"id": 1}, title="c")
    source.shard.delete({"id": 2})
    source.merge()
    found = feed(source.catalog, TARGET, since)
    assert found is not None
    assert not found.full
    assert changed(found) == [(1, "c", False), (2, "a", True)]
    assert feed(source.catalog, TARGET, found.snapshot_id) is None


def test_feed_goes_on_over_a_compaction(source: Source) -> None:
    source.insert(1, 2)
    since = source.merge()
    source.shard.update({"id": 1}, title="b")
    source.merge()
    assert compact(source.catalog, TARGET)
    source.shard.update({"id": 2}, title="c")
    source.merge()
    assert changed(feed(source.catalog, TARGET, since)) == [(1, "b", False), (2, "c", False)]


def test_unknown_snapshot_feeds_the_whole_table(source: Source) -> None:
    source.insert(1)
    source.merge()
    found = feed(source.catalog, TARGET, 12345)
    assert found is not None
    assert found.full


def test_compaction_keeps_the_rows_and_clears_the_debt(source: Source) -> None:
    for number in range(5):
        source.insert(number)
        source.merge()
        source.shard.update({"id": 0}, n=number + 100)
        source.merge()
    before = rows(source.catalog, TARGET)
    assert debt(source.catalog, TARGET).delete_files >= 4
    assert compact(source.catalog, TARGET)
    after = debt(source.catalog, TARGET)
    assert (after.data_files, after.delete_files, after.rows) == (1, 0, 5)
    order = lambda row: row["id"]  # noqa: E731
    assert sorted(rows(source.catalog, TARGET), key=order) == sorted(before, key=order)
    assert not compact(source.catalog, TARGET)
    source.shard.delete({"id": 3})
    source.merge()
    assert [id_ for (id_,) in live(rows(source.catalog, TARGET), ["id"])] == [0, 1, 2, 4]


def test_debt_is_due_past_the_bound(source: Source) -> None:
    source.insert(1)
    source.merge()
    assert not debt(source.catalog, TARGET).due
    assert MAX_FILES > 1


def test_merge_that_lands_meanwhile_makes_compaction_plan_anew(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.insert(1)
    source.merge()
    source.insert(2)
    source.merge()
    from smug_platform import iceberg

    commit = iceberg.commit

    def with_a_merge_first(*arguments: Any, **more: Any) -> int:
        monkeypatch.setattr(iceberg, "commit", commit)
        staged = commit(*arguments, **more)
        source.insert(3)
        source.merge()
        return staged

    monkeypatch.setattr(iceberg, "commit", with_a_merge_first)
    assert compact(source.catalog, TARGET)
    assert [id_ for (id_,) in live(rows(source.catalog, TARGET), ["id"])] == [1, 2, 3]
    assert debt(source.catalog, TARGET).data_files == 1


def test_second_writer_plans_anew(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """J20: two merges at once; the later one's commit fails and finds nothing left to do."""
    source.insert(1)
    source.merge()
    source.insert(2)
    land(source.catalog, source.shard.deltas[source.landed :])
    inner = merging._merge_batch

    def after_another(*arguments: Any) -> Any:
        monkeypatch.setattr(merging, "_merge_batch", inner)
        transaction_table = source.catalog.load_table("lake.photos")
        merge(source.catalog, TARGET)
        return inner(arguments[0], arguments[1], transaction_table, arguments[3])

    monkeypatch.setattr(merging, "_merge_batch", after_another)
    assert merge(source.catalog, TARGET).commits == 0
    assert [id_ for (id_,) in live(rows(source.catalog, TARGET), ["id"])] == [1, 2]


def test_feed_after_many_merges_and_expiry(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    from smug_platform.iceberg import change

    monkeypatch.setattr(change, "_KEEP", 4)
    source.insert(1)
    first = source.merge()
    for number in range(12):
        source.shard.update({"id": 1}, n=number)
        source.merge()
    assert len(source.catalog.load_table("lake.photos").metadata.snapshots) < 9
    found = feed(source.catalog, TARGET, first)
    assert found is not None
    assert found.full
    assert found.rows["n"].to_pylist() == [11]
