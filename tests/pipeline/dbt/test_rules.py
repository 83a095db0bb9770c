"""The rules of the dbt project, read from its manifest, and what the environment chooses."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.dbt import PROJECT_DIR, manifest_path
from tests.pipeline.dbt.conftest import Built


@pytest.fixture(scope="module")
def manifest(built: Built) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manifest_path(built.home).read_text())
    return found


def _models(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (node for node in manifest["nodes"].values() if node["resource_type"] == "model")


_BRANCH = (
    r"\bcase\b|\bcoalesce\b|\bnullif\b|\bin \(|<> |\{\{ history_intervals|\{\{ ratio|is_incremental"
)
_QUIET = ["--log-level", "none", "--log-level-file", "none"]
LAYERS = {"staging", "intermediate", "marts", "bi"}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The project with its settings and macros, and one model a layer: it is parsed in no time."""
    shutil.copy(PROJECT_DIR / "dbt_project.yml", tmp_path)
    shutil.copytree(PROJECT_DIR / "macros", tmp_path / "macros")
    for layer in sorted(LAYERS):
        model = tmp_path / "models" / layer / f"one_{layer}.sql"
        model.parent.mkdir(parents=True)
        model.write_text("select 1 as id")
        columns = "columns: [{name: id, data_type: integer}]"
        model.with_suffix(".yml").write_text(f"models: [{{name: {model.stem}, {columns}}}]")
    return tmp_path


def test_the_environment_alone_chooses_target_and_schemas(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an analyst builds on Redshift stands beside what dashboards read."""
    for name in ("DBT_TARGET", "SMUG_REDSHIFT_SCHEMA", "SMUG_ENV"):
        monkeypatch.delenv(name, raising=False)
    places = ["--project-dir", small, "--profiles-dir", PROJECT_DIR]

    def parsed(**environ: str) -> tuple[str, set[str]]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ({"USER": "ann"} | environ).items():
                patch.setenv(name, value)
            result = dbtRunner().invoke([*_QUIET, "parse", *map(str, places)])
        assert isinstance(result.result, Manifest), result.exception
        schemas = {node.schema for node in result.result.nodes.values()}
        return str(result.result.metadata.adapter_type), schemas

    assert parsed() == ("duckdb", LAYERS)
    assert parsed(SMUG_ENV="prod") == ("redshift", LAYERS)
    assert parsed(SMUG_ENV="staging") == ("redshift", LAYERS)
    own = parsed(DBT_TARGET="redshift")
    assert own == ("redshift", {f"dev_ann_{layer}" for layer in LAYERS})
    own = parsed(DBT_TARGET="redshift", SMUG_REDSHIFT_SCHEMA="trial")
    assert own == ("redshift", {f"trial_{layer}" for layer in LAYERS})
    with pytest.raises(AssertionError, match="does not have a target named ''"):
        parsed(SMUG_ENV="production")


def test_every_model_is_described_tested_and_named_for_its_layer(manifest: dict[str, Any]) -> None:
    tested = {
        parent
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        for parent in node["depends_on"]["nodes"]
    }
    prefixes = {
        "staging": ("stg_",),
        "intermediate": ("int_",),
        "marts": ("dim_", "fct_"),
        "bi": ("bi_",),
    }
    for model in _models(manifest):
        name = model["name"]
        assert model["description"].startswith("One row a "), name
        assert model["unique_id"] in tested, name
        assert name.startswith(prefixes[model["schema"]]), name
        assert len(name) <= 40, name
        assert all(column["description"] for column in model["columns"].values()), name
        contract = model["schema"] in {"marts", "bi"}
        assert model["config"]["contract"]["enforced"] is contract, name
        assert model["config"]["meta"]["dagster"]["owners"], name


def test_every_layer_reads_only_the_layers_below_it(manifest: dict[str, Any]) -> None:
    below = {
        "staging": {"warehouse"},
        "intermediate": {"staging", "intermediate"},
        "marts": {"staging", "intermediate"},
        "bi": {"marts"},
    }
    everything = manifest["nodes"] | manifest["sources"]
    for model in _models(manifest):
        read = {everything[parent]["schema"] for parent in model["depends_on"]["nodes"]}
        assert read <= below[model["schema"]], model["name"]


def test_the_freshness_of_every_table_is_told(manifest: dict[str, Any]) -> None:
    read = manifest["nodes"]["model.smug.stg_newest_changes"]["depends_on"]["nodes"]
    assert {one.rpartition(".")[2] for one in read} == {table.name for table in FLICKR.tables}


def test_every_model_with_a_branch_has_a_unit_test(manifest: dict[str, Any]) -> None:
    covered = {test["model"] for test in manifest["unit_tests"].values()}
    branching = {
        model["name"] for model in _models(manifest) if re.search(_BRANCH, model["raw_code"])
    }
    assert branching
    assert not branching - covered


def test_every_bi_view_is_on_a_dashboard_with_an_owner(manifest: dict[str, Any]) -> None:
    shown = set()
    for exposure in manifest["exposures"].values():
        assert exposure["owner"]["email"], exposure["name"]
        shown |= set(exposure["depends_on"]["nodes"])
    views = {model["unique_id"] for model in _models(manifest) if model["schema"] == "bi"}
    assert shown == views


def test_no_personal_column_reaches_marts(manifest: dict[str, Any]) -> None:
    personal = {column for table in FLICKR.tables for column in table.pii}
    for model in _models(manifest):
        if model["schema"] in {"marts", "bi"}:
            assert not personal & set(model["columns"]), model["name"]


def test_every_mart_says_how_it_lies_on_redshift_and_why(manifest: dict[str, Any]) -> None:
    for model in _models(manifest):
        if model["config"]["materialized"] != "view":
            assert model["config"]["dist"], model["name"]
            assert model["config"]["sort"], model["name"]
            assert re.match(r"\{#-.{30,}-#\}\n\{\{ config", model["raw_code"], re.DOTALL)
        else:
            assert model["schema"] != "marts", model["name"]


def test_names_fit_what_dbt_makes_of_them(manifest: dict[str, Any]) -> None:
    """It adds 21 characters for a temporary table, and the stand-in takes 63."""
    for test in manifest["unit_tests"].values():
        assert len(test["name"]) <= 40, test["name"]
