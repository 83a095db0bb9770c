"""Definitions load in every environment, and hold what a person expects to find."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.run_coordinator import DefaultRunCoordinator, QueuedRunCoordinator

from smug_platform.capture.assets import shard_key
from smug_platform.errors import SettingsError
from smug_platform.lake.target import targets
from smug_platform.orchestration.checks import check_key
from smug_platform.orchestration.dagster_home import prepare_dagster_home
from smug_platform.orchestration.shard_checks import ALIVE, KEPT, LANDED
from smug_platform.settings import ENVIRONMENTS, PROJECT, Settings, load_settings
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.dbt import prepare_manifest
from smug_platform.warehouse.model_assets import model_graph
from smug_platform.warehouse.models import read_graph

LAKE = {
    "accounts", "accounts_history", "photos", "albums", "album_photos", "favorites", "comments",
    "photo_views", "subscriptions", "subscriptions_history", "orders", "order_items", "licenses",
}  # fmt: skip
MARTS = {
    "dim_accounts", "dim_accounts_history", "dim_photos", "fct_churn_monthly", "fct_engagement",
    "fct_freshness", "fct_order_lines", "fct_orders", "fct_revenue_daily", "fct_storage_by_account",
    "fct_subscriptions", "fct_uploads",
}  # fmt: skip
BI = {
    "bi_accounts", "bi_churn", "bi_engagement", "bi_freshness", "bi_orders", "bi_revenue",
    "bi_storage", "bi_subscriptions", "bi_uploads", "dashboard_page", "quicksight_commerce",
    "quicksight_community", "quicksight_members",
}  # fmt: skip
GROUPS = {
    "sources", "stream", "raw", "lake_accounts", "lake_photos", "lake_community", "lake_commerce",
    "warehouse", "staging", "intermediate", "marts", "bi", "upkeep", "archive", "realtime",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def settings_of(env: str, home: Path) -> Settings:
    return load_settings({"SMUG_ENV": env, "SMUG_HOME": str(home)})


def loaded(env: str, home: Path) -> dg.Definitions:
    from smug_platform.definitions import build_defs

    return build_defs(settings_of(env, home))


@pytest.fixture(scope="module", autouse=True)
def _import_elsewhere(home: Path) -> None:
    """The module's own `defs` are those of the environment: let them not be this checkout's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMUG_ENV", "test")
        patch.setenv("SMUG_HOME", str(home))
        __import__("smug_platform.definitions")


@pytest.fixture(scope="module")
def defs(home: Path) -> dg.Definitions:
    return loaded("test", home)


def layer(defs: dg.Definitions, name: str) -> set[str]:
    return {key.path[1] for key in defs.resolve_all_asset_keys() if key.path[0] == name}


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_definitions_load_in_every_environment(env: str, home: Path) -> None:
    found = loaded(env, home)
    dg.Definitions.validate_loadable(found)
    assert layer(found, "lake") == layer(found, "warehouse") == LAKE
    assert layer(found, "marts") == MARTS
    graph = found.resolve_asset_graph()
    for key in (["warehouse", "photos"], ["marts", "dim_photos"]):
        assert graph.get(dg.AssetKey(key)).is_materializable


def test_an_unknown_environment_is_one_line() -> None:
    with pytest.raises(SettingsError, match="unknown SMUG_ENV 'production'"):
        load_settings({"SMUG_ENV": "production"})


def test_loading_the_module_warns_of_nothing_and_imports_no_dbt(home: Path) -> None:
    code = (
        "import sys, smug_platform.definitions as d; d.defs.get_repository_def();"
        "print([m for m in ('dbt', 'dagster_dbt', 'sqlglot', 'altair') if m in sys.modules])"
    )
    prepare_manifest(settings_of("test", home))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"SMUG_ENV": "test", "SMUG_HOME": str(home), "PATH": ""},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_keys(defs: dg.Definitions) -> None:
    assert layer(defs, "mysql") == {"shard_0", "shard_1"}
    assert layer(defs, "stream") == {"changes"}
    assert layer(defs, "raw") == {"deltas"}
    assert layer(defs, "staging") == {
        f"stg_{name}" for name in (*LAKE, "photo_changes", "newest_changes")
    }
    assert layer(defs, "bi") == BI
    layers = {key.path[0] for key in defs.resolve_all_asset_keys()}
    assert layers == {
        "mysql", "stream", "raw", "lake", "warehouse", "staging", "intermediate", "marts", "bi",
        "upkeep", "archive", "realtime",
    }  # fmt: skip


def test_every_asset_is_described_owned_and_in_a_group(defs: dg.Definitions) -> None:
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert spec.group_name in GROUPS, spec.key
    assert {spec.group_name for spec in defs.resolve_all_asset_specs()} == GROUPS


