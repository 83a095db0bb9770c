"""What is kept of dbt's builds."""

from pathlib import Path

import pytest

from smug_platform.errors import WarehouseError
from smug_platform.warehouse import artifacts
from smug_platform.warehouse.artifacts import keep, version_of


def kept(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.json"))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.json"
    path.write_text("{}")
    return path


def test_results_lie_beside_the_manifest_they_speak_of(tmp_path: Path, manifest: Path) -> None:
    root = tmp_path / "kept"
    uri = keep(f"file://{root}", "v1", name="1-a", results=b"{1}", manifest=manifest)
    assert uri == f"file://{root}/v1/run_results/1-a.json"
    manifest.write_text("another parse of the same project")
    keep(f"file://{root}", "v1", name="2-b", results=b"{2}", manifest=manifest)
    keep(f"file://{root}", "v2", name="3-c", results=b"{3}", manifest=manifest)
    assert (root / "v1/manifest.json").read_text() == "{}"
    assert kept(root) == [
        *("v1/manifest.json", "v1/run_results/1-a.json", "v1/run_results/2-b.json"),
        *("v2/manifest.json", "v2/run_results/3-c.json"),
    ]


def test_the_oldest_results_go_and_with_the_last_the_manifest(
    tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "MOST", 2)
    root = tmp_path / "kept"
    for version, name in (("v2", "1"), ("v1", "2"), ("v1", "3")):
        keep(f"file://{root}", version, name=name, results=b"", manifest=manifest)
    assert kept(root) == ["v1/manifest.json", "v1/run_results/2.json", "v1/run_results/3.json"]
    assert not (root / "v2").exists()


def test_a_place_that_takes_nothing_is_named(tmp_path: Path, manifest: Path) -> None:
    (tmp_path / "kept").write_text("a file where a folder should be")
    with pytest.raises(WarehouseError, match="dbt's results can't be kept at file://"):
        keep(f"file://{tmp_path}/kept", "v1", name="1", results=b"", manifest=manifest)


def test_a_version_is_of_the_files_that_dbt_reads(tmp_path: Path) -> None:
    model = tmp_path / "models" / "one.sql"
    model.parent.mkdir()
    model.write_text("select 1")
    first = version_of(tmp_path, 1.0)
    (tmp_path / "logs.txt").write_text("x")
    compiled = tmp_path / "target" / "compiled" / "models" / "_one.yml"  # a folder, of its tests
    compiled.mkdir(parents=True)
    (compiled / "unique.sql").write_text("select 3")
    assert version_of(tmp_path, 2.0) == first
    model.write_text("select 2")
    assert version_of(tmp_path, 3.0) != first
    model.write_text("select 1")
    assert version_of(tmp_path, 4.0) == first
