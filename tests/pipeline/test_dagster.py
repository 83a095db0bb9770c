"""Dagster over the whole way: real shards and Debezium, recorded once; then runs of every kind."""

import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._cli import create_dagster_cli

from smug_platform.archive.assets import ARCHIVE
from smug_platform.archive.erase import Beside, erase
from smug_platform.archive.publish import publish
from smug_platform.archive.resources import open_archive
from smug_platform.archive.write import write
from smug_platform.capture.assets import shard_key
from smug_platform.errors import WarehouseError
from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake.merge import name_of
from smug_platform.local.workload import run_workload
from smug_platform.loop import AT_ONCE, ToTheMarts, keep_on
from smug_platform.orchestration.behind import behind, has_arrivals
from smug_platform.orchestration.checks import check_key
from smug_platform.orchestration.compaction import COMPACTION
from smug_platform.orchestration.dagster_home import prepare_dagster_home
from smug_platform.orchestration.drain import DrainConfig
from smug_platform.orchestration.jobs import DRAIN, LIVE
from smug_platform.orchestration.sensors import tick
from smug_platform.orchestration.shard_checks import ALIVE
from smug_platform.raw.deltas import open_deltas
from smug_platform.realtime.assets import WINDOWS
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.store import Store, store_path
from smug_platform.settings import PROJECT, Settings, load_settings
from smug_platform.sync import Platform, ingest, sync
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.dbt import target_path
from smug_platform.warehouse.model_assets import model_graph
from tests.conftest import fresh_database
from tests.pipeline.capturing import capturing
from tests.pipeline.killed import MOMENTS
from tests.recorded import Recorded, RecordedStream, load_recorded

