"""Dagster over the whole way: real shards and Debezium, recorded once; then runs of every kind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from smug_platform.behind import behind
from smug_platform.drain import DrainConfig
from smug_platform.jobs import DRAIN
from smug_platform.lake.files import LakeFiles
from smug_platform.lake.merge import name_of
from smug_platform.local.workload import run_workload
from smug_platform.settings import PROJECT, Settings, load_settings
from smug_platform.sync import Platform, drain, sync
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.dbt import target_path
from tests.conftest import fresh_database
from tests.pipeline.capturing import capturing
from tests.pipeline.killed import MOMENTS
from tests.recorded import Recorded, RecordedStream, load_recorded

MARTS = ("dim_accounts", "dim_accounts_history", "dim_photos", "fct_orders", "fct_engagement")


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
def platform(tmp_path: Path, folder: Path, stream: Recorded) -> Platform:
    settings = settings_at(tmp_path / "home", folder / "parsed")
    return Platform(settings, FLICKR, stream=RecordedStream(settings, stream))


@pytest.fixture
def defs(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.setenv("SMUG_ENV", "test")
    monkeypatch.setenv("SMUG_HOME", str(platform.settings.home))
    from smug_platform.definitions import build_defs

    return build_defs(platform.settings, resources={"stream": platform.stream})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
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
    """Every row of the lake, and of some marts."""
    found: dict[str, Any] = {}
    for target in platform.targets:
        table = platform.lakehouse.catalog.load_table(name_of(target))
        files = LakeFiles(table.io, table.schema(), table.current_snapshot())
        names = sorted(field.name for field in table.schema().fields)
        rows = files.read(names).select(names).to_pylist()
        found[name_of(target)] = sorted(map(repr, rows))
    with connect(platform.settings, read_only=True) as connection:
        for mart in MARTS:
            rows = connection.execute(f"select * from marts.{mart}").fetchall()
            found[mart] = sorted(map(repr, rows))
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


def test_a_drain_run_takes_micro_batch_after_micro_batch(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    stream: Recorded,
    expected: dict[str, Any],
) -> None:
    stream.most = 900
    config = dg.RunConfig(ops={"drain_stream": DrainConfig(idle_s=1.0, max_s=120.0)})
    result = run(defs, instance, DRAIN, run_config=config)
    events = [e for e in result.all_events if e.is_step_materialization]
    landings = [e for e in events if e.asset_key == dg.AssetKey(["raw", "deltas"])]
    assert len(landings) == -(-len(stream.envelopes) // stream.most)
    layers = {event.asset_key.path[0] for event in events if event.asset_key}
    assert layers == {"raw", "lake", "warehouse", "staging", "intermediate", "marts", "bi"}
    assert content(platform) == expected
    assert behind(platform).build == {}


def test_a_drain_ends_with_its_time_and_with_a_problem(platform: Platform) -> None:
    passes = list(drain(platform, idle=60.0, most=0.0))
    assert len(passes) >= 1, "what was begun is finished"
    broken = replace(platform.settings, warehouse_path=platform.settings.home / "broken")
    broken.warehouse_path.write_text("no warehouse")
    platform.settings = broken
    with pytest.raises(Exception, match="can't open"):
        list(drain(platform, idle=5.0, most=30.0))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_is_made_good_by_the_next(
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
    synced = sync(platform)
    assert synced.problems == ()
    assert content(platform) == expected
    assert not sync(platform).moved
