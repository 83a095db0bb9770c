"""The dbt project on Redshift: built by the adapter, and equal to what DuckDB makes of the rows."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from dbt.cli.main import dbtRunner

from smug_platform.settings import load_settings
from smug_platform.warehouse import dbt
from smug_platform.warehouse.builds import built_at, versions
from smug_platform.warehouse.dbt import PROJECT_DIR, prepare_manifest
from smug_platform.warehouse.details import details
from smug_platform.warehouse.models import read_graph
from smug_platform.warehouse.open import open_warehouse
from tests.pipeline.dbt.conftest import Built, Content, Later, OnRedshift
from tests.redshift.fixtures import Bucket

GOOD = {"success", "pass"}


def differ(left: Content, right: Content) -> Content:
    """What the left side holds otherwise than the right one."""
    return {name: rows for name, rows in left.items() if right.get(name) != rows}


def test_every_model_is_built_and_every_test_passes(on_redshift: OnRedshift, built: Built) -> None:
    first, part = on_redshift.results
    bad = {n.name: n.message for n in (*first.nodes, *part.nodes) if n.status not in GOOD}
    assert bad == {}
    assert {n.unique_id for n in first.nodes} == {n.unique_id for n in built.result.nodes}


def test_the_marts_are_the_same_on_both(on_redshift: OnRedshift, built: Built) -> None:
    found = on_redshift.content[0]
    assert len(found) > 15
    assert all(found.values())
    assert (differ(found, built.content), differ(built.content, found)) == ({}, {})


def test_late_changes_and_deletes_are_merged_as_on_duckdb(
    on_redshift: OnRedshift, later: Later
) -> None:
    first, merged, fresh = on_redshift.content
    assert {"marts.fct_engagement", "marts.fct_uploads"} <= differ(first, merged).keys()
    assert (differ(merged, fresh), differ(merged, later.merged)) == ({}, {})


def test_P09_intervals_of_a_history_are_contiguous(on_redshift: OnRedshift) -> None:
    broken = on_redshift.redshift.ask("""
        select account_id from (
            select account_id, valid_to,
                lead(valid_from) over (partition by account_id order by valid_from) as following,
                valid_from
            from marts.dim_accounts_history
        ) as versions
        where following is not null and (valid_to is null or valid_to <> following)
            or following is null and valid_to is not null and valid_to < valid_from
    """)
    assert broken == []
    (count,) = on_redshift.redshift.ask("select count(*) from marts.dim_accounts_history")
    assert count[0] > len(on_redshift.redshift.ask("select account_id from marts.dim_accounts"))


def test_what_was_built_is_known_of_redshift(on_redshift: OnRedshift) -> None:
    with on_redshift.production():
        home = str(on_redshift.settings.home)
        settings = load_settings({**os.environ, "SMUG_ENV": "prod", "SMUG_HOME": home})
        with open_warehouse(settings) as warehouse:
            known, at = versions(warehouse), built_at(warehouse)
            part = on_redshift.results[1]
            graph = read_graph(prepare_manifest(settings))
            found = details(settings, graph, part, columns=True)
    (name,) = [one for one in found if one.endswith(".dim_photos")]
    assert found[name].rows == len(on_redshift.content[1]["marts.dim_photos"])
    assert found[name].lineage["title"] == [("model.smug.stg_photos", "title")]
    models = {n.unique_id for n in on_redshift.results[1].nodes if n.unique_id.startswith("model.")}
    assert known.keys() == models
    assert at is not None
    assert at <= datetime.now(UTC)


def test_marts_lie_on_redshift_as_their_models_say(on_redshift: OnRedshift) -> None:
    found = on_redshift.redshift.ask(
        'select "table", diststyle, sortkey1 from svv_table_info'
        " where \"schema\" in ('intermediate', 'marts')"
    )
    lies = {name: (style, key) for name, style, key in found}
    assert len(lies) == 13
    assert lies["fct_engagement"] == ("KEY(photo_id)", "engaged_on")
    assert lies["fct_revenue_daily"] == ("ALL", "placed_on")
    assert all(style == "ALL" or style.startswith("KEY(") for style, _ in lies.values())
    assert all(key for _, key in lies.values())


def test_the_results_are_kept_beside_the_lake(
    on_redshift: OnRedshift, bucket_of_session: Bucket
) -> None:
    kept = on_redshift.results[0].kept or ""
    assert kept.startswith("s3://smug-prod-lake/dbt/artifacts/")
    _, _, name, key = kept.split("/", 3)
    body = bucket_of_session.client.get_object(Bucket=name, Key=key)["Body"].read()
    assert len(json.loads(body)["results"]) == len(on_redshift.results[0].nodes)


def test_docs_are_generated_from_redshift(on_redshift: OnRedshift) -> None:
    settings = on_redshift.settings
    with on_redshift.production():
        done = dbt._invoke(settings, ["docs", "generate"], dbt._parse(settings), [])
    assert done.exception is None
    catalog = json.loads((dbt.target_path(settings) / "catalog.json").read_text())
    assert len(catalog["nodes"]) > 30


def test_what_redshift_lacks_is_refused(on_redshift: OnRedshift, tmp_path: Path) -> None:
    """By the name of the model; DuckDB has the function."""
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text("name: small\nprofile: smug\n")
    gathered = "select string_agg(plan, ',') as plans from marts.dim_accounts"
    (tmp_path / "models" / "gathered.sql").write_text(gathered)
    places = ["--project-dir", tmp_path, "--profiles-dir", PROJECT_DIR]
    quiet = ["--log-level", "none", "--log-level-file", "none", "--no-send-anonymous-usage-stats"]
    with on_redshift.production():
        done = dbtRunner().invoke([*quiet, "run", "--target", "redshift", *map(str, places)])
    (result,) = done.result.results  # type: ignore[union-attr]
    assert (result.node.name, result.status) == ("gathered", "error")
    assert "[refused]" in result.message
    assert "string_agg() is not supported by Amazon Redshift" in result.message
