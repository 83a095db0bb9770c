"""Spark with the Iceberg runtime as a peer: MERGE INTO a merge-on-read table, on this machine."""

import importlib.util
import os
import time
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.shapes import Shape

SPARK = "spark"
_ARTIFACT = "org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.10.0"
_JAR = "org/apache/iceberg/iceberg-spark-runtime-4.0_2.13/1.10.0"
_MEMORY = "6g"


def why_no_spark() -> str:
    """What is missing, in words; empty where Spark can run."""
    if importlib.util.find_spec("pyspark") is None:
        return "not installed: pip install -e .[bench]"
    return "" if _jar() else f"mvn dependency:get -Dtransitive=false -Dartifact={_ARTIFACT}"


def make_spark(home: Path, shape: Shape, rows: int) -> None:
    """Make the table from Parquet files of the same rows."""
    from bench.peers import plain_rows

    spark = _session(home)
    for number, batch in enumerate(plain_rows(shape, rows)):
        path = home / "spark-given.parquet"
        _write(path, batch)
        given = spark.read.parquet(str(path))
        if number == 0:
            spark.sql("create namespace if not exists peer.lake")
            table = given.writeTo("peer.lake.t").using("iceberg")
            for name in ("delete", "update", "merge"):
                table = table.tableProperty(f"write.{name}.mode", "merge-on-read")
            table.tableProperty("format-version", "2").create()
        else:
            given.writeTo("peer.lake.t").append()
        path.unlink()


def merge_spark(home: Path, shape: Shape, changes: pa.Table) -> float:
    """Merge the changes, which stand in a Parquet file; seconds."""
    spark = _session(home)
    path = home / "spark-changes.parquet"
    _write(path, changes)
    spark.read.parquet(str(path)).createOrReplaceTempView("changes")
    started = time.perf_counter()
    spark.sql(
        f"""merge into peer.lake.t t using changes s on t.{shape.key} = s.{shape.key}
        when matched and s._is_deleted then delete
        when matched then update set *
        when not matched and not s._is_deleted then insert *"""
    )
    seconds = time.perf_counter() - started
    path.unlink()
    return seconds


def _write(path: Path, rows: pa.Table) -> None:
    pq.write_table(rows, path, store_decimal_as_integer=True, coerce_timestamps="us")


@cache
def _session(home: Path) -> Any:
    from pyspark.sql import SparkSession

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what goes wrong is raised as well
    settings = {
        "spark.jars": _jar(),
        "spark.driver.memory": _MEMORY,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": (
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
        ),
        "spark.sql.catalog.peer": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.peer.type": "hadoop",
        "spark.sql.catalog.peer.warehouse": f"file://{home}/spark",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


def _jar() -> str:
    """The runtime's jar where Maven puts it; empty where it is not."""
    found = sorted((Path.home() / ".m2/repository" / _JAR).glob("*.jar"))
    return str(found[0]) if found else ""
