"""Days of the marts made anew: on DuckDB by `smug backfill` and by Dagster, and on Redshift."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from smug_platform.cli import main
from smug_platform.errors import WarehouseError
from smug_platform.settings import Settings, load_settings
from smug_platform.warehouse import dbt
from smug_platform.warehouse.backfill import backfill, days_of, merged
from smug_platform.warehouse.builds import record
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.details import details
from smug_platform.warehouse.model_assets import model_assets, model_graph
from smug_platform.warehouse.open import open_warehouse
from tests.pipeline.dbt.conftest import Built, OnRedshift, Row, anew, plain
from tests.pipeline.flickr_rows import comment, day, favorite, first_lake, photo

Ask = Callable[[str], Any]
Held = dict[str, list[Row]]
"""The rows of each merged model."""

DAY, DATE = "2026-01-06", 1
COUNTS = "favorites_count, comments_count, spam_comments_count, views_count"
# Which photos were uploaded then is told by the replica, so what says otherwise moves.
MODELS = {
    "intermediate.int_engagement_daily": f"photo_id, engaged_on, {COUNTS}",
    "marts.fct_engagement": f"photo_id, engaged_on, {COUNTS}, account_id, interactions_count",
    "marts.fct_uploads": "photo_id, uploaded_on, size_bytes, media, favorites_count, views_count",
}
READ = """
select max(_favorites_loaded_at), max(_comments_loaded_at), max(_views_loaded_at),
    (select max(_photos_loaded_at) from marts.fct_engagement),
    (select max(_engagement_merged_at) from marts.fct_engagement),
    (select max(_photos_loaded_at) from marts.fct_uploads),
    (select max(_engagement_merged_at) from marts.fct_uploads)
from intermediate.int_engagement_daily
"""
# Rows of that day are lost, wrong, too many or of another day; and some of other days are wrong.
DAMAGE = (
    "delete from intermediate.int_engagement_daily"
    " where photo_id = 10 and engaged_on = '2026-01-06'",
    "update intermediate.int_engagement_daily set favorites_count = 50 where photo_id = 10",
    f"insert into intermediate.int_engagement_daily select 99, '2026-01-06', {COUNTS},"
    " _favorites_loaded_at, _comments_loaded_at, _views_loaded_at, _merged_at"
    " from intermediate.int_engagement_daily where photo_id = 10",
    "update marts.fct_engagement set views_count = 77 where photo_id = 10",
    f"insert into marts.fct_engagement select 98, account_id, '2026-01-06', {COUNTS},"
    " interactions_count, _photos_loaded_at, _engagement_merged_at"
    " from marts.fct_engagement where photo_id = 11",
    "update marts.fct_uploads set size_bytes = 1 where photo_id = 10",
    "delete from marts.fct_uploads where photo_id = 14",
    "update marts.fct_uploads set uploaded_on = '2026-01-06' where photo_id = 12",
)


def held(ask: Ask) -> Held:
    """Without the zeros by which the intermediate model tells of what has gone."""
    found = {name: plain(ask(f"select {these} from {name}")) for name, these in MODELS.items()}
    return {name: [r for r in rows if set(r[2:6]) != {"0"}] for name, rows in found.items()}


def of_day(found: Held) -> Held:
    return {name: [row for row in rows if row[DATE] == DAY] for name, rows in found.items()}


def of_others(found: Held, but: Iterable[str] = ("12",)) -> Held:
    """The rows of the other days, but those of a photo whose row was of the wrong day."""
    return {
        name: [row for row in rows if row[DATE] != DAY and row[0] not in but]
        for name, rows in found.items()
    }


def on_file(settings: Settings) -> Ask:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with connect(settings) as connection:
            return connection.execute(sql).fetchall()

    return ask


def replicas(ask: Ask) -> list[tuple[Any, ...]]:
    names = ask("select table_name from duckdb_tables() where schema_name = 'warehouse'")
    return [
        row for (name,) in sorted(names) for row in sorted(ask(f"from warehouse.{name}"), key=str)
    ]


@pytest.fixture
def alone(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with what was built first and nothing else: no shard, no stream and no lake.

    Then came a photo of another day, which is built, and changes of photo 12 and of a comment that
    left photo 10, which are not. All of it is damaged afterwards.
    """
    for name in ("MYSQL", "KINESIS"):
        monkeypatch.setenv(f"SMUG_{name}_PORT", "1")
    monkeypatch.setenv("SMUG_ENV", "test")
    monkeypatch.setenv("SMUG_HOME", str(tmp_path))
    settings = load_settings()
    shutil.copy(built.settings.warehouse_path, settings.warehouse_path)
    lake = first_lake()
    lake.changed, lake.snapshot = {}, 1
    lake.put("photos", **photo(14, 1, 700, uploaded_at=day(DAY)))
    lake.put("favorites", **favorite(2, 14, "2026-01-07"))
    lake.load_into(settings)
    dbt.build(settings, select=merged(model_graph(settings))).require_success()
    lake.put("favorites", at=0, **favorite(1, 12, DAY))
    lake.put("favorites", at=0, **favorite(2, 12, "2026-01-04"))
    lake.put("comments", **comment(1, 12))
    lake.put("photos", "shard_1", **photo(12, 2, 600))
    lake.load_into(settings)
    for statement in DAMAGE:
        on_file(settings)(statement)
    return settings


