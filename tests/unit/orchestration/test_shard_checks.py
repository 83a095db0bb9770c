"""The checks of a shard: against what capture says of itself, or by the age of what landed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from smug_platform.capture.items import SqliteItems
from smug_platform.capture.position import Position
from smug_platform.capture.state import State
from smug_platform.capture.status import Status
from smug_platform.orchestration.shard_checks import (
    ALIVE,
    KEPT,
    LANDED,
    capture_is_alive,
    check_shard,
    lately_landed,
    published_is_landed,
    shard_checks,
)
from smug_platform.raw.deltas import open_deltas
from smug_platform.raw.land import land
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from tests.conftest import local_settings
from tests.history import Shard, column
from tests.recorded import Recorded
from tests.states import hold_of

SEQUENCE = "shardId-000000000000"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return local_settings(tmp_path)


@pytest.fixture
def photos() -> Shard:
    shard = Shard("shard_0", "photos", [column("id", "BIGINT UNSIGNED")])
    shard.snapshot()
    shard.insert({"id": 1}, {"id": 2})
    return shard


@pytest.fixture
def lakehouse(settings: Settings, photos: Shard) -> Lakehouse:
    """What has landed: all of the stream but its last change, which the stream has lost."""
    made, stream = Lakehouse(settings), Recorded()
    stream.put_deltas(photos.deltas)
    land(made.catalog, stream)  # type: ignore[arg-type]
    return made


def position_of(shard: Shard) -> Position:
    last = shard.deltas[-1]
    return Position(last["epoch"], last["binlog_file"], last["binlog_offset"], last["row_number"])


@pytest.fixture
def state(photos: Shard) -> State:
    """Capture stands where raw does."""
    sequences = {SEQUENCE: str(len(photos.deltas))}
    return State(1, 1, None, "recorded", (), position=position_of(photos), sequences=sequences)


def test_what_was_published_is_landed(lakehouse: Lakehouse, state: State) -> None:
    result = published_is_landed("shard_0", state, open_deltas(lakehouse.catalog))
    assert (result.passed, result.description) == (True, None)
    assert result.metadata["published"].value == result.metadata["landed"].value


def test_a_change_that_the_stream_lost_is_a_gap(
    lakehouse: Lakehouse, state: State, photos: Shard
) -> None:
    photos.insert({"id": 3})
    lost = replace(state, position=position_of(photos))
    for shard in ("shard_0", "shard_1"):  # of shard_1 nothing landed at all
        result = published_is_landed(shard, lost, open_deltas(lakehouse.catalog))
        assert not result.passed
        assert "lacks the last change" in str(result.description)


def test_what_raw_has_not_read_yet_is_no_gap(
    lakehouse: Lakehouse, state: State, photos: Shard
) -> None:
    photos.insert({"id": 3})
    later = replace(state, position=position_of(photos), sequences={SEQUENCE: "99"})
    deltas = open_deltas(lakehouse.catalog)
    result = published_is_landed("shard_0", later, deltas)
    assert (result.passed, result.description) == (True, "on its way")
    elsewhere = published_is_landed("shard_0", replace(later, incarnation="new"), deltas)
    assert elsewhere.passed
    assert "another stream" in str(elsewhere.description)


def test_without_a_state_it_is_skipped_with_the_reason(lakehouse: Lakehouse) -> None:
    result = published_is_landed("shard_0", None, open_deltas(lakehouse.catalog))
    assert (result.passed, result.description) == (True, "skipped: no state of capture is here")


@pytest.mark.parametrize(
    ("age", "lag", "said"),
    [
        (1.0, 0.5, None),
        (1.0, 1000.0, "1,000 s behind the source"),
        (90.0, 0.0, "no sign of capture for 90 s"),
    ],
)
def test_capture_is_alive_by_its_own_account(age: float, lag: float, said: str | None) -> None:
    status = Status("shard_0", "streaming", lag=lag, updated_at=1000.0)
    result = capture_is_alive(status, 1000.0 + age)
    assert (result.passed, result.description) == (said is None, said)


def test_elsewhere_the_age_of_what_landed_tells(lakehouse: Lakehouse, photos: Shard) -> None:
    deltas, newest = open_deltas(lakehouse.catalog), photos.deltas[-1]["committed_at"]
    assert lately_landed("shard_0", deltas, newest + timedelta(minutes=5)).passed
    quiet = lately_landed("shard_0", deltas, newest + timedelta(hours=2))
    assert (quiet.passed, quiet.description) == (False, "no change has landed for 7,200 s")
    assert quiet.severity == dg.AssetCheckSeverity.WARN
    never = lately_landed("shard_1", deltas, newest)
    assert (never.passed, never.description) == (False, "no change has landed ever")


def test_each_shard_is_checked_by_what_its_folder_holds(
    settings: Settings, lakehouse: Lakehouse, state: State
) -> None:
    hold = hold_of(settings)
    hold.save(state)
    hold.renew(Status("shard_0", "failed", note="no rights", updated_at=0.0))
    landed, kept, alive = check_shard(settings, lakehouse, settings.shards[0])
    assert (landed.check_name, landed.passed) == (LANDED, True)
    assert (kept.check_name, kept.passed) == (KEPT, False)
    assert "can't be reached" in str(kept.description)
    assert (alive.check_name, alive.passed) == (ALIVE, False)
    assert str(alive.description).endswith("; no rights")
    items = SqliteItems(settings.home / "capture" / "state.db")
    items.update("shard_0", "state", {"state": "{"}, expect={})
    for unreadable in list(check_shard(settings, lakehouse, settings.shards[0]))[:2]:
        assert not unreadable.passed
        assert "can't be read" in str(unreadable.description)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def test_all_are_checks_of_each_shard(
    settings: Settings, lakehouse: Lakehouse, instance: dg.DagsterInstance
) -> None:
    job = dg.Definitions(
        assets=[dg.AssetSpec(["mysql", shard.name]) for shard in settings.shards],
        asset_checks=[shard_checks(settings)],
        jobs=[dg.define_asset_job("checks", dg.AssetSelection.all_asset_checks())],
        resources={"settings": settings, "lakehouse": lakehouse},
    ).resolve_job_def("checks")
    done = job.execute_in_process(instance=instance)
    found = {
        (each.asset_key.path[1], each.check_name): each.passed
        for each in done.get_asset_check_evaluations()
    }
    names = [shard.name for shard in settings.shards]
    checks = (LANDED, ALIVE, KEPT)
    assert found == {(name, check): check == LANDED for name in names for check in checks}
