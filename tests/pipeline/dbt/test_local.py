"""The dbt project on DuckDB: from lake rows through the loader to marts, worked out by hand."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from smug_platform.errors import WarehouseError
from smug_platform.settings import Settings, load_settings
from smug_platform.warehouse import dbt
from smug_platform.warehouse.builds import LEAN
from smug_platform.warehouse.connect import connect
from tests.pipeline.dbt.conftest import Built, Later
from tests.pipeline.flickr_rows import BIG, COLUMNS


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with connect(settings, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_node_passes_and_is_reported(built: Built) -> None:
    statuses = {node.status for node in built.result.nodes}
    assert statuses == {"success", "pass"}
    assert {node.unique_id for node in built.seen} == {n.unique_id for n in built.result.nodes}
    assert all(node.event for node in built.seen)
    assert any(node.unique_id.startswith("unit_test.") for node in built.result.nodes)
    with pytest.MonkeyPatch.context() as patch:  # a result with a failure says so in one line
        patch.setattr(dbt, "_FAILED", frozenset({"pass"}))
        with pytest.raises(WarehouseError, match="nodes failed") as caught:
            built.result.require_success()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param(
            "select account_id, source_shard, plan, is_paying, is_verified, is_staff, is_adult, "
            "storage_bytes, albums_count from marts.dim_accounts order by 1",
            [
                (1, "shard_0", "pro", True, True, True, False, 3000, 1),
                (2, "shard_1", "free", False, False, False, False, 500, 0),
                (BIG, "shard_1", "free", False, False, False, False, 0, 0),
            ],
            id="accounts",
        ),
        pytest.param(
            "select account_version_id, plan, is_current, "
            "epoch(valid_from) - epoch(timestamp '2026-01-01'), "
            "epoch(valid_to) - epoch(timestamp '2026-01-01') "
            "from marts.dim_accounts_history order by account_id, version_number",
            [
                ("1-1", "free", False, 10, 20),
                ("1-2", "pro", True, 20, None),
                ("2-1", "free", True, 10, None),
                ("4-1", "free", False, 10, 40),
                (f"{BIG}-1", "free", True, 10, None),
            ],
            id="P09-accounts-history",
        ),
        pytest.param(
            "select photo_id, license_code, allows_sale, camera, orientation, has_location, "
            "is_public, albums_count from marts.dim_photos order by 1",
            [
                (10, "CC-BY", True, "µ4/3", "landscape", False, True, 1),
                (11, "ALL", False, None, "landscape", False, False, 1),
                (12, "ALL", False, None, "square", True, True, 0),
            ],
            id="photos",
        ),
        pytest.param(
            "select photo_id, size_bytes, megapixels, duration_seconds, "
            "days_from_taken_to_uploaded, favorites_count, comments_count, views_count "
            "from marts.fct_uploads order by 1",
            [
                (10, 1000, 12, None, 4, 2, 1, 2),
                (11, 2000, 12, Decimal("61.5"), None, 0, 0, 1),
                (12, 500, Decimal("0.01"), None, None, 0, 0, 0),
            ],
            id="uploads",
        ),
        pytest.param(
            "select photo_id, account_id, engaged_on, favorites_count, comments_count, "
            "spam_comments_count, views_count, interactions_count "
            "from marts.fct_engagement order by 1, 3",
            [
                (10, 1, date(2026, 1, 6), 1, 1, 1, 2, 4),
                (10, 1, date(2026, 1, 7), 1, 0, 0, 0, 1),
                (11, 1, date(2026, 1, 6), 0, 0, 0, 1, 1),
            ],
            id="engagement",
        ),
        pytest.param(
            "select account_id, files_count, videos_count, files_bytes, videos_bytes, "
            "largest_file_bytes, unexplained_bytes from marts.fct_storage_by_account order by 1",
            [(1, 2, 1, 3000, 2000, 2000, 0), (2, 1, 0, 500, 0, 500, 0), (BIG, 0, 0, 0, 0, 0, 0)],
            id="storage",
        ),
        pytest.param(
            "select order_id, is_refunded, has_coupon, lines_count, items_count, lines_amount, "
            "tax_amount, unexplained_amount, refunded_amount, kept_amount "
            "from marts.fct_orders order by 1",
            [
                (100, False, True, 2, 2, 18, Decimal("3.6"), 0, 0, Decimal("21.6")),
                (101, True, False, 1, 1, 5, 1, 0, 6, 0),
                (102, False, False, 1, 3, Decimal("1.17"), 0, 0, 0, Decimal("1.17")),
            ],
            id="orders",
        ),
        pytest.param(
            "select order_line_id, photo_id, is_deduction, line_amount "
            "from marts.fct_order_lines order by 1",
            [
                ("100-1", 10, False, 20),
                ("100-2", None, True, -2),
                ("101-1", 12, False, 5),
                ("102-1", 12, False, Decimal("1.17")),
            ],
            id="order-lines",
        ),
        pytest.param(
            "select placed_on, currency, orders_count, refunded_orders_count, items_count, "
            "gross_amount, refunded_amount, revenue_amount, tax_amount, net_revenue_amount "
            "from marts.fct_revenue_daily order by 1",
            [
                (
                    *(date(2026, 1, 10), "EUR", 2, 1, 3),
                    *(Decimal("27.6"), 6, Decimal("21.6"), Decimal("3.6"), 18),
                ),
                (
                    *(date(2026, 1, 11), "USD", 1, 0, 3),
                    *(Decimal("1.17"), 0, Decimal("1.17"), 0, Decimal("1.17")),
                ),
            ],
            id="revenue",
        ),
        pytest.param(
            "select subscription_id, is_running, is_billed, recurring_amount, periods_count, "
            "past_due_periods_count, days_until_cancelled from marts.fct_subscriptions order by 1",
            [(200, True, True, Decimal("8.25"), 3, 1, None), (201, False, False, 0, 2, 0, 50)],
            id="subscriptions",
        ),
        pytest.param(
            "select month_start, opening_count, new_count, churned_count, closing_count, "
            "churn_rate, closing_price_amount from marts.fct_churn_monthly order by 1",
            [
                (date(2025, 11, 1), 0, 1, 0, 1, None, Decimal("8.25")),
                (date(2025, 12, 1), 1, 1, 0, 2, 0.0, Decimal("16.5")),
                (date(2026, 1, 1), 2, 0, 1, 1, 0.5, Decimal("8.25")),
            ],
            id="churn",
        ),
        pytest.param(
            "select uploads_count, favorites_count, views_count, versions_count "
            "from bi.bi_accounts where account_id = 1",
            [(2, 2, 3, 2)],
            id="bi-accounts",
        ),
        pytest.param(
            "select average_order_amount, refund_rate, month_start from bi.bi_revenue "
            "where currency = 'EUR'",
            [(13.8, 0.5, date(2026, 1, 1))],
            id="bi-revenue",
        ),
    ],
)
def test_marts_hold_what_was_worked_out_by_hand(
    built: Built, sql: str, expected: list[tuple[Any, ...]]
) -> None:
    assert query(built.settings, sql) == expected


def test_late_changes_and_deletes_are_merged_as_a_build_from_nothing_has_them(
    built: Built, later: Later
) -> None:
    assert 0 < len(later.part.nodes) < len(built.result.nodes)
    assert len(later.fresh) > 15
    assert {name for name in later.fresh if later.merged[name] != later.fresh[name]} == set()
    # photo, account, day, favorites, comments, spam, views, interactions
    assert later.merged["marts.fct_engagement"] == [
        ("10", "1", "2026-01-04", "1", "0", "0", "0", "1"),
        ("10", "1", "2026-01-06", "1", "0", "0", "2", "3"),
        ("11", "None", "2026-01-06", "0", "0", "1", "0", "0"),
        ("12", "2", "2026-01-05", "1", "0", "0", "0", "1"),
    ]
    assert query(
        later.settings,
        "select photo_id, size_bytes, u.favorites_count, u.comments_count, refunded_amount "
        "from marts.fct_uploads u cross join marts.fct_revenue_daily where currency = 'USD' "
        "order by 1",
    ) == [(10, 1000, 2, 0, Decimal("1.17")), (12, 700, 1, 0, Decimal("1.17"))]
    alt_text = "select alt_text from warehouse.photos where id = 12"
    assert query(later.settings, alt_text) == [("a dog",)]
    warned = {node.name for node in later.part.nodes if node.status == "warn"}
    assert warned == {
        "is_zero_fct_storage_by_account_unexplained_bytes",
        "relationships_fct_engagement_photo_id__photo_id__ref_dim_photos_",
    }


def test_the_results_of_a_build_are_kept_with_the_manifest_they_speak_of(built: Built) -> None:
    assert built.result.kept
    results = Path(built.result.kept.removeprefix("file://"))
    assert results.is_relative_to(built.home.home)
    said = {
        each["unique_id"]: each["status"] for each in orjson.loads(results.read_bytes())["results"]
    }
    assert said == {node.unique_id: node.status for node in built.result.nodes}
    manifest = orjson.loads((results.parents[1] / "manifest.json").read_bytes())
    assert said.keys() <= manifest["nodes"].keys() | manifest["unit_tests"].keys()
    lean = dbt.build(built.settings, select=["stg_licenses"], arguments=LEAN)
    assert lean.kept is None
    with connect(built.settings) as connection:
        connection.execute("alter table warehouse.licenses rename to hidden")
    try:
        failed = dbt.build(built.settings, select=["stg_licenses"], arguments=LEAN)
    finally:
        with connect(built.settings) as connection:
            connection.execute("alter table warehouse.hidden rename to licenses")
    assert failed.kept, "what failed is kept in any case"


def dbt_command(settings: Settings, *command: str) -> dict[str, Any]:
    """Runs another command of dbt's, as `dbt.build` runs its own; what it says of the sources."""
    with dbt._warehouse(settings, 10):
        done = dbt._invoke(settings, [*command], dbt._parse(settings), [])
    assert done.exception is None
    name = {"docs": "catalog.json", "source": "sources.json"}[command[0]]
    return dict(orjson.loads((dbt.target_path(settings) / name).read_bytes()))