README = (PROJECT / "README.md").read_text()
LAYERS = ("lake", "warehouse", "marts")
IN_THE_LAKE = {"before the raw commit", "between raw and lake", "between two lake tables"}
IN_THE_WAREHOUSE = {"between lake and warehouse", "between two replicas"}
_CHANGE = ("_position", "_committed_at")
_WHEN = re.compile("_.*(loaded|merged)_at$")
_TABLES = """
select schema_name || '.' || table_name from duckdb_tables()
where schema_name in ('warehouse', 'marts') and not starts_with(table_name, '_')
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dagster")


@pytest.fixture(scope="module")
def recorded(shards: Settings, folder: Path) -> Path:
    """What Debezium put on the stream: a snapshot, then some thousand changes."""
    for shard in shards.shards:
        fresh_database(shard)
    run_workload(shards.shards, seed=1, changes=800, evolve=False)
    stream = Recorded()
    home = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(folder / "captured")})
    with capturing(replace(home, shards=shards.shards), FLICKR, stream) as worker:
        worker.wait_streaming()
        run_workload(shards.shards, seed=2, changes=800)
        positions = {}
        worker.wait(lambda: _is_still(positions, len(stream.envelopes)))
    return stream.save(folder / "recorded")


def _is_still(seen: dict[int, int], count: int) -> bool:
    """Whether the count has been the same for a hundred looks, which are five seconds."""
    seen[count] = seen.get(count, 0) + 1
    return seen[count] > 100


def settings_at(home: Path, parsed: Path) -> Settings:
    """Settings of a home that shares the parsed dbt project."""
    made = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})
    target_path(made).parent.mkdir(parents=True, exist_ok=True)
    parsed.mkdir(exist_ok=True)
    target_path(made).symlink_to(parsed)
    return made


@pytest.fixture
def stream(recorded: Path) -> Recorded:
    return load_recorded(recorded)


@pytest.fixture
def platform(tmp_path: Path, folder: Path, stream: Recorded, shards: Settings) -> Platform:
    settings = settings_at(tmp_path / "home", folder / "parsed")
    (settings.home / "capture").symlink_to(folder / "captured" / "capture")
    settings = replace(settings, shards=shards.shards)
    return Platform(settings, FLICKR, stream=RecordedStream(settings, stream))


@pytest.fixture
def defs(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.setenv("SMUG_ENV", "test")
    monkeypatch.setenv("SMUG_HOME", str(platform.settings.home))
    from smug_platform.definitions import build_defs

    return build_defs(platform.settings, resources={"stream": platform.stream})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(
    defs: dg.Definitions, instance: dg.DagsterInstance, job: str, **more: Any
) -> dg.ExecuteInProcessResult:
    found = defs.resolve_job_def(job).execute_in_process(
        instance=instance, raise_on_error=False, **more
    )
    failures = [event.message for event in found.all_events if event.is_step_failure]
    assert found.success, failures
    return found


def content(platform: Platform) -> dict[str, Any]:
    """Every row of the lake, and of the replicas and marts that are there.

    When a row was loaded, and how far a mart had read then, is left out: it depends on the pieces,
    and of rows without a key so does the change that is told of each of several equal ones.
    """
    found: dict[str, Any] = {}
    keyless = {target.name for target in platform.targets if not target.table.key}
    for target in platform.targets:
        table = platform.lakehouse.catalog.load_table(name_of(target))
        files = LakeFiles(table.io, table.schema(), table.current_snapshot())
        left_out = _CHANGE if target.name in keyless else ()
        names = sorted({field.name for field in table.schema().fields}.difference(left_out))
        rows = files.read(names).select(names).to_pylist()
        found[name_of(target)] = sorted(map(repr, rows))
    with connect(platform.settings) as connection:
        for (name,) in connection.execute(_TABLES).fetchall():
            rows = connection.execute(f"select * from {name}").fetchall()
            left_out = _CHANGE if name.removeprefix("warehouse.") in keyless else ()
            columns = [column[0] for column in connection.description or []]
            ordered = [
                sorted(
                    pair
                    for pair in zip(columns, row, strict=True)
                    if not _WHEN.match(pair[0]) and pair[0] not in left_out
                )
                for row in rows
            ]
            found[name] = sorted(map(repr, ordered))
    return found


@pytest.fixture(scope="module")
def expected(recorded: Path, folder: Path) -> dict[str, Any]:
    """What one undisturbed pass makes of it."""
    settings = settings_at(folder / "undisturbed", folder / "parsed")
    made = Platform(settings, FLICKR, stream=RecordedStream(settings, load_recorded(recorded)))
    synced = sync(made)
    assert synced.problems == ()
    assert sum(landed.deltas for landed in synced.landed) > 1_000
    assert len(synced.merged) == len(made.targets)
    return content(made)


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {"/".join(event.asset_key.path) for event in events if event.asset_key}


def metadata(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    for event in result.get_asset_materialization_events():
        if event.asset_key == dg.AssetKey([*key]):
            return {name: each.value for name, each in event.materialization.metadata.items()}
    raise KeyError(key)


def test_a_nightly_run_makes_everything_with_columns_and_what_they_are_made_of(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    expected: dict[str, Any],
) -> None:
    result = run(defs, instance, "nightly")
    graph = defs.resolve_asset_graph()
    way = graph.materializable_asset_keys - {COMPACTION, ARCHIVE}
    assert materialized(result) == {"/".join(key.path) for key in way}
    passed = {str(c.asset_check_key): c.passed for c in result.get_asset_check_evaluations()}
    assert [name for name, ok in passed.items() if not ok] == []
    assert len(passed) > 100, "dbt's tests are checks"
    assert content(platform) == expected
    photos = metadata(result, "marts", "dim_photos")
    assert photos["dagster/row_count"] > 0
    assert photos["lag_seconds"] > 0
    made_of = photos["dagster/column_lineage"].deps_by_column
    (parent,) = made_of["photo_id"]
    assert (parent.asset_key.path, parent.column_name) == (["staging", "stg_photos"], "photo_id")
    staged = metadata(result, "staging", "stg_photos")["dagster/column_lineage"].deps_by_column
    (source,) = staged["photo_id"]
    assert (source.asset_key.path, source.column_name) == (["warehouse", "photos"], "id")
    page = metadata(result, "bi", "dashboard_page")
    assert Path(page["page"]).stat().st_size == page["bytes"]
    equal = run(defs, instance, "reconciliation").get_asset_check_evaluations()
    stopped = {dg.AssetCheckKey(shard_key(shard.name), ALIVE) for shard in platform.settings.shards}
    uncounted = {key for key in graph.asset_check_keys if key.asset_key == WINDOWS}
    failed = {check.asset_check_key for check in equal if not check.passed}
    assert uncounted <= failed, "no consumer has counted the stream, which is told"
    assert failed <= stopped | uncounted, "capture ended with the recording, a minute ago or less"
    per_table = 2 * len(FLICKR.tables) + 2 * len(platform.targets)
    assert len(equal) == per_table + 3 * len(stopped) + len(uncounted)
    with connect(platform.settings) as connection:
        connection.execute("update warehouse.photos set title = 'by hand' where _shard = 'shard_1'")
    found = run(defs, instance, "reconciliation").get_asset_check_evaluations()
    different = {check.asset_check_key for check in found if not check.passed}
    assert different - stopped - uncounted == {check_key("photos", "shard_1")}


def test_the_sensor_asks_until_nothing_is_behind(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    stream: Recorded,
    expected: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the stream coming in pieces, as it does, and a run that stops short."""
    late = stream.envelopes[-300:]
    del stream.envelopes[-300:]
    first = look(defs, instance, platform)
    run(defs, instance, LIVE, asset_selection=first.asset_selection)
    page = look(defs, instance, platform)
    assert page.asset_selection == [dg.AssetKey(["bi", "dashboard_page"])]
    run(defs, instance, LIVE, asset_selection=page.asset_selection)
    # However slow the machine is, the page is not due again before the test ends.
    monkeypatch.setattr("smug_platform.orchestration.behind.PAGE_SECONDS", math.inf)
    assert behind(platform).items == {}
    assert isinstance(tick_once(defs, instance, platform), dg.SkipReason)
    stream.envelopes += late
    short = look(defs, instance, platform)
    assert short.asset_selection is not None
    assert len(short.asset_selection) < len(first.asset_selection or [])
    only_lake = [key for key in short.asset_selection if key.path[0] in {"raw", "lake"}]
    run(defs, instance, LIVE, asset_selection=only_lake)
    rest = look(defs, instance, platform)
    layers = {key.path[0] for key in rest.asset_selection or []}
    assert layers == {"warehouse", "intermediate", "marts"}, "views show new data by themselves"
    loads = {key.path[1] for key in rest.asset_selection or [] if key.path[0] == "warehouse"}
    graph = model_graph(platform.settings)
    tables = [graph.models[name] for name in graph.downstream(loads)]
    made_of_them = {model.name for model in tables if model.materialized != "view"}
    assert {key.path[1] for key in rest.asset_selection or []} == loads | made_of_them
    made = run(defs, instance, LIVE, asset_selection=rest.asset_selection)
    steps = [event.step_key for event in made.all_events if event.is_step_start]
    assert steps == ["warehouse", "dbt"], "without the views only their turn puts them in order"
    assert not has_arrivals(platform)
    assert behind(platform).items == {}
    assert content(platform) == expected


