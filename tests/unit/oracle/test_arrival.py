"""Has it arrived? Told from committed positions, stage by stage."""

import json
from pathlib import Path

import pytest

from smug_platform.capture.position import Position
from smug_platform.capture.state import State
from smug_platform.lake.compact import compact
from smug_platform.lake.feed import current_snapshots
from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.oracle.arrival import (
    Cut,
    NotArrived,
    await_arrival,
    capture_states,
    is_ahead,
    last_merges,
    loaded_snapshots,
    uncaptured,
    unlanded,
    unloaded,
    unmerged,
)
from smug_platform.raw import deltas as raw
from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import load_settings
from tests.history import Shard, arrow
from tests.states import keep_state
from tests.unit.lake.test_merge import COLUMNS, PHOTOS, land, new_catalog

TARGET = Target(PHOTOS)


def a_state(file: int, place: int, **more: object) -> State:
    found = {
        "epoch": 2,
        "server_id": 1,
        "server_uuid": None,
        "incarnation": "stream@1",
        "tables": (),
        "offset": json.dumps({"file": f"binlog.{file:06}", "pos": place}),
        "position": Position(2, file, place - 10),
        "sequences": {"shardId-0": "7"},
    }
    return State(**{**found, **more})  # type: ignore[arg-type]


def test_a_cut_holds_the_rows_of_a_snapshot_at_its_place_and_nothing_after() -> None:
    cut = Cut("shard_0", 1, 3, 500)
    assert Position(1, 3, 500, 77).ordinal <= cut.position.ordinal
    assert Position(1, 3, 501, 0).ordinal > cut.position.ordinal
    assert Position(1, 4, 4, 0).ordinal > cut.position.ordinal
    assert Position(2, 1, 4, 0).ordinal > cut.position.ordinal
    assert str(cut) == "1/3:500"


@pytest.mark.parametrize(
    ("state", "arrived"),
    [
        (a_state(3, 500), True),
        (a_state(10, 4), True),
        (a_state(3, 499), False),
        (a_state(2, 900), False),
        (a_state(3, 500, epoch=1), False),
        (a_state(3, 500, offset=None), False),
        (
            a_state(
                3, 500, offset=json.dumps({"file": "binlog.000003", "pos": 500, "snapshot": True})
            ),
            False,
        ),
    ],
)
def test_captured_means_that_the_place_was_passed_in_that_epoch(
    state: State, *, arrived: bool
) -> None:
    late = uncaptured({"shard_0": state}, [Cut("shard_0", 2, 3, 500)])
    assert (late is None) is arrived
    if late:
        assert (late.name, late.missing) == ("captured", "shard_0 before 3:500")


def test_a_shard_that_was_never_captured_is_late() -> None:
    assert uncaptured({}, [Cut("shard_0", 2, 3, 500)]) is not None


def test_capture_that_is_past_what_the_server_writes_tells_of_another_numbering() -> None:
    assert is_ahead(a_state(5, 4), 1, 300)
    assert not is_ahead(a_state(1, 300), 1, 300)
    assert not is_ahead(a_state(1, 300, offset=None), 1, 4)


def test_landed_means_that_raw_has_read_what_was_published(tmp_path: Path) -> None:
    catalog = new_catalog(tmp_path)
    deltas = raw.open_deltas(catalog)
    states = {"shard_0": a_state(3, 500), "shard_1": a_state(1, 4, position=None)}
    late = unlanded(states, deltas)
    assert (late and late.missing) == "shard_0"
    for incarnation, sequence, arrived in (
        ("stream@1", "6", False),
        ("stream@0", "7", False),
        ("stream@1", "7", True),
    ):
        positions = {"incarnation": incarnation, "sequences": {"shardId-0": sequence}}
        deltas.append(arrow([]), snapshot_properties={"smug.stream": json.dumps(positions)})
        assert (unlanded(states, deltas) is None) is arrived


def test_merged_and_loaded_go_by_commits_and_a_compaction_is_none_of_them(tmp_path: Path) -> None:
    catalog = new_catalog(tmp_path)
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1})
    land(catalog, shard.deltas)
    deltas = raw.open_deltas(catalog)
    first = raw.sequence(deltas)
    late = unmerged(catalog, [TARGET], deltas, first)
    assert (late and late.missing) == "photos"
    merge(catalog, TARGET)
    assert unmerged(catalog, [TARGET], raw.open_deltas(catalog), first) is None
    loaded = current_snapshots(catalog, (TARGET,))

    shard.insert({"id": 2, "title": "b", "n": 1})
    land(catalog, shard.deltas[-1:])
    deltas = raw.open_deltas(catalog)
    assert unmerged(catalog, [TARGET], deltas, first) is None
    assert unmerged(catalog, [TARGET], deltas, raw.sequence(deltas)) is not None
    merge(catalog, TARGET)
    merges = last_merges(catalog, [TARGET])
    assert unloaded(catalog, merges, loaded) is not None
    assert unloaded(catalog, merges, {}) is not None
    loaded = current_snapshots(catalog, (TARGET,))
    assert unloaded(catalog, merges, loaded) is None

    assert compact(catalog, TARGET)
    assert last_merges(catalog, [TARGET]) == merges
    assert unloaded(catalog, merges, loaded) is None
    assert unloaded(catalog, merges, current_snapshots(catalog, (TARGET,))) is None
    assert unloaded(catalog, merges, {"photos": 12345}) is not None


def test_waiting_ends_and_names_the_stage(tmp_path: Path) -> None:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    catalog = open_catalog(settings)
    assert capture_states(settings) == {}
    assert loaded_snapshots(settings) == {}
    cut = Cut("shard_0", 2, 3, 500)
    with pytest.raises(NotArrived, match=r"not captured within 0 s: shard_0.*smug up") as raised:
        await_arrival(settings, catalog, [TARGET], [cut], timeout=0)
    assert raised.value.stage.name == "captured"
    keep_state(settings, a_state(3, 500))
    with pytest.raises(NotArrived, match=r"not landed.*smug sync --until-quiet"):
        await_arrival(settings, catalog, [TARGET], [cut], timeout=0)
    keep_state(settings, a_state(3, 500, position=None))
    await_arrival(settings, catalog, [TARGET], [cut], timeout=0)