def test_docs_know_every_model_and_source_with_its_columns(built: Built) -> None:
    catalog = dbt_command(built.settings, "docs", "generate")
    assert catalog["errors"] is None
    manifest = orjson.loads(dbt.manifest_path(built.settings).read_bytes())
    models = {name for name in manifest["nodes"] if name.startswith("model.")}
    assert catalog["nodes"].keys() == models
    assert catalog["sources"].keys() == manifest["sources"].keys()
    shown = catalog["nodes"]["model.smug.dim_photos"]["columns"]["latitude"]
    assert shown["type"] == "DECIMAL(9,6)"


def test_freshness_is_told_of_every_source_that_is_due(built: Built) -> None:
    """Those of the first rows are of long ago; a reference table may be as old as it likes."""
    found = dbt_command(built.settings, "source", "freshness")["results"]
    told = {each["unique_id"].rpartition(".")[2]: each["status"] for each in found}
    expected = {*COLUMNS, "accounts_history", "subscriptions_history"} - {"licenses"}
    assert told.keys() == expected
    assert set(told.values()) == {"warn"}


def test_after_a_build_another_process_can_open_the_warehouse(built: Built) -> None:
    code = f"import duckdb; duckdb.connect({str(built.settings.warehouse_path)!r}).close()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_build_beside_an_open_connection_of_this_process(built: Built) -> None:
    with connect(built.settings) as connection:
        dbt.build(built.settings, select=["stg_licenses"]).require_success()
        assert connection.execute("select count(*) from staging.stg_licenses").fetchall() == [(2,)]


