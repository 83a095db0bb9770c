"""The sensors: what a tick asks for, and what it skips."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from smug_platform.errors import SettingsError, StreamError
from smug_platform.orchestration.behind import Asked
from smug_platform.orchestration.jobs import DRAIN, LIVE
from smug_platform.orchestration.sensors import tick
from smug_platform.raw.assets import DELTAS
from smug_platform.settings import Drain, Settings, load_settings
from smug_platform.sync import Platform, ingest
from smug_platform.tables.flickr import FLICKR
from tests.history import Shard
from tests.recorded import Recorded, RecordedStream
from tests.unit.orchestration.conftest import COLUMNS


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def defs(home: Path) -> dg.Definitions:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMUG_ENV", "test")
        patch.setenv("SMUG_HOME", str(home))
        from smug_platform.definitions import build_defs

        return build_defs(load_settings())


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    made = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    (tmp_path / "dbt").symlink_to(home / "dbt")  # the parsed project, which no test changes
    return made


@pytest.fixture
def platform(settings: Settings, stream: Recorded) -> Platform:
    return Platform(settings, FLICKR, stream=RecordedStream(settings, stream))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        # Raw has been landed just now, as far as Dagster knows: else every tick asks for it.
        made.report_runless_asset_event(dg.AssetMaterialization(DELTAS))
        yield made


def look(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    cursor: str | None = None,
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=defs.get_repository_def()
    )
    return tick(context, platform, patience=0.0)


def asked_for(found: dg.SensorResult | dg.SkipReason, number: int = 0) -> set[str]:
    assert isinstance(found, dg.SensorResult), found
    assert found.run_requests is not None
    return {"/".join(key.path) for key in found.run_requests[number].asset_selection or []}


def test_nothing_behind_is_skipped_with_the_reason(
    defs: dg.Definitions, instance: dg.DagsterInstance, platform: Platform, stream: Recorded
) -> None:
    stream.envelopes.clear()
    found = look(defs, instance, platform)
    assert isinstance(found, dg.SkipReason)
    assert found.skip_message == "nothing is behind"


def test_arrivals_ask_for_raw_the_touched_tables_and_what_follows(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    photos: Shard,
    stream: Recorded,
) -> None:
    list(platform.land())
    photos.insert({"id": 2, "title": "b"})
    stream.put_deltas(photos.deltas[-1:])
    found = look(defs, instance, platform)
    assert asked_for(found) >= {"raw/deltas", "lake/photos", "warehouse/photos", "marts/dim_photos"}
    assert not asked_for(found) & {"lake/orders", "warehouse/orders", "raw/quarantine"}
    assert isinstance(found, dg.SensorResult)
    assert found.run_requests is not None
    request = found.run_requests[0]
    assert request.job_name == LIVE
    assert request.run_key is None, "a run that was dropped must be asked for again"
    checks = {key.name for key in request.asset_check_keys or []}
    assert checks == {"no_gap", "same_stream", "quarantine_empty", "keys_unique"}
    assert {"/".join(key.asset_key.path) for key in request.asset_check_keys or []} == {
        "raw/deltas",
        "lake/photos",
    }


def test_what_landed_is_asked_for_without_arrivals(
    defs: dg.Definitions, instance: dg.DagsterInstance, platform: Platform
) -> None:
    list(platform.land())
    found = look(defs, instance, platform)
    assert asked_for(found) >= {"lake/photos", "warehouse/photos"}
    assert "raw/deltas" not in asked_for(found)


def test_what_was_merged_is_asked_for_from_the_warehouse_on(
    defs: dg.Definitions, instance: dg.DagsterInstance, platform: Platform
) -> None:
    ingest(platform)
    found = look(defs, instance, platform)
    assert "warehouse/photos" in asked_for(found)
    assert not {key for key in asked_for(found) if key.startswith(("raw", "lake"))}


def test_a_run_in_flight_is_waited_for(
    defs: dg.Definitions, instance: dg.DagsterInstance, platform: Platform
) -> None:
    for job in (LIVE, DRAIN):
        run = create_run_for_test(instance, job_name=job, status=dg.DagsterRunStatus.STARTED)
        found = look(defs, instance, platform)
        assert isinstance(found, dg.SkipReason)
        assert found.skip_message == f"run {run.run_id[:8]} is under way"
        instance.delete_run(run.run_id)
    assert isinstance(look(defs, instance, platform), dg.SensorResult)


def test_what_was_asked_for_in_vain_waits(
    defs: dg.Definitions, instance: dg.DagsterInstance, platform: Platform
) -> None:
    list(platform.land())
    first = look(defs, instance, platform)
    assert isinstance(first, dg.SensorResult)
    again = look(defs, instance, platform, first.cursor)
    assert isinstance(again, dg.SkipReason)
    assert again.skip_message == "tried in vain, waiting: merge:photos"


def test_a_stuck_table_is_tried_again_in_a_run_of_its_own(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    stream: Recorded,
) -> None:
    list(platform.land())
    albums = Shard("shard_0", "albums", COLUMNS)
    albums.offset = 10_000
    albums.snapshot()
    stream.put_deltas(albums.deltas)
    list(platform.land())
    stuck = Asked({"merge:photos": ("None", 1, 0.0)}).to_json()
    found = look(defs, instance, platform, stuck)
    assert "lake/albums" in asked_for(found, 0)
    assert "lake/photos" not in asked_for(found, 0)
    assert "lake/photos" in asked_for(found, 1)
    assert "lake/albums" not in asked_for(found, 1)


@pytest.mark.parametrize(
    ("drain", "rush", "job"),
    [
        ("auto", False, LIVE),
        ("auto", True, DRAIN),
        ("on", False, DRAIN),
        ("on", True, DRAIN),
        ("off", False, LIVE),
        ("off", True, LIVE),
    ],
)
def test_changes_that_keep_coming_are_drained_unless_the_switch_says_else(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    *,
    drain: Drain,
    rush: bool,
    job: str,
) -> None:
    platform.settings = replace(platform.settings, drain=drain)
    if rush:
        create_run_for_test(instance, job_name=LIVE, status=dg.DagsterRunStatus.SUCCESS)
    found = look(defs, instance, platform)
    assert isinstance(found, dg.SensorResult)
    assert [request.job_name for request in found.run_requests or []] == [job]


def test_the_switch_has_three_places() -> None:
    assert [load_settings({"SMUG_DRAIN": each}).drain for each in ("on", "off")] == ["on", "off"]
    assert load_settings({"SMUG_ENV": "prod"}).drain == "auto"
    with pytest.raises(SettingsError, match=r"SMUG_DRAIN is '1': set it to one of auto, on, off"):
        load_settings({"SMUG_DRAIN": "1"})


def test_a_quiet_stream_is_looked_at_now_and_then(
    defs: dg.Definitions, platform: Platform, stream: Recorded
) -> None:
    stream.envelopes.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        assert asked_for(look(defs, instance, platform)) == {"raw/deltas"}


@pytest.fixture
def silent(stream: Recorded) -> None:
    """The stream does not answer any more."""

    def refuse(_after: object) -> bool:
        raise StreamError("Kinesis can't be reached", remedy="start it")

    stream.has_arrivals = refuse  # type: ignore[method-assign, assignment]


@pytest.mark.usefixtures("silent")
def test_a_stream_that_does_not_answer_is_the_reason_of_a_skip(
    defs: dg.Definitions, instance: dg.DagsterInstance, platform: Platform
) -> None:
    found = look(defs, instance, platform)
    assert isinstance(found, dg.SkipReason)
    assert found.skip_message == "Kinesis can't be reached: start it"
    with dg.DagsterInstance.ephemeral() as unused:  # nothing landed, nothing to land
        assert isinstance(look(defs, unused, platform), dg.SkipReason)


def test_what_has_landed_goes_on_without_the_stream(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    request: pytest.FixtureRequest,
) -> None:
    list(platform.land())
    request.getfixturevalue("silent")
    found = look(defs, instance, platform)
    assert asked_for(found) >= {"lake/photos", "warehouse/photos"}
    assert "raw/deltas" not in asked_for(found)
    assert isinstance(found, dg.SensorResult)
    again = look(defs, instance, platform, found.cursor)
    assert isinstance(again, dg.SkipReason)
    assert again.skip_message == (
        "Kinesis can't be reached: start it; tried in vain, waiting: merge:photos"
    )


def test_a_failed_run_leaves_a_line_for_who_is_told(
    defs: dg.Definitions, home: Path, instance: dg.DagsterInstance
) -> None:
    @dg.op
    def breaks() -> None:
        raise dg.Failure("lake.photos can't be merged: mend it", allow_retries=False)

    @dg.job
    def broken() -> None:
        breaks()

    result = broken.execute_in_process(instance=instance, raise_on_error=False)
    failures = defs.get_repository_def().get_sensor_def("failures")
    event = next(e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE")
    context = dg.build_run_status_sensor_context(
        sensor_name="failures",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=event,
        resources={"settings": load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})},
    ).for_run_failure()
    failures(context)
    (line,) = (home / "alerts.jsonl").read_text().splitlines()
    alert = json.loads(line)
    assert alert["run_id"] == result.run_id
    assert alert["steps"] == {"breaks": "lake.photos can't be merged: mend it"}
    assert datetime.fromisoformat(alert["at"]) <= datetime.now(UTC)