def test_the_way_is_connected_from_each_shard_to_the_page(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    page = dg.AssetKey(["bi", "dashboard_page"])
    reached = {key.path[0] for key in graph.get_ancestor_asset_keys(page)}
    assert reached >= {"mysql", "stream", "raw", "lake", "warehouse", "staging", "marts", "bi"}
    stubs = [key for key in graph.get_all_asset_keys() if key not in defs.resolve_all_asset_keys()]
    assert stubs == []


def test_sources_of_dbt_are_the_replicas(home: Path) -> None:
    graph = model_graph(settings_of("test", home))
    assert set(graph.sources.values()) == {target.name for target in targets(FLICKR)}
    for model in graph.models.values():
        assert set(model.parents) <= graph.models.keys() | graph.sources.keys()
        reads_sources = any(parent in graph.sources for parent in model.parents)
        assert reads_sources == (model.layer == "staging"), model.name


def test_every_data_test_is_a_check_of_a_model(home: Path, defs: dg.Definitions) -> None:
    graph = model_graph(settings_of("test", home))
    checks = defs.resolve_asset_graph().asset_check_keys
    of_models = {key for key in checks if key.asset_key.path[0] in {"staging", "marts", "bi"}}
    of_models |= {key for key in checks if key.asset_key.path[0] == "intermediate"}
    assert len(graph.tests) == len(of_models)
    assert all(test.model in graph.models for test in graph.tests)


def test_every_table_has_its_checks(defs: dg.Definitions) -> None:
    checks = defs.resolve_asset_graph().asset_check_keys
    for name in LAKE:
        names = {key.name for key in checks if key.asset_key == dg.AssetKey(["lake", name])}
        assert names == {"keys_unique", "no_gap", "quarantine_empty", "compaction_debt"}
    of_shards = {k for k in checks if k.asset_key.path[0] == "mysql"}
    assert of_shards == {
        check_key(table.name, shard) for table in FLICKR.tables for shard in ("shard_0", "shard_1")
    } | {
        dg.AssetCheckKey(shard_key(shard), check)
        for shard in ("shard_0", "shard_1")
        for check in (LANDED, ALIVE, KEPT)
    }


def test_materializing_by_hand_does_not_read_the_whole_source(defs: dg.Definitions) -> None:
    """A run of some assets runs all checks on them, so the reconciliation hangs on none of them."""
    graph = defs.resolve_asset_graph()
    for key in graph.asset_check_keys:
        if key.name.endswith("_equals_lake_equals_warehouse"):
            assert not graph.get(key.asset_key).is_materializable


def test_freshness_is_expected_of_raw_lake_and_marts(defs: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
    expected = {key for key, spec in specs.items() if spec.freshness_policy is not None}
    reference = {table.name for table in FLICKR.tables if table.reference}
    lake = {dg.AssetKey(["lake", name]) for name in LAKE - reference}
    marts = {dg.AssetKey(["marts", name]) for name in MARTS}
    assert expected == {dg.AssetKey(["raw", "deltas"]), *lake, *marts}


@pytest.mark.parametrize("env", ["test", "local", "prod"])
def test_nothing_starts_by_itself_where_tests_run(env: str, home: Path) -> None:
    repository = loaded(env, home).get_repository_def()
    running = {s.name for s in repository.sensor_defs if s.default_status.value == "RUNNING"}
    expected = {"kinesis_arrivals", "failures"} if env != "test" else set()
    assert running == expected
    schedules = {s.name for s in repository.schedule_defs if s.default_status.value == "RUNNING"}
    assert bool(schedules) == (env != "test")


def test_the_graph_is_read_anew_when_the_manifest_changes(home: Path, tmp_path: Path) -> None:
    manifest = prepare_manifest(settings_of("test", home))
    copy = tmp_path / "manifest.json"
    copy.write_bytes(manifest.read_bytes())
    assert read_graph(copy) is read_graph(copy)
    before = read_graph(copy)
    copy.write_bytes(manifest.read_bytes().replace(b"dim_photos", b"dim_images"))
    assert read_graph(copy) is not before


def test_the_home_is_made_once(tmp_path: Path) -> None:
    settings = settings_of("test", tmp_path)
    home = prepare_dagster_home(settings)
    assert home.is_absolute()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs_count() == 0
        assert isinstance(instance.run_coordinator, DefaultRunCoordinator)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    prepare_dagster_home(settings)
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_on_aws_the_home_is_made_by_a_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smug_platform.orchestration.dagster_home"],
        env={"SMUG_ENV": "prod", "SMUG_HOME": str(tmp_path), "PATH": ""},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / 'dagster'}\n"
    with dg.DagsterInstance.from_config(done.stdout.strip()) as instance:
        assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
