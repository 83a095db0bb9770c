"""Compaction: the rows stay what they are, whatever is made one, and whenever."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.iceberg import LakeFiles
from smug_platform.lake import compact as compaction
from smug_platform.lake import index as indexes
from smug_platform.lake.compact import Outrun, compact, debt, step, steps
from smug_platform.lake.feed import feed
from smug_platform.lake.merge import merge, name_of
from smug_platform.lake.target import Target
from smug_platform.lake.tiers import Bounds, File, crowded, untidy
from tests.unit.lake.histories import PHOTOS as WITH_HISTORY
from tests.unit.lake.histories import VIEWS, History
from tests.unit.lake.test_feed import TARGET, Source
from tests.unit.lake.test_merge import land, live, new_catalog, rows

EXAMPLES = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that a few rows reach."""
    monkeypatch.setattr(compaction, "MAX_FILES", 2)
    monkeypatch.setattr(compaction, "STEP_ROWS", 12)
    monkeypatch.setattr(compaction, "_ROW_BYTES", 10**9)


@given(
    st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 1), st.integers(1, 3)), max_size=40),
    st.booleans(),
)
def test_steps_are_bounded_and_come_to_an_end(
    sizes: list[tuple[int, float, int]], thorough: bool
) -> None:
    bounds = Bounds(files=4, rows=1000, share=0.25)
    choose = untidy if thorough else crowded
    files = [File(n, rows, int(rows * gone), rows * w) for n, (rows, gone, w) in enumerate(sizes)]
    live_rows = sum(file.rows - file.gone for file in files)
    for number in itertools.count(len(files)):
        found = choose(files, bounds)
        if not found:
            break
        assert number < len(files) + 200
        assert len({file.number for file in found}) == len(found)
        read = [file for file in found if not file.is_dead]
        assert len(read) == 1 or sum(file.size for file in read) <= bounds.rows
        files = [file for file in files if file not in found]
        left = sum(file.rows - file.gone for file in read)
        if left:
            size = sum((file.rows - file.gone) * file.size // file.rows for file in read)
            files.append(File(number, left, 0, max(size, left)))
    assert sum(file.rows - file.gone for file in files) == live_rows
    if thorough:
        assert not any(file.gone for file in files)
        small = sorted(file.size for file in files if file.size < bounds.rows // 2)
        assert len(small) < 2 or sum(small[:2]) > bounds.rows
    else:
        for file in files:
            assert file.is_dead or file.size < 500 or file.gone < 0.25 * file.rows
        assert len([file for file in files if file.size < 500]) <= 4


@EXAMPLES
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(["keyed", "history", "keyless"]))
@pytest.mark.usefixtures("small_steps")
def test_merges_with_steps_between_are_the_same_merges(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kind: str
) -> None:
    """And whoever reads the feed from time to time holds the same rows in the end."""
    target = {
        "keyed": Target(WITH_HISTORY),
        "history": Target(WITH_HISTORY, history=True),
        "keyless": Target(VIEWS),
    }[kind]
    history = History(seed, target.table)
    plain, stepped = (new_catalog(tmp_path_factory.mktemp("lake")) for _ in range(2))
    replica = Replica(stepped, target)
    between = [
        lambda: step(stepped, target),
        lambda: step(stepped, target),
        lambda: step(stepped, target, thorough=True),
        lambda: indexes._OPEN.__dict__.clear(),
        replica.follow,
        lambda: None,
    ]
    for batch in history.delivered():
        for start in range(0, len(batch), 9):
            for catalog in (plain, stepped):
                land(catalog, batch[start : start + 9])
                merge(catalog, target)
            if stepped.table_exists(name_of(target)):
                history.random.choice(between)()
                assert bag(rows(stepped, target)) == bag(rows(plain, target))
    replica.follow()
    assert replica.bag() == bag(rows(plain, target))


class Replica:
    """Who holds a table's rows by its feed alone."""

    def __init__(self, catalog: Catalog, target: Target) -> None:
        self.catalog, self.target = catalog, target
        self.since: int | None = None
        self.rows: dict[Any, dict[str, Any]] = {}

    def follow(self) -> None:
        found = feed(self.catalog, self.target, self.since)
        if found is None:
            return
        if found.full:
            self.rows.clear()
        for row in found.rows.to_pylist():
            self.rows[tuple(row[name] for name in found.key)] = row
        self.since = found.snapshot_id

    def bag(self) -> list[str]:
        return bag(self.rows.values())


def bag(found: Any) -> list[str]:
    """Rows without the columns that are NULL: a replica lacks those of before a column came."""
    return sorted(
        json.dumps({k: v for k, v in row.items() if v is not None}, default=str, sort_keys=True)
        for row in found
    )


class Table(Source):
    """A shard, and the lake's table after it."""

    def files(self) -> LakeFiles:
        table = iceberg.load(self.catalog, name_of(TARGET))
        assert table is not None
        return LakeFiles(table.io, table.schema(), table.current_snapshot())

    def check(self) -> None:
        held = live(rows(self.catalog, TARGET), ["id", "title", "n"])
        assert held == sorted((row["id"], row["title"], row["n"]) for row in self.shard.rows)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


@pytest.mark.parametrize("thorough", [False, True], ids=["minor and major", "thorough"])
def test_an_index_that_is_lost_after_a_compaction_finds_the_newest_rows(
    table: Table, monkeypatch: pytest.MonkeyPatch, *, thorough: bool
) -> None:
    """Old rows stand in the newest file then; older deltas must not get through by that."""
    monkeypatch.setattr(compaction, "STEP_ROWS", 60)
    monkeypatch.setattr(compaction, "MAX_FILES", 2)
    monkeypatch.setattr(compaction, "_ROW_BYTES", 10**9)
    table.insert(*range(40))
    table.merge()
    for number in range(4):
        for id_ in range(number, 36, 3):
            table.shard.update({"id": id_}, n=number + 1)
        table.shard.delete({"id": 39 - number})
        table.merge()
        done = list(steps(table.catalog, TARGET, thorough=thorough))
        assert done or not number
        indexes._OPEN.__dict__.clear()
        land(table.catalog, table.shard.deltas)
        assert merge(table.catalog, TARGET).written == 0, "nothing old gets through"
        table.check()


def test_a_file_too_large_for_a_step_is_rewritten_part_by_part(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.insert(*range(50))
    table.merge()
    for id_ in range(0, 50, 3):
        table.shard.update({"id": id_}, n=1)
    table.merge()
    monkeypatch.setattr(compaction, "STEP_ROWS", 10)
    monkeypatch.setattr(compaction, "_ROW_BYTES", 10**9)
    done = list(steps(table.catalog, TARGET))
    assert len(done) >= 4
    assert max(one.rows for one in done) == 10
    assert table.files().rows == 50
    table.check()
    for id_ in range(0, 50, 7):
        table.shard.update({"id": id_}, n=2)
    table.merge()
    assert compact(table.catalog, TARGET)
    assert debt(table.catalog, TARGET).deleted_rows == 0
    table.check()


def test_delete_files_become_one_and_the_files_that_they_name_stay(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_ROW_BYTES", 10**9)
    monkeypatch.setattr(compaction, "STEP_ROWS", 100)
    table.insert(*range(60))
    table.merge()
    (base,) = table.files().data
    for number in range(5):
        table.shard.update({"id": number}, n=1)
        table.merge()
    monkeypatch.setattr(compaction, "MAX_FILES", 4)
    done = list(steps(table.catalog, TARGET))
    assert [(one.data_files, one.delete_files, one.rows) for one in done] == [(5, 5, 5)]
    files = table.files()
    assert (len(files.data), len(files.deletes)) == (2, 1)
    assert base.file_path in {file.file_path for file in files.data}
    assert files.deletes[0].record_count == 5
    table.check()
    table.shard.delete({"id": 3})
    table.merge()
    table.check()


def test_a_file_with_enough_deleted_rows_is_rewritten_and_others_stay(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "STEP_ROWS", 40)
    monkeypatch.setattr(compaction, "_ROW_BYTES", 10**9)
    table.insert(*range(20))
    table.merge()
    table.insert(*range(20, 40))
    table.merge()
    second, first = table.files().data
    for id_ in (1, 2, 3, 4, 20, 21, 22, 23, 24):
        table.shard.update({"id": id_}, n=1)
    table.merge()
    (done,) = steps(table.catalog, TARGET)
    assert (done.data_files, done.rows) == (1, 15)
    paths = {file.file_path for file in table.files().data}
    assert first.file_path in paths
    assert second.file_path not in paths
    table.check()


def test_tombstones_stay_rows(table: Table) -> None:
    table.insert(1, 2)
    table.shard.update({"id": 1}, n=5)
    late = table.shard.deltas.pop()
    table.shard.delete({"id": 1})
    table.merge()
    table.insert(3)
    table.merge()
    assert compact(table.catalog, TARGET)
    indexes._OPEN.__dict__.clear()
    land(table.catalog, [late])
    assert merge(table.catalog, TARGET).stale == 1
    table.check()


def test_debt(table: Table) -> None:
    assert not debt(table.catalog, TARGET).due
    assert step(table.catalog, TARGET) is None
    table.insert(100)
    for number in range(compaction.MAX_FILES + 1):
        assert not debt(table.catalog, TARGET).due
        table.insert(number)
        table.shard.update({"id": 0}, n=number + 1)
        table.merge()
    owed = debt(table.catalog, TARGET)
    assert (owed.data_files, owed.rows, owed.due) == (17, 18, True)
    assert owed.deleted_rows == 16
    assert owed.deleted_share == 16 / 34
    assert step(table.catalog, TARGET)
    left = debt(table.catalog, TARGET)
    assert (left.data_files, left.deleted_rows, left.due) == (1, 0, False)


def test_files_in_which_nothing_counts_any_more_do_not_pile_up(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each merge replaces all rows of the one before it; so no file but the last is alive."""
    monkeypatch.setattr(compaction, "MAX_FILES", 3)
    table.insert(1, 2)
    for number in range(12):
        for id_ in (1, 2):
            table.shard.update({"id": id_}, n=number + 1)
        table.merge()
        step(table.catalog, TARGET)
        files = table.files()
        assert len(files.data) <= 4
        assert len(files.deletes) <= 4
    table.check()


def test_a_step_that_merges_are_always_before_gives_up(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        table.insert(number)
        table.merge()
    commit = iceberg.commit
    inside = []

    def with_a_merge_first(*arguments: Any, **more: Any) -> int:
        staged = commit(*arguments, **more)
        if more["summary"]["smug.kind"] == "compact":
            inside.append(True)
            table.insert(100 + len(inside))
            table.merge()
        return staged

    monkeypatch.setattr(iceberg, "commit", with_a_merge_first)
    with pytest.raises(Outrun, match=r"merges of lake.* were before its compaction 3 times"):
        step(table.catalog, TARGET, thorough=True)
    assert len(inside) == 3
    table.check()
    monkeypatch.setattr(iceberg, "commit", commit)
    assert step(table.catalog, TARGET, thorough=True)
    table.check()
