"""Batches that are larger than memory allows: in parts, as one commit all the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.lake import batch as batches
from smug_platform.lake import merge as merging
from smug_platform.lake.batch import MEMORY, allowed, next_batch
from smug_platform.lake.merge import merge, name_of
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from tests.history import Shard
from tests.unit.lake.test_merge import COLUMNS, PHOTOS, land, live, new_catalog, rows

TARGET = Target(PHOTOS)
ROWS = 3000


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return new_catalog(tmp_path)


@pytest.fixture
def photos() -> Shard:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert(*[{"id": number, "title": f"photo {number}"} for number in range(ROWS)])
    return shard


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[set[int]]]:
    """The ids of the rows that came in each part."""
    seen: list[set[int]] = []
    inner = merging.decoded

    def noted(*given: object) -> Iterator[object]:
        for events, refused in inner(*given):  # type: ignore[arg-type]
            seen.append(set(events["id"].to_pylist()))
            yield events, refused

    monkeypatch.setattr(merging, "decoded", noted)
    return seen


def snapshots(catalog: Catalog) -> int:
    table = iceberg.load(catalog, name_of(TARGET))
    return len(table.metadata.snapshots) if table else 0


def little(catalog: Catalog, parts: int) -> None:
    """Let memory be so little that all that has landed take so many parts."""
    files = list(raw.delta_files(raw.open_deltas(catalog)))
    size = sum(raw.memory_of(raw.open_deltas(catalog), file) for file in files)
    catalog.properties[MEMORY] = str(size * batches._TIMES // parts + 1)


def test_the_rows_of_a_large_batch_come_in_parts_of_about_one_size(
    catalog: Catalog, photos: Shard, parts: list[set[int]]
) -> None:
    land(catalog, photos.deltas)
    little(catalog, 4)
    batch = next_batch(raw.open_deltas(catalog), TARGET, 0, most=10**6, memory=allowed(catalog))
    assert batch is not None
    assert (batch.parts, batch.size, len(batch.control)) == (4, len(photos.deltas), 2)
    merge(catalog, TARGET)
    _, *found = parts  # its schema changes come first
    assert len(found) == 4
    assert sum(map(len, found)) == len(set.union(*found)) == ROWS
    assert min(map(len, found)) > ROWS / 6


def test_it_becomes_one_commit_after_that_of_its_schema_changes(
    catalog: Catalog, photos: Shard, parts: list[set[int]]
) -> None:
    land(catalog, photos.deltas)
    little(catalog, 4)
    merged = merge(catalog, TARGET)
    assert (merged.deltas, merged.written, merged.rows) == (ROWS + 2, ROWS, ROWS)
    assert (merged.commits, snapshots(catalog)) == (2, 2)
    assert len(parts) >= 5
    assert len(live(rows(catalog, TARGET), ["id"])) == ROWS
    count = len(photos.deltas)
    for row in photos.rows[::2]:
        photos.update(row, title="again")
    photos.delete(photos.rows[1])
    land(catalog, photos.deltas[count:])
    again = merge(catalog, TARGET)
    assert (again.written, again.deleted, again.commits) == (ROWS // 2 + 1, 1, 1)
    assert len(live(rows(catalog, TARGET), ["id"])) == ROWS - 1


def test_what_several_commits_of_raw_hold_is_merged_in_several_commits(
    catalog: Catalog, photos: Shard, parts: list[set[int]]
) -> None:
    size = len(photos.deltas) // 4 + 1
    for start in range(0, len(photos.deltas), size):
        land(catalog, photos.deltas[start : start + size])
    little(catalog, 3)
    merged = merge(catalog, TARGET)
    assert (merged.commits, merged.rows) == (4, ROWS)
    assert len(parts) == 4


def test_a_truncate_in_a_large_batch_spares_what_came_after_it(
    catalog: Catalog, photos: Shard, parts: list[set[int]]
) -> None:
    photos.truncate()
    photos.insert(*[{"id": number, "title": "new"} for number in range(10)])
    land(catalog, photos.deltas)
    little(catalog, 4)
    merge(catalog, TARGET)
    assert len(parts) > 4
    assert live(rows(catalog, TARGET), ["title"]) == [("new",)] * 10


def test_memory_is_two_gibibytes_unless_it_is_said(catalog: Catalog) -> None:
    assert allowed(catalog) == 2 << 30
    catalog.properties[MEMORY] = "1000"
    assert allowed(catalog) == 1000


def test_a_drop_by_itself_does_not_keep_what_comes_after_it_from_being_merged(
    catalog: Catalog,
) -> None:
    """A snapshot begins with one, and what comes next may be more than memory holds."""
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    drop, *rest = shard.deltas
    shard.insert(*[{"id": number, "title": f"photo {number}"} for number in range(100)])
    land(catalog, [drop])
    land(catalog, [*rest, *shard.deltas[len(rest) + 1 :]])
    little(catalog, 4)
    assert merge(catalog, TARGET).written == 100
