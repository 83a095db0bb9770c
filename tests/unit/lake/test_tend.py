"""Tending: little at a time, table after table, and nothing for nothing."""

import time
from pathlib import Path

import pytest
from pyiceberg.exceptions import CommitFailedException

from smug_platform.errors import LakeError
from smug_platform.lake import compact as compaction
from smug_platform.lake import tend as tending
from smug_platform.lake.compact import Step, rounds
from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.lake.tend import Tending
from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import load_settings
from smug_platform.tables.table import Table
from tests.history import Shard
from tests.unit.lake.test_merge import COLUMNS, land

TARGETS = tuple(
    Target(Table(name=name, domain="photos", owner="team:photos")) for name in ("photos", "albums")
)
NAMES = [target.name for target in TARGETS]


class Lake:
    """Two tables that owe steps, each of its own length."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.catalog = open_catalog(load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)}))
        self.shards = [Shard("shard_0", name, COLUMNS) for name in NAMES]
        for shard in self.shards:
            shard.snapshot()
            land(self.catalog, shard.deltas)

    def merge(self) -> None:
        for shard, target in zip(self.shards, TARGETS, strict=True):
            before = len(shard.deltas)
            shard.insert({"id": before, "title": "a", "n": 0})
            land(self.catalog, shard.deltas[before:])
            assert merge(self.catalog, target).commits == 1

    def files(self) -> list[int]:
        return [compaction.debt(self.catalog, target).data_files for target in TARGETS]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setattr(compaction, "MAX_FILES", 2)
    found = Lake(tmp_path)
    for _ in range(3):
        found.merge()
    return found


def test_all_that_is_due_is_done_where_it_takes_no_time(lake: Lake) -> None:
    tend = Tending(lake.catalog, TARGETS)
    tend([])
    assert lake.files() == [3, 3], "what was not merged owes nothing new"
    tend(NAMES)
    assert lake.files() == [1, 1]


def test_a_merge_waits_for_one_long_step_and_the_rest_comes_after_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "TEND_S", 0.0)
    tend = Tending(lake.catalog, TARGETS)
    tend(NAMES)
    assert lake.files() == [1, 3]
    tend([])
    assert lake.files() == [1, 1]


def test_a_table_that_can_not_be_compacted_is_told_and_the_others_are(lake: Lake) -> None:
    spoil(lake, "photos")
    tend = Tending(lake.catalog, TARGETS)
    tend(NAMES)
    assert lake.files() == [3, 1]
    assert [*tend.problems] == ["photos"]
    assert "lake.photos can't be compacted" in str(tend.problems["photos"])
    tend(NAMES)
    assert lake.files() == [3, 1]


def spoil(lake: Lake, name: str) -> None:
    """Remove a table's data files behind its back."""
    for path in (lake.home / "lake" / "lake" / name / "data").glob("*.parquet"):
        path.unlink()


def test_rounds_let_merges_through_between_two_steps(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    done = list(rounds(lake.catalog, TARGETS))
    assert [target.name for target, _ in done] == NAMES
    assert all(isinstance(step, Step) and step.data_files == 3 for _, step in done)
    assert rests == [compaction.REST_S]
    assert list(rounds(lake.catalog, TARGETS)) == []
    assert rests == [compaction.REST_S]


def test_rounds_go_on_with_the_others_and_end_in_time(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(rounds(lake.catalog, TARGETS, seconds=0)) == []
    assert lake.files() == [3, 3]
    monkeypatch.setattr(compaction, "REST_S", 0)
    spoil(lake, "photos")
    (photos, problem), (albums, step) = rounds(lake.catalog, TARGETS)
    assert [photos.name, albums.name] == NAMES
    assert isinstance(problem, LakeError)
    assert isinstance(step, Step)


def test_a_table_whose_merges_are_always_before_owes_its_step(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Step:
        raise CommitFailedException

    with monkeypatch.context() as patched:
        patched.setattr(compaction, "_do", fail)
        assert compaction.tend(lake.catalog, TARGETS[0])
    assert lake.files() == [3, 3]
    assert not compaction.tend(lake.catalog, TARGETS[0])
    assert lake.files() == [1, 3]
