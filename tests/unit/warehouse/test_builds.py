"""What dbt has to build: by what was loaded since, and by what changed in its SQL."""

from pathlib import Path

import duckdb
import pytest

from smug_platform.settings import load_settings
from smug_platform.warehouse.builds import (
    built,
    built_at,
    outdated,
    record,
    to_build,
    unbuilt,
    versions,
)
from smug_platform.warehouse.ddl import CREATE_LOADS
from smug_platform.warehouse.models import Graph, Model
from smug_platform.warehouse.open import DuckDB, open_warehouse


def model(name: str, *parents: str, kind: str = "table", version: str = "v1") -> Model:
    return Model(f"model.smug.{name}", name, "marts", "", kind, "", "", version, parents, (), ())


def graph(*models: Model) -> Graph:
    sources = {f"source.smug.warehouse.{name}": name for name in ("photos", "orders")}
    return Graph({each.unique_id: each for each in models}, (), (), sources)


STG_PHOTOS = model("stg_photos", "source.smug.warehouse.photos", kind="view")
STG_ORDERS = model("stg_orders", "source.smug.warehouse.orders", kind="view")
DIM_PHOTOS = model("dim_photos", "model.smug.stg_photos")
FCT = model("fct", "model.smug.dim_photos", "model.smug.stg_orders")
BI = model("bi", "model.smug.fct", kind="view")
ALL = graph(STG_PHOTOS, STG_ORDERS, DIM_PHOTOS, FCT, BI)
EVERYTHING = frozenset(ALL.models)


@pytest.fixture
def warehouse() -> DuckDB:
    made = duckdb.connect()
    made.execute("create schema warehouse")
    made.execute(CREATE_LOADS)
    return DuckDB(made)


def load(warehouse: DuckDB, table: str, snapshot: int) -> None:
    insert = "insert into warehouse._loads values (?, ?, 1, current_timestamp, null, '{}', '{}')"
    delete = "delete from warehouse._loads where table_name = ?"
    warehouse.write([(delete, [table]), (insert, [table, snapshot])])


def names(found: frozenset[str]) -> set[str]:
    return {unique_id.rpartition(".")[2] for unique_id in found}


def test_at_first_everything_is_to_build(warehouse: DuckDB) -> None:
    assert (built(warehouse), versions(warehouse), built_at(warehouse)) == ({}, {}, None)
    load(warehouse, "photos", 1)
    assert unbuilt(warehouse) == {"photos": None}
    assert to_build(ALL, ["photos"], versions(warehouse)) == EVERYTHING


def test_then_only_the_tables_downstream(warehouse: DuckDB) -> None:
    load(warehouse, "photos", 1)
    load(warehouse, "orders", 1)
    record(warehouse, ALL, EVERYTHING, {"photos": 1, "orders": 1})
    assert unbuilt(warehouse) == {}
    assert built_at(warehouse) is not None
    load(warehouse, "orders", 2)
    assert unbuilt(warehouse) == {"orders": 1}
    assert names(to_build(ALL, ["orders"], versions(warehouse))) == {"fct"}
    assert names(to_build(ALL, ["photos"], versions(warehouse))) == {"dim_photos", "fct"}


def test_a_model_whose_sql_changed_is_built_anew(warehouse: DuckDB) -> None:
    record(warehouse, ALL, EVERYTHING, {})
    edited = graph(STG_PHOTOS, STG_ORDERS, DIM_PHOTOS, FCT, model("bi", kind="view", version="v2"))
    assert names(to_build(edited, [], versions(warehouse))) == {"bi"}


def test_what_an_incremental_model_holds_is_outdated_by_other_sql() -> None:
    days = model("days", "model.smug.stg_photos", kind="incremental", version="v2")
    edited = graph(STG_PHOTOS, days, model("dim_photos", version="v2"))
    assert outdated(edited, {days.unique_id: "v1", DIM_PHOTOS.unique_id: "v1"}) == (days,)
    assert outdated(edited, {days.unique_id: "v2"}) == ()
    assert outdated(edited, {}) == (), "it was never built"


def test_a_table_counts_as_built_when_all_of_its_models_are(
    warehouse: DuckDB,
) -> None:
    load(warehouse, "photos", 1)
    load(warehouse, "orders", 1)
    half = EVERYTHING - {"model.smug.dim_photos", "model.smug.fct", "model.smug.bi"}
    record(warehouse, ALL, half, {"photos": 1, "orders": 1})
    assert unbuilt(warehouse) == {"photos": None, "orders": None}
    rest = frozenset({"model.smug.dim_photos", "model.smug.fct"})
    record(warehouse, ALL, rest, {"photos": 1, "orders": 1})
    assert unbuilt(warehouse) == {"photos": None, "orders": None}, "the view is missing"
    record(warehouse, ALL, rest | {"model.smug.bi"}, {"photos": 1, "orders": 1})
    assert unbuilt(warehouse) == {}


def test_a_load_during_the_build_stays_behind(warehouse: DuckDB) -> None:
    load(warehouse, "photos", 2)
    record(warehouse, ALL, EVERYTHING, {"photos": 1})
    assert unbuilt(warehouse) == {"photos": 1}


def test_downstream_is_found_through_any_number_of_models() -> None:
    assert names(ALL.downstream(["photos"])) == {"stg_photos", "dim_photos", "fct", "bi"}
    assert ALL.downstream(["no such table"]) == frozenset()


def test_settings_are_not_needed_to_know_what_is_behind(tmp_path: Path) -> None:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    with open_warehouse(settings) as empty:
        assert (unbuilt(empty), versions(empty)) == ({}, {})