def smug(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["smug", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_K14_a_backfill_makes_a_day_anew_and_leaves_the_others(
    alone: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = on_file(alone)
    damaged, read, tables = held(ask), ask(READ), replicas(ask)
    assert smug(monkeypatch, "backfill", DAY) == 0
    assert capsys.readouterr().out.count(f" made anew for {DAY}\n") == len(MODELS)
    made = held(ask)
    assert (ask(READ), replicas(ask)) == (read, tables)
    assert of_others(made) == of_others(damaged)
    # What was not built yet is new to the next build, though this run has counted that day of it.
    graph = model_graph(alone)
    part = dbt.build(alone, select=merged(graph))
    part.require_success()
    then = held(ask)
    lineage = details(alone, graph, part, columns=True)["model.smug.fct_uploads"].lineage
    assert lineage["size_bytes"] == [("model.smug.stg_photos", "size_bytes")]
    config = {"first_day": "2026-01-04", "last_day": "2026-01-07"}
    assert materialized(alone, config) == set(MODELS)
    whole = held(ask)
    anew(alone)
    fresh = held(ask)
    assert of_day(made) == of_day(fresh)
    assert all(of_day(fresh).values())
    assert [r for r in then["marts.fct_uploads"] if r[0] == "12"] == [
        ("12", "2026-01-05", "600", "photo", "2", "0")
    ]
    for name, rows in fresh.items():
        assert [r for r in then[name] if r[0] in "12 14"] == [r for r in rows if r[0] in "12 14"]
    assert of_others(then) != of_others(fresh), "the other days stayed damaged"
    assert whole == fresh


def materialized(settings: Settings, config: dict[str, str]) -> set[str]:
    """What one run of Dagster makes of the merged models."""
    graph = model_graph(settings)
    result = dg.materialize(
        [model_assets(settings, graph)],
        selection=[dg.AssetKey(name.split(".")) for name in MODELS],
        run_config={"ops": {"dbt": {"config": config}}},
        resources={"settings": settings},
    )
    events = result.get_asset_materialization_events()
    return {".".join(event.asset_key.path) for event in events if event.asset_key}


def test_a_backfill_is_refused_where_it_would_mix_days(
    alone: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = held(on_file(alone))
    graph = model_graph(alone)
    assert {graph.models[f"model.smug.{name}"].name for name in merged(graph)} == {
        name.partition(".")[2] for name in MODELS
    }
    with open_warehouse(alone) as warehouse:
        record(warehouse, graph, frozenset({"model.smug.fct_uploads"}), {})
        warehouse.write([("update warehouse._models set version = 'before'", ())])
    assert smug(monkeypatch, "backfill", DAY) == 2
    assert "fct_uploads was built by other SQL than it has now" in capsys.readouterr().err
    assert held(on_file(alone)) == damaged
    with pytest.raises(WarehouseError, match="2026-01-05 is before 2026-01-06"):
        days_of(DAY, "2026-01-05")
    with pytest.raises(WarehouseError, match="write a day as 2026-01-31"):
        days_of("yesterday", "yesterday")


def test_K14_a_day_is_made_anew_on_redshift(on_redshift: OnRedshift) -> None:
    redshift = on_redshift.redshift
    right, read = held(redshift.ask), redshift.ask(READ)
    for statement in DAMAGE:
        redshift.ask(statement)
    damaged = held(redshift.ask)
    assert damaged != right
    with on_redshift.production():
        home = str(on_redshift.settings.home)
        settings = load_settings({**os.environ, "SMUG_ENV": "prod", "SMUG_HOME": home})
        backfill(settings, days_of(DAY, DAY)).require_success()
        made = held(redshift.ask)
        backfill(settings, days_of("2026-01-04", "2026-01-05")).require_success()
    assert of_day(made) == of_day(right)
    assert of_others(made) == of_others(damaged) != of_others(right)
    assert (held(redshift.ask), redshift.ask(READ)) == (right, read)
