"""The assets of raw, lake and warehouse on three small tables: results, checks, and isolation."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from smug_platform.lake.assets import lake_assets
from smug_platform.lake.checks import hourly_checks
from smug_platform.lake.target import Target, targets
from smug_platform.orchestration.compaction import COMPACTION, compaction
from smug_platform.raw.assets import deltas
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings, load_settings
from smug_platform.stream.reader import Poison
from smug_platform.sync import Platform
from smug_platform.tables.table import Source, Table
from smug_platform.warehouse.assets import warehouse_assets
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.load import Loaded
from tests.history import Shard, column
from tests.recorded import Recorded, RecordedStream
from tests.unit.lake.test_verify import append

COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR")]
SOURCE = Source(
    database="flickr",
    tables=tuple(
        Table(name=name, domain="photos", owner="team:photos")
        for name in ("photos", "albums", "comments")
    ),
)
TARGETS = targets(SOURCE)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})


@pytest.fixture
def shards() -> dict[str, Shard]:
    made = {table.name: Shard("shard_0", table.name, list(COLUMNS)) for table in SOURCE.tables}
    for number, shard in enumerate(made.values(), 1):
        shard.offset = number * 10_000
        shard.snapshot()
        shard.insert({"id": 1, "title": "a"}, {"id": 2, "title": "b"})
    return made


@pytest.fixture
def stream(shards: dict[str, Shard]) -> Recorded:
    recorded = Recorded()
    put(recorded, shards)
    return recorded


@pytest.fixture
def given(settings: Settings, stream: Recorded) -> dict[str, object]:
    return {
        "settings": settings,
        "stream": RecordedStream(settings, stream),
        "lakehouse": Lakehouse(settings),
    }


def put(recorded: Recorded, shards: Mapping[str, Shard]) -> None:
    for shard in shards.values():
        recorded.put_deltas(shard.deltas)
        shard.deltas.clear()


def run(
    given: Mapping[str, Any], selection: str = "*", *, ok: bool = True
) -> dg.ExecuteInProcessResult:
    settings = given["settings"]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [deltas, lake_assets(TARGETS), warehouse_assets(settings, TARGETS)],
            selection=selection,
            resources=dict(given),
            instance=instance,
            raise_on_error=False,
        )
    assert result.success == ok
    return result


def metadata(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    (event,) = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey([*key])
    ]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {
        f"{'/'.join(each.asset_key.path)}:{each.check_name}": each.passed
        for each in result.get_asset_check_evaluations()
    }


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {"/".join(event.asset_key.path) for event in events if event.asset_key}


def steps_retried(result: dg.ExecuteInProcessResult) -> list[str]:
    return [e.step_key or "" for e in result.all_events if e.is_step_up_for_retry]


def test_all_stages_say_what_they_did(given: dict[str, object]) -> None:
    result = run(given)
    assert all(checks(result).values())
    assert len(checks(result)) == 3 + 2 * len(TARGETS)
    raw = metadata(result, "raw", "deltas")
    assert raw["rows_in"] == raw["dagster/row_count"] == 12
    assert raw["tables"] == {"photos": 4, "albums": 4, "comments": 4}
    lake = metadata(result, "lake", "photos")
    assert lake["rows_in"] == 4
    assert (lake["written"], lake["dagster/row_count"]) == (2, 2)
    assert lake["dagster/table_name"] == "lake.photos"
    assert [c.name for c in lake["dagster/column_schema"].columns][:2] == ["id", "title"]
    assert lake["lag_seconds"] is not None
    warehouse = metadata(result, "warehouse", "photos")
    assert (warehouse["rows_in"], warehouse["dagster/row_count"]) == (2, 2)
    assert warehouse["snapshot_id"] == lake["snapshot_id"]


def test_every_selected_key_is_yielded_though_nothing_is_new(given: dict[str, object]) -> None:
    run(given)
    again = run(given)
    assert len(materialized(again)) == 1 + 2 * len(TARGETS)
    assert metadata(again, "lake", "photos")["rows_in"] == 0
    assert metadata(again, "lake", "photos")["dagster/row_count"] == 2
    assert metadata(again, "warehouse", "photos")["dagster/row_count"] == 2


def test_a_subset_touches_no_other_table(given: dict[str, object]) -> None:
    run(given, "raw/deltas")
    result = run(given, "key:lake/photos or key:warehouse/photos")
    assert materialized(result) == {"lake/photos", "warehouse/photos"}


def test_a_table_that_can_not_be_merged_fails_alone(
    given: dict[str, object], shards: dict[str, Shard], stream: Recorded
) -> None:
    run(given)
    albums = shards["albums"]
    lossy = [COLUMNS[0], column("title", "INT")]
    albums.alter(lossy, "ALTER TABLE albums MODIFY title INT", rows=[])
    shards["photos"].insert({"id": 3, "title": "c"})
    shards["comments"].insert({"id": 3, "title": "c"})
    put(stream, shards)
    result = run(given, 'key:"raw/deltas" or key:"lake/*"', ok=False)
    assert materialized(result) == {"raw/deltas", "lake/photos", "lake/comments"}
    assert checks(result)["lake/albums:no_gap"] is False
    assert checks(result)["lake/photos:no_gap"] is True
    failure = result.failure_data_for_node("lake")
    assert failure is not None
    assert failure.user_failure_data is not None
    told = failure.user_failure_data.description or ""
    assert "albums.title changed from" in told
    assert "drop the lake table" in told, "the remedy is there too"
    assert steps_retried(result) == [], "trying again would not help"
    healthy = run(given, "key:warehouse/*")
    assert metadata(healthy, "warehouse", "photos")["dagster/row_count"] == 3
    assert metadata(healthy, "warehouse", "albums")["dagster/row_count"] == 2


def test_a_table_that_can_not_be_compacted_is_merged_and_told(
    given: dict[str, object], shards: dict[str, Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, target: Target, *_more: object) -> bool:
        raise OSError(28, "No space left on device") if target.name == "albums" else LookupError

    monkeypatch.setattr("smug_platform.lake.compact._plan", lambda *_, **__: True)
    monkeypatch.setattr("smug_platform.lake.compact._do", full)
    result = run(given, 'key:"raw/deltas" or key:"lake/*"', ok=False)
    assert materialized(result) == {"raw/deltas", *(f"lake/{name}" for name in shards)}
    failure = result.failure_data_for_node("lake")
    assert failure is not None
    assert failure.user_failure_data is not None
    told = failure.user_failure_data.description or ""
    assert "lake.albums can't be compacted ([Errno 28] No space left on device)" in told
    assert "lake.photos can't be compacted" in told


def test_a_replica_that_can_not_be_loaded_fails_alone(
    settings: Settings, given: dict[str, object], shards: dict[str, Shard], stream: Recorded
) -> None:
    """Whatever DuckDB says of it: here a view stands where the replica was, then nothing."""
    run(given)
    with connect(settings) as connection:
        connection.execute("alter table warehouse.photos rename to elsewhere")
        connection.execute("create view warehouse.photos as from warehouse.elsewhere")
    for shard in shards.values():
        shard.insert({"id": 7, "title": "x"})
    put(stream, shards)
    result = run(given, ok=False)
    loaded = {key for key in materialized(result) if key.startswith("warehouse/")}
    assert loaded == {"warehouse/albums", "warehouse/comments"}
    failure = result.failure_data_for_node("warehouse")
    assert failure is not None
    assert failure.user_failure_data is not None
    told = failure.user_failure_data.description or ""
    assert told.startswith("loading photos failed, its replica is as it was: ")
    platform = Platform(settings, SOURCE)
    (problem,) = platform.load()
    assert str(problem) == told
    with connect(settings) as connection:
        connection.execute("drop view warehouse.photos")
    (problem,) = platform.load()
    assert "the replica of photos can't be read" in str(problem)
    with connect(settings) as connection:
        connection.execute("delete from warehouse._loads where table_name = 'photos'")
    (whole,) = platform.load()
    assert isinstance(whole, Loaded)
    assert (whole.full, whole.total) == (True, 3)


def test_a_key_that_is_there_twice_blocks_the_table(given: dict[str, object]) -> None:
    run(given)
    lakehouse = given["lakehouse"]
    assert isinstance(lakehouse, Lakehouse)
    append(lakehouse.catalog, TARGETS[0], {"_shard": "shard_1", "title": "again"})
    result = run(given, ok=False)
    assert checks(result)["lake/photos:keys_unique"] is False
    assert checks(result)["lake/albums:keys_unique"] is True
    assert not {key for key in materialized(result) if key.startswith("warehouse")}
    alone = run(given, "key:warehouse/*", ok=False)
    assert materialized(alone) == {"warehouse/albums", "warehouse/comments"}
    settings = given["settings"]
    assert isinstance(settings, Settings)
    with connect(settings, read_only=True) as connection:
        assert connection.execute("select count(*) from warehouse.photos").fetchall() == [(2,)]


def test_positions_that_go_back_fail_the_check_of_raw(
    given: dict[str, object], stream: Recorded
) -> None:
    import pyarrow as pa

    from smug_platform.raw import deltas as raw

    stream.most = 7
    run(given, "raw/deltas")
    lakehouse = given["lakehouse"]
    assert isinstance(lakehouse, Lakehouse)
    table = raw.open_deltas(lakehouse.catalog)
    oldest = min(table.metadata.snapshots, key=lambda one: one.sequence_number or 0)
    assert oldest.summary is not None
    kept = oldest.summary.additional_properties.items()
    stale = {name: value for name, value in kept if name.startswith("smug.")}
    empty = pa.Table.from_pylist([], schema=raw.ARROW)
    table.append(empty, snapshot_properties=stale)
    result = run(given, "raw/deltas", ok=False)
    assert checks(result)["raw/deltas:no_gap"] is False


def test_a_new_stream_and_poison_are_warned_of(given: dict[str, object], stream: Recorded) -> None:
    run(given, "raw/deltas")
    stream.incarnation = "another"
    stream.poison = [Poison(b"\xff", "no pack", "shardId-000000000000", "3")]
    result = run(given, "raw/deltas")
    found = checks(result)
    assert found["raw/deltas:same_stream"] is False
    assert found["raw/deltas:quarantine_empty"] is False
    assert found["raw/deltas:no_gap"] is True


def test_a_stream_that_may_come_back_is_tried_again(
    given: dict[str, object], stream: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smug_platform.stream.client import Unreachable

    read, refused = stream.read, []

    def sometimes(*args: Any, **more: Any) -> Any:
        if not refused:
            refused.append(1)
            raise Unreachable("Kinesis can't be reached", remedy="start it")
        return read(*args, **more)

    monkeypatch.setattr(stream, "read", sometimes)
    result = run(given, "raw/deltas")
    assert steps_retried(result) == ["raw__deltas"]
    assert metadata(result, "raw", "deltas")["rows_in"] == 12


def test_debt_and_quarantine_are_looked_at_by_the_hour(
    given: dict[str, object],
    shards: dict[str, Shard],
    stream: Recorded,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hourly() -> dict[str, bool]:
        defs = dg.Definitions(
            assets=[dg.AssetSpec(["lake", target.name]) for target in TARGETS],
            asset_checks=[hourly_checks(TARGETS)],
            jobs=[dg.define_asset_job("hourly", selection=dg.AssetSelection.all_asset_checks())],
            resources=dict(given),
        )
        with dg.DagsterInstance.ephemeral() as instance:
            return checks(defs.resolve_job_def("hourly").execute_in_process(instance=instance))

    run(given)
    assert set(hourly().values()) == {True}
    photos = shards["photos"]
    photos.insert({"id": "no number", "title": "x"})
    put(stream, shards)
    run(given)
    monkeypatch.setattr("smug_platform.lake.compact.MAX_FILES", 1)
    monkeypatch.setattr("smug_platform.lake.assets.tend", lambda *_: None)  # it doesn't keep up
    found = hourly()
    assert found["lake/photos:quarantine_empty"] is False
    assert found["lake/albums:quarantine_empty"] is True
    photos.insert({"id": 9, "title": "x"})
    put(stream, shards)
    run(given)
    assert hourly()["lake/photos:compaction_debt"] is False
    assert hourly()["lake/albums:compaction_debt"] is True


def test_files_that_no_snapshot_names_go_with_the_compaction(
    given: dict[str, object], settings: Settings
) -> None:
    run(given)
    lakehouse = Lakehouse(settings)
    table = lakehouse.catalog.load_table("lake.photos")
    folder = Path(table.location().removeprefix("file://")) / "data"
    old, new = folder / "killed.parquet", folder / "at-work.parquet"
    for path in (old, new):
        path.write_bytes(b"left behind")
    os.utime(old, (0, 0))
    result = dg.materialize([compaction(TARGETS)], resources={"lakehouse": lakehouse})
    (done,) = result.asset_materializations_for_node(COMPACTION.to_python_identifier())
    assert done.metadata["files_removed"].value == 1
    assert (old.exists(), new.exists()) == (False, True)
    assert table.scan().to_arrow().num_rows == 2
