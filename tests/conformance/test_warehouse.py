"""The warehouse while somebody else is in it."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.errors import SmugError, WarehouseError
from smug_platform.settings import Settings
from smug_platform.sync import Platform
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.ddl import LOADED_AT
from tests.conformance.corpus import SOURCE, Corpus
from tests.conformance.oracle import tally, warehouse_copy

# What a `dbt run` does in a process of its own: it holds the file while it builds its models.
_BUILD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
connection.execute("begin")
connection.execute("create or replace table model as select count(*) as rows from warehouse.f01")
print("building", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("commit")
connection.close()
"""


@pytest.fixture
def platform(corpus: Corpus, tmp_path: Path) -> Platform:
    """The corpus's lake with a warehouse of this test's own that has one of its tables."""
    settings = replace(corpus.stack.settings, warehouse_path=tmp_path / "smug.duckdb")
    platform = Platform(settings, SOURCE, lakehouse=corpus.stack.platform.lakehouse)
    one = Platform(
        settings, replace(SOURCE, tables=(SOURCE.table("f01"),)), lakehouse=platform.lakehouse
    )
    load(one)
    return platform


def load(platform: Platform) -> None:
    for loaded in platform.load():
        assert not isinstance(loaded, SmugError), loaded


def building(settings: Settings, seconds: float) -> "subprocess.Popen[str]":
    """A dbt run that has begun, and holds the warehouse for so long."""
    argv = [sys.executable, "-c", _BUILD, str(settings.warehouse_path), str(seconds)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    process.stdout.close()
    return process


def assert_converged(platform: Platform, corpus: Corpus) -> None:
    with connect(platform.settings) as connection:
        for name, seen in corpus.seen["replay"].items():
            if name not in corpus.problems:
                held = warehouse_copy(connection, name)
                assert set(held.types) >= set(seen.warehouse.types), name
                names = [column for column in seen.warehouse.types if column != LOADED_AT.name]
                assert tally(held.rows, names) == tally(seen.warehouse.rows, names), name
        assert connection.execute("select rows from model").fetchall() == [
            (len(corpus.table("f01").warehouse.rows),)
        ]


def test_P01_a_load_waits_for_a_build_and_then_goes_through(
    platform: Platform, corpus: Corpus
) -> None:
    process = building(platform.settings, 2.0)
    try:
        load(platform)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    assert_converged(platform, corpus)


def test_P01_a_build_that_takes_too_long_is_named_and_the_next_load_converges(
    platform: Platform, corpus: Corpus
) -> None:
    process = building(platform.settings, 60.0)
    try:
        began = time.monotonic()
        with pytest.raises(WarehouseError, match=f"held by process {process.pid}") as told:
            connect(platform.settings, wait=0.5)
        assert told.value.passes
        assert time.monotonic() - began < 10
    finally:
        process.kill()
        process.wait()
    with connect(platform.settings) as connection:
        connection.execute("create table model as select count(*) as rows from warehouse.f01")
    load(platform)
    assert_converged(platform, corpus)


def test_P01_a_reader_with_an_open_transaction_sees_one_state(
    platform: Platform, corpus: Corpus
) -> None:
    count = "select count(*) from duckdb_tables() where schema_name = 'warehouse'"
    with connect(platform.settings) as reader:
        reader.execute("create table model as select count(*) as rows from warehouse.f01")
        reader.execute("begin")
        before = reader.execute(count).fetchall()
        load(platform)
        assert reader.execute(count).fetchall() == before
        reader.execute("commit")
        assert reader.execute(count).fetchall() > before
    assert_converged(platform, corpus)
