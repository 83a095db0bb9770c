"""Readers that share no code with the writer agree: pyiceberg, Polars, DuckDB's views, Spark.

pyiceberg's own scan is what the others are compared with, at every step of a lake in which rows
are deleted, columns are renamed, added and widened, and files are compacted.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table import Table as PyTable

from smug_platform import iceberg
from smug_platform.iceberg import LakeFiles
from smug_platform.lake import query
from smug_platform.lake.merge import name_of
from smug_platform.lake.target import Target
from smug_platform.settings import Settings, load_settings
from tests.unit.lake.lakes import FIRST_ID, PHOTOS, TAGS, Lake, make_lake, steps

_RUNTIME = "org/apache/iceberg/iceberg-spark-runtime-4.0_2.13/1.10.0"
_SPARK = """
import json, sys
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.jars", sys.argv[1])
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
for metadata, snapshot, columns, path in json.loads(sys.argv[2]):
    table = spark.read.format("iceberg").option("snapshot-id", snapshot).load(metadata)
    pq.write_table(table.select(columns).toArrow(), path)
"""

Rows = Counter[tuple[tuple[str, Any], ...]]


def settings_at(home: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(settings_at(tmp_path_factory.mktemp("lake")))


STEPS = ("snapshot", "deletes", "altered", "compacted", "after")
each = pytest.mark.parametrize("step", STEPS)
both = pytest.mark.parametrize("target", [PHOTOS, TAGS], ids=lambda target: target.name)


def load(lake: Lake, target: Target) -> PyTable:
    return lake.catalog.load_table(name_of(target))


def bag(table: pa.Table) -> Rows:
    """Rows as a multiset of names and values."""
    return Counter(tuple(sorted(row.items())) for row in table.to_pylist())


def expected(lake: Lake, target: Target, step: str) -> pa.Table:
    return load(lake, target).scan(snapshot_id=lake.snapshots[target.name][step]).to_arrow()


@both
@each
def test_N09_ours(lake: Lake, target: Target, step: str) -> None:
    table = iceberg.load(lake.catalog, name_of(target))
    assert table is not None
    snapshot = table.snapshot_by_id(lake.snapshots[target.name][step])
    assert snapshot is not None
    schema = table.schemas()[snapshot.schema_id or 0]
    names = [field.name for field in schema.fields]
    found = LakeFiles(table.io, schema, snapshot).read(names).select(names)
    assert bag(found) == bag(expected(lake, target, step))


@both
@each
def test_N09_duckdb_views(lake: Lake, target: Target, step: str) -> None:
    at = str(lake.snapshots[target.name][step])
    with query.connect(lake.settings, at=at) as connection:
        found = connection.sql(f"from {name_of(target)}").to_arrow_table()
    there = expected(lake, target, step)
    assert found.column_names == there.column_names
    assert bag(found) == bag(there)


@both
@each
def test_N09_polars(lake: Lake, target: Target, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")  # its own is another package
    scan = pl.scan_iceberg(load(lake, target), snapshot_id=lake.snapshots[target.name][step])
    found = scan.collect().to_arrow()
    assert bag(found) == bag(expected(lake, target, step))


def test_the_last_step_is_what_the_source_holds(lake: Lake) -> None:
    """So that all readers are not wrong together."""
    found = {
        int(row["id"]): row for row in expected(lake, PHOTOS, "after").to_pylist()
        if not row["_is_deleted"]
    }  # fmt: skip
    assert set(found) == {row["id"] for row in lake.photos.rows}
    for row in lake.photos.rows:
        lake_row = found[row["id"]]
        assert (lake_row["title"], lake_row["m"], lake_row["added"], lake_row["score"]) == (
            row["title"], row["m"], row["added"], row["score"],
        )  # fmt: skip
        assert lake_row["price"] == Decimal(row["price"])
        assert lake_row["hash"] == (row["hash"] and b"\x00\xff\x0a")
    tags = [
        (row["name"], row["n"])
        for row in expected(lake, TAGS, "after").to_pylist()
        if not row["_is_deleted"]
    ]
    assert Counter(tags) == Counter((row["name"], row["n"]) for row in lake.tags.rows)


def test_the_lake_has_what_readers_may_get_wrong(lake: Lake) -> None:
    for target in (PHOTOS, TAGS):
        table = iceberg.load(lake.catalog, name_of(target))
        assert table is not None
        for step in ("altered", "after"):
            snapshot = table.snapshot_by_id(lake.snapshots[target.name][step])
            files = LakeFiles(table.io, table.schema(), snapshot)
            assert len(files.data) >= 2
            assert files.deletes
    assert FIRST_ID in {int(row["id"]) for row in expected(lake, PHOTOS, "after").to_pylist()}


def _spark() -> tuple[str, str]:
    """Spark's Python and Iceberg's jar; skips the test, saying what is missing."""
    python = os.environ.get("PYSPARK_PYTHON", sys.executable)
    if python == sys.executable and importlib.util.find_spec("pyspark") is None:
        pytest.skip(
            "no Spark: pip install pyspark==4.0.1, or PYSPARK_PYTHON names a Python with it"
        )
    found = list((Path.home() / ".m2/repository" / _RUNTIME).glob("*.jar"))
    if not found:
        pytest.skip(f"no Iceberg for Spark: mvn dependency:get of {_RUNTIME}")
    return python, str(found[0])


def test_N09_spark(lake: Lake, tmp_path: Path) -> None:
    python, jar = _spark()
    wanted = []
    for target, step, snapshot_id in steps(lake):
        names = expected(lake, target, step).column_names
        location = load(lake, target).metadata_location.removeprefix("file://")
        wanted.append([location, snapshot_id, names, str(tmp_path / f"{target.name}-{step}")])
    done = subprocess.run(
        [python, "-c", _SPARK, jar, json.dumps(wanted)],
        capture_output=True, text=True, check=False, timeout=240,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SPARK_LOCAL_IP": "127.0.0.1"},
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if not line.lstrip().startswith("at ")]
    assert done.returncode == 0, "\n".join(said)
    for target, step, _ in steps(lake):
        found = pq.read_table(tmp_path / f"{target.name}-{step}")
        there = expected(lake, target, step).select(found.column_names)
        assert bag(found) == bag(there), (target.name, step)


def test_views_are_as_they_were_when_the_connection_was_made(lake: Lake) -> None:
    with query.connect(lake.settings) as connection, duckdb.connect() as other:
        before = connection.sql("select count(*) from lake.tags").fetchall()
        later = query.show(other, lake.catalog)
        assert later.ask("select count(*) from lake.tags").fetchall() == before