def tick_once(
    defs: dg.Definitions, instance: dg.DagsterInstance, platform: Platform
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def())
    return tick(context, platform, patience=0.0)


def look(defs: dg.Definitions, instance: dg.DagsterInstance, platform: Platform) -> dg.RunRequest:
    """What a tick asks for; runs that ended just now do not count as a rush."""
    for record in instance.get_run_records():
        instance.delete_run(record.dagster_run.run_id)
    instance.report_runless_asset_event(dg.AssetMaterialization(["raw", "deltas"]))
    found = tick_once(defs, instance, platform)
    assert isinstance(found, dg.SensorResult), found
    (request,) = found.run_requests or []
    assert request.job_name == LIVE
    return request


def test_a_drain_run_takes_micro_batch_after_micro_batch(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    stream: Recorded,
    expected: dict[str, Any],
) -> None:
    stream.most = 900
    until = DrainConfig(idle_s=1.0, max_s=120.0)
    config = dg.RunConfig(ops={"to_the_lake": until, "to_the_marts": until})
    result = run(defs, instance, DRAIN, run_config=config)
    events = [e for e in result.all_events if e.is_step_materialization]
    landings = [e for e in events if e.asset_key == dg.AssetKey(["raw", "deltas"])]
    batches = math.ceil(len(stream.envelopes) / stream.most)
    assert len(open_deltas(platform.lakehouse.catalog).metadata.snapshots) == batches
    assert len(landings) == math.ceil(batches / AT_ONCE)
    layers = {event.asset_key.path[0] for event in events if event.asset_key}
    assert layers == {"raw", "lake", "warehouse", "staging", "intermediate", "marts", "bi"}
    assert content(platform) == expected
    assert behind(platform).build == {}


