"""Tending: little at a time, table after table, and nothing for nothing."""

import os
import time
from pathlib import Path

import pytest

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


def test_old_files_go_table_after_table(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [lake.home / "lake" / place for place in ("raw/deltas", "lake/photos", "lake/albums")]
    left = [folder / "data" / "killed.parquet" for folder in folders]
    for path in left:
        path.write_bytes(b"left behind")
        os.utime(path, (0, 0))
    tend = Tending(lake.catalog, TARGETS)
    tend([])
    assert all(path.exists() for path in left), "it is looked at every so often only"
    now = time.monotonic()
    for number in range(3):
        monkeypatch.setattr(time, "monotonic", lambda at=now + 101 * (number + 1): at)
        tend([])
        tend([])
        assert [path.exists() for path in left] == [at > number for at in range(3)]


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
