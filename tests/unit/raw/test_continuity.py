"""No gap in what landed: positions that go on, and positions that go back."""

import time
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from smug_platform.raw import deltas as raw
from smug_platform.raw.backlog import land_backlog
from smug_platform.raw.continuity import new_streams, reached, steps_back
from tests.history import Shard, column
from tests.recorded import Recorded
from tests.unit.lake.test_merge import new_catalog

COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR")]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return new_catalog(tmp_path)


@pytest.fixture
def stream() -> Recorded:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    for number in range(5):
        shard.insert({"id": number, "title": "x"})
    recorded = Recorded(most=3)
    recorded.put_deltas(shard.deltas)
    return recorded


def test_a_backlog_lands_in_micro_batches_up_to_the_tip(catalog: Catalog, stream: Recorded) -> None:
    landed = list(land_backlog(catalog, stream))  # type: ignore[arg-type]
    assert [each.deltas for each in landed] == [3, 3, 1]
    assert [bool(each.behind) for each in landed] == [True, True, False]


def test_a_backlog_is_bounded(catalog: Catalog, stream: Recorded) -> None:
    landed = list(land_backlog(catalog, stream, batches=2))  # type: ignore[arg-type]
    assert [each.deltas for each in landed] == [3, 3]


def test_commits_go_on_from_one_another(catalog: Catalog, stream: Recorded) -> None:
    list(land_backlog(catalog, stream))  # type: ignore[arg-type]
    commits = reached(raw.open_deltas(catalog))
    assert len(commits) == 3
    assert list(steps_back(commits)) == []
    assert new_streams(commits, since=0.0) == []


def test_a_commit_that_goes_back_is_found(catalog: Catalog, stream: Recorded) -> None:
    list(land_backlog(catalog, stream))  # type: ignore[arg-type]
    table = raw.open_deltas(catalog)
    oldest = min(table.metadata.snapshots, key=lambda one: one.sequence_number or 0)
    assert oldest.summary is not None
    stale = {
        name: value
        for name, value in oldest.summary.additional_properties.items()
        if name.startswith("smug.")
    }
    table.append(pa.Table.from_pylist([], schema=raw.ARROW), snapshot_properties=stale)
    back = list(steps_back(reached(raw.open_deltas(catalog))))
    assert back == [
        "shard_0 went back from 1/1:704#0 to 1/1:304#0",
        "shardId-000000000000 went back from 7 to 3",
    ]


def test_a_stream_that_was_created_anew_is_told_but_is_no_step_back(
    catalog: Catalog, stream: Recorded
) -> None:
    list(land_backlog(catalog, stream))  # type: ignore[arg-type]
    stream.incarnation = "another"
    list(land_backlog(catalog, stream))  # type: ignore[arg-type]
    commits = reached(raw.open_deltas(catalog))
    assert list(steps_back(commits)) == []
    assert new_streams(commits, since=time.time() - 60) == ["another"]
    assert new_streams(commits, since=time.time() + 60) == []