def selections() -> list[str]:
    """What the README's block materializes, stage by stage."""
    (block,) = re.findall(r"^materialize\(\) .*\n((?:materialize '.*\n)+)", README, re.MULTILINE)
    return re.findall(r"^materialize '(.*?)'", block, re.MULTILINE)


@pytest.mark.filterwarnings("ignore:Function .asset_materialize_command. is superseded")
@pytest.mark.filterwarnings("ignore:Parameter .include_sources. of function")
def test_the_readme_brings_everything_through_stage_by_stage(
    defs: dg.Definitions,
    platform: Platform,
    expected: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the command line that it names, in this process, with a recorded stream."""
    call = "dagster asset materialize -m smug_platform.definitions --select"
    assert f'{call} "$1"' in README
    monkeypatch.setattr("smug_platform.definitions.defs", defs)
    assert "python -m smug_platform.orchestration.dagster_home" in README
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(platform.settings)))
    layers = []
    for selection in selections():
        done = CliRunner().invoke(create_dagster_cli(), [*call.split()[1:], selection])
        assert done.exit_code == 0, (done.output, done.exception, done.exception.__cause__)
        layers.append(made_last())
    assert layers == [
        {"raw"}, {"lake"}, {"warehouse"}, {"staging", "intermediate", "marts"}, {"bi"},
    ]  # fmt: skip
    assert content(platform) == expected
    assert (platform.settings.home / "dashboard" / "index.html").exists()


def made_last() -> set[str]:
    """The layers of the assets that the last run materialized."""
    with dg.DagsterInstance.get() as instance:
        (last,) = instance.get_run_ids(limit=1)
        events = instance.all_logs(last, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    keys = [event.dagster_event.asset_key for event in events if event.dagster_event]
    return {key.path[0] for key in keys if key}


def test_a_half_that_meets_a_problem_ends(platform: Platform) -> None:
    ingest(platform)
    broken = platform.settings.home / "broken"
    broken.write_text("no warehouse")
    platform.settings = replace(platform.settings, warehouse_path=broken)
    with pytest.raises(WarehouseError, match="can't open"):
        list(keep_on(ToTheMarts(platform), idle=5.0, most=30.0))


@pytest.mark.parametrize("moment", MOMENTS)
def test_J19_a_run_that_is_killed_is_made_good_by_the_next(
    moment: str, recorded: Path, platform: Platform, expected: dict[str, Any]
) -> None:
    home = platform.settings.home
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.killed", str(home), str(recorded), moment],
        cwd=PROJECT,
        env={**os.environ, "SMUG_ENV": "test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    assert ingest(platform).problems == ()
    if moment in IN_THE_WAREHOUSE:
        list(platform.load())
    elif moment not in IN_THE_LAKE:
        assert sync(platform).problems == ()
    found = content(platform)
    assert found == {name: expected[name] for name in found}
    layers = 1 if moment in IN_THE_LAKE else 2 if moment in IN_THE_WAREHOUSE else 3
    assert {name.partition(".")[0] for name in found} == set(LAYERS[:layers])
    assert not ingest(platform).moved


def test_the_live_numbers_are_held_to_the_marts_at_their_position(
    platform: Platform,
    stream: Recorded,
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
) -> None:
    # Not amid the changes: of a row that is on its way to another shard the live numbers show both.
    first = next(i for i, e in enumerate(stream.envelopes) if re.search(rb'"op":"[cud]"', e))
    stream.envelopes, held_back = stream.envelopes[:first], stream.envelopes[first:]
    assert sync(platform).problems == ()
    assert {each.severity for each in live_checks(defs, instance)} == {dg.AssetCheckSeverity.WARN}
    assert len(held_back) > 800  # the live numbers are ahead of the marts, by all of these
    stream.envelopes += held_back
    with Store(store_path(platform.settings)) as store:
        consumer = Consumer(store, stream, FLICKR)  # type: ignore[arg-type]
        while consumer.step(most=300).behind:
            pass
        equal = live_checks(defs, instance)
        assert [(each.passed, each.description) for each in equal] == [(True, None)] * 5
        assert all(each.metadata["total"].value > 0 for each in equal)
        with store.writing() as connection:
            connection.execute("update days set value = value + 1 where metric = 'comments'")
    wrong = [each for each in live_checks(defs, instance) if not each.passed]
    assert [(each.check_name, each.severity) for each in wrong] == [
        ("comments_equal_marts", dg.AssetCheckSeverity.ERROR)
    ]
    assert "in the marts" in str(wrong[0].description)


def live_checks(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> list[dg.AssetCheckEvaluation]:
    keys = {key for key in defs.resolve_asset_graph().asset_check_keys if key.asset_key == WINDOWS}
    job = defs.resolve_job_def("reconciliation")
    found = job.get_subset(asset_check_selection=keys).execute_in_process(instance=instance)
    return sorted(found.get_asset_check_evaluations(), key=lambda each: each.check_name)


def test_an_erased_account_is_gone_from_replicas_and_marts(platform: Platform) -> None:
    sync(platform).require_success()
    settings, catalog = platform.settings, platform.lakehouse.catalog
    with connect(settings, read_only=True) as warehouse:
        query = "select account_id::varchar, count(*) from marts.dim_photos group by 1 order by 2"
        account, photos = warehouse.execute(query).fetchall()[-1]
        before = warehouse.execute("select count(*) from marts.dim_accounts").fetchall()[0][0]
    archive = open_archive(settings.archive)
    write(catalog, archive, FLICKR)
    beside = Beside(settings.claims, lambda: publish(settings), None)
    certificate = erase(catalog, archive, FLICKR, account, beside)
    assert certificate.is_clear
    copies = {copy.copy: copy for copy in certificate.copies}
    assert {"warehouse", "marts and bi views", "dashboard page"} <= set(copies)
    assert copies["warehouse"].rows > photos
    with connect(settings, read_only=True) as warehouse:
        left = f"select count(*) from marts.dim_photos where account_id = {account}"
        assert warehouse.execute(left).fetchall() == [(0,)]
        after = warehouse.execute("select count(*) from marts.dim_accounts").fetchall()[0][0]
        alive = f"select count(*) from warehouse.accounts where id = {account} and not _is_deleted"
        assert warehouse.execute(alive).fetchall() == [(0,)]
        assert warehouse.execute("select count(*) from bi.bi_orders").fetchall()[0][0]
    assert after == before - 1
