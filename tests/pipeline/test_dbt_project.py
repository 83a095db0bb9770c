"""The rules of the dbt project, read from its manifest, and that it compiles for Redshift."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.dbt import PROJECT_DIR

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dbt's artifacts for Redshift in prod, made without a connection and with nothing else set."""
    folder = tmp_path_factory.mktemp("redshift")
    dbt(folder, "compile", "--no-populate-cache", "--no-introspect", SMUG_ENV="prod")
    return folder


def dbt(folder: Path, *arguments: str, target: str = "redshift", **environ: str) -> None:
    """Run plain dbt; its artifacts go to the folder."""
    out = ["--target-path", str(folder), "--log-path", str(folder), "--no-use-colors"]
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), *arguments, "--target", target, *out],
        cwd=PROJECT_DIR,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def manifest(compiled: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((compiled / "manifest.json").read_text())
    return found


def _models(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (node for node in manifest["nodes"].values() if node["resource_type"] == "model")


LAYERS = {"staging", "intermediate", "marts", "bi"}


def test_what_an_analyst_builds_stands_beside_what_dashboards_read(tmp_path: Path) -> None:
    """The same artifacts are used, so that a changed environment is seen by what is parsed."""

    def schemas(**environ: str) -> set[str]:
        dbt(tmp_path, "parse", **environ)
        found = json.loads((tmp_path / "manifest.json").read_text())
        return {model["schema"] for model in _models(found)}

    assert schemas(SMUG_ENV="prod") == schemas(SMUG_ENV="staging") == LAYERS
    assert schemas(USER="ann") == {f"dev_ann_{layer}" for layer in LAYERS}
    own = schemas(USER="ann", SMUG_REDSHIFT_SCHEMA="trial")
    assert own == {f"trial_{layer}" for layer in LAYERS}
    assert schemas(SMUG_ENV="prod", USER="ann") == LAYERS
    assert schemas(target="local", USER="ann") == LAYERS


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


def test_every_model_with_a_branch_has_a_unit_test(manifest: dict[str, Any]) -> None:
    covered = {test["model"] for test in manifest["unit_tests"].values()}
    branching = {
        model["name"]
        for model in _models(manifest)
        if re.search(r"\bcase\b|\{\{ history_intervals|<> 0", model["raw_code"])
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


def test_the_project_compiles_for_redshift(compiled: Path, manifest: dict[str, Any]) -> None:
    assert manifest["metadata"]["adapter_type"] == "redshift"
    texts = {path.stem: path.read_text() for path in compiled.glob("compiled/**/*.sql")}
    assert {model["name"] for model in _models(manifest)} <= texts.keys()
    assert "to_hex(content_hash)" in texts["stg_photos"]
    assert "json_extract_path_text(photos.exif, 'camera', true)" in texts["dim_photos"]
    only_duckdb = r"json_extract_string|::|\bfilter \(|try_cast|strftime|string_agg|distinct from"
    assert not [name for name, sql in texts.items() if re.search(only_duckdb, sql)]
