from pathlib import Path

import yaml

from smug_platform.settings import PROJECT
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.sources import COMMAND, dbt_sources

COMMITTED = PROJECT / "dbt_project" / "models" / "staging" / "_sources.yml"


def test_the_committed_sources_are_those_of_the_contract() -> None:
    if COMMITTED.read_text() != dbt_sources(FLICKR):
        raise AssertionError(f"{COMMITTED.relative_to(PROJECT)} is out of date; run: {COMMAND}")


def test_every_table_and_history_is_a_source_with_its_asset() -> None:
    (source,) = yaml.safe_load(dbt_sources(FLICKR))["sources"]
    keys = {
        table["name"]: table["config"]["meta"]["dagster"]["asset_key"] for table in source["tables"]
    }
    expected = [table.name for table in FLICKR.tables]
    expected += [f"{table.name}_history" for table in FLICKR.tables if table.history]
    assert keys == {name: ["warehouse", name] for name in expected}


def test_personal_columns_are_marked_and_a_reference_table_has_no_freshness() -> None:
    (source,) = yaml.safe_load(dbt_sources(FLICKR))["sources"]
    tables = {table["name"]: table for table in source["tables"]}
    marked = {
        column["name"]: column["config"]["meta"]["pii"] for column in tables["orders"]["columns"]
    }
    assert marked == dict(FLICKR.table("orders").pii)
    assert tables["licenses"]["config"]["freshness"] is None
    assert "freshness" not in tables["photos"]["config"]


def test_no_source_names_an_excluded_column() -> None:
    text = dbt_sources(FLICKR)
    assert not [name for table in FLICKR.tables for name in table.excluded if name in text]


def test_the_command_names_the_committed_file() -> None:
    assert COMMAND.endswith(str(COMMITTED.relative_to(PROJECT)))
    assert Path(COMMITTED).is_file()