def test_a_model_that_fails_is_named_and_what_hangs_on_it_is_skipped(built: Built) -> None:
    with connect(built.settings) as connection:
        connection.execute("alter table warehouse.licenses rename to hidden")
    try:
        result = dbt.build(built.settings, select=["source:warehouse.licenses+"])
    finally:
        with connect(built.settings) as connection:
            connection.execute("alter table warehouse.hidden rename to licenses")
    assert {node.name for node in result.failed} == {"stg_licenses", "stg_newest_changes"}
    assert "skipped" in {node.status for node in result.nodes}
    with pytest.raises(WarehouseError, match=r"dbt: 2 of \d+ nodes failed: .*stg_licenses: "):
        result.require_success()


def test_a_warehouse_in_use_is_one_line_and_no_traceback(built: Built) -> None:
    code = (
        "import sys, duckdb\n"
        f"held = duckdb.connect({str(built.settings.warehouse_path)!r})\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(WarehouseError, match=f"is held by process {holder.pid}"):
            dbt.build(built.settings, select=["stg_licenses"], wait=0.2)
        holder.kill()


def test_the_manifest_is_parsed_again_only_when_the_project_changed(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = built.settings
    path = dbt.prepare_manifest(settings)
    assert path == dbt.manifest_path(settings)
    written = path.stat().st_mtime_ns
    assert not dbt.manifest_is_stale(settings)
    dbt.prepare_manifest(settings)
    assert path.stat().st_mtime_ns == written
    monkeypatch.setattr(dbt, "_newest", lambda: path.stat().st_mtime + 1)
    assert dbt.manifest_is_stale(settings)
    assert dbt.manifest_is_stale(replace(settings, home=settings.home / "elsewhere"))


def test_what_was_parsed_serves_every_home_of_the_environment(
    built: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parsed = orjson.loads(dbt.prepare_manifest(built.settings).read_bytes())
    monkeypatch.setattr(dbt, "_invoke", lambda *_: pytest.fail("it was parsed again"))
    other = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    found = orjson.loads(dbt.prepare_manifest(other).read_bytes())
    assert not dbt.manifest_is_stale(other)
    assert found["nodes"].keys() == parsed["nodes"].keys()


def test_whoever_reads_the_manifest_while_it_is_written_reads_all_of_it(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = dbt.prepare_manifest(built.settings), 0
    monkeypatch.setattr(dbt, "_PARSED", {})
    with ThreadPoolExecutor(1) as writer:
        written = writer.submit(dbt.build, built.settings, select=["stg_licenses"])
        while not written.done():
            assert path.read_bytes().endswith(b"}"), "torn"
            read += 1
            time.sleep(0.001)  # parsing it each time would keep the writer from writing
        assert not written.result().failed
    assert orjson.loads(path.read_bytes())["nodes"]
    assert read > 3
