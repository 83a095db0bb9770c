"""Models that read the lake itself: a small project with the target `lake` of our profile."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from smug_platform.settings import load_settings
from smug_platform.warehouse.dbt import PROJECT_DIR
from tests.unit.lake.lakes import Lake, make_lake

pytestmark = pytest.mark.pipeline

_PROJECT = """
name: scratch
config-version: 2
profile: smug
models: {+materialized: table}
"""
_MODELS = {
    "live": "select id, title, m from iceberg.lake.photos where not _is_deleted",
    "picked": "select * from {{ ref('live') }} where m = 2::bigint ** 40",
    "tags": "select name, count(*) as uses from iceberg.lake.tags where not _is_deleted group by 1",
    "deltas": "select table_name, op from iceberg.raw.deltas",
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    home = tmp_path_factory.mktemp("lake")
    return make_lake(load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)}))


def dbt_run(lake: Lake, folder: Path, **environ: str) -> str:
    (folder / "models").mkdir(exist_ok=True)
    (folder / "dbt_project.yml").write_text(_PROJECT)
    for name, sql in _MODELS.items():
        (folder / "models" / f"{name}.sql").write_text(sql)
    home = str(lake.settings.home)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), "run", "--target", "lake", "--no-use-colors"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={"DBT_PROFILES_DIR": str(PROJECT_DIR), "SMUG_ENV": "test", "SMUG_HOME": home,
             "PATH": "/usr/bin:/bin", "HOME": str(folder), "DO_NOT_TRACK": "1", **environ},
    )  # fmt: skip
    return done.stdout + done.stderr


def test_models_read_the_lake(lake: Lake, tmp_path: Path) -> None:
    told = dbt_run(lake, tmp_path)
    assert f"PASS={len(_MODELS)} WARN=0 ERROR=0" in told, told
    with duckdb.connect(str(lake.settings.warehouse_path), read_only=True) as connection:
        live = connection.execute("select id from main.live").fetchall()
        assert {int(id_) for (id_,) in live} == {row["id"] for row in lake.photos.rows}
        assert len(connection.execute("from main.picked").fetchall()) == 1
        uses = connection.execute("select sum(uses) from main.tags").fetchall()
        assert uses == [(len(lake.tags.rows),)]
        # The lake's tables are not in the warehouse's file.
        assert connection.execute(
            "select count(*) from duckdb_views() where not internal"
        ).fetchall() == [(0,)]


def test_models_read_an_old_lake(lake: Lake, tmp_path: Path) -> None:
    at = str(lake.snapshots["photos"]["deletes"])
    assert 'Referenced column "m" not found' in dbt_run(lake, tmp_path, SMUG_LAKE_AT=at)
