"""The page from a small warehouse: it is whole, it is alone, and it says what is not there yet."""

from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
import vl_convert

from smug_platform.bi.charts import CARDS, specification
from smug_platform.bi.dashboard import tiles, write_dashboard
from smug_platform.bi.figures import read_figures
from smug_platform.bi.page import Panel, Tile, render
from smug_platform.errors import WarehouseError
from smug_platform.settings import Settings, load_settings

VIEWS = """
create schema bi;
create table bi.bi_accounts (account_id int, is_paying boolean);
create table bi.bi_uploads (media varchar, uploaded_on date);
create table bi.bi_storage (plan varchar, storage_gigabytes double);
create table bi.bi_engagement (engaged_on date, views_count bigint, favorites_count bigint,
  comments_count bigint, interactions_count bigint);
create table bi.bi_subscriptions (started_on date, cancelled_on date, is_running boolean,
  status varchar);
create table bi.bi_revenue (placed_on date, currency varchar, net_revenue_amount decimal(18,2),
  orders_count bigint, refunded_orders_count bigint);
create table bi.bi_orders (order_id int, product varchar, country varchar, currency varchar,
  line_amount decimal(14,2), quantity bigint, is_deduction boolean);
create table bi.bi_churn (month_start date, plan varchar, opening_count bigint,
  churned_count bigint);
create schema warehouse;
create table warehouse._loads (table_name varchar, rows bigint, loaded_at timestamptz,
  committed_at timestamptz);
create table bi.bi_freshness (table_name varchar, source_shard varchar, committed_at timestamp,
  shard_committed_at timestamp, shard_behind_seconds bigint, is_shard_behind boolean);
"""
ROWS = """
insert into bi.bi_accounts values (1, true), (2, false), (3, false);
insert into bi.bi_uploads values ('photo', '2024-01-01'), ('video', '2024-01-01'),
  ('photo', '2024-01-02');
insert into bi.bi_storage values ('free', 1.5), ('pro', 1200), ('free', 0.5);
insert into bi.bi_engagement values ('2024-01-01', 10, 3, 0, 13), ('2024-01-02', 4, 0, 1, 5);
insert into bi.bi_subscriptions values ('2024-01-01', null, true, 'trial'),
  ('2024-01-01', '2024-02-03', false, 'cancelled');
insert into bi.bi_revenue values ('2024-01-01', 'EUR', 10.5, 1, 0), ('2024-01-01', 'USD', 99, 2, 1);
insert into bi.bi_orders values (1, 'mug', 'DE', 'EUR', 10.5, 1, false),
  (2, 'print </script>', null, 'USD', 100, 2, false), (2, 'discount', null, 'USD', -1, 1, true);
insert into bi.bi_churn values ('2024-01-01', 'pro', 0, 0), ('2024-02-01', 'pro', 4, 1);
insert into warehouse._loads values
  ('photos', 3, '2024-02-01 10:00:05+00', '2024-02-01 10:00:03.5+00'),
  ('photos_history', 3, '2024-02-01 10:00:05+00', '2024-02-01 10:00:03.5+00');
insert into bi.bi_freshness values
  ('photos', 'shard_0', '2024-02-01 10:00:03.5', '2024-02-01 10:00:03.5', 0, false),
  ('photos', 'shard_1', '2024-02-01 09:59:00', '2024-02-01 09:59:00', 63, false);
"""


class Outside(HTMLParser):
    """Collects what a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fetching = {"script", "link", "img", "iframe", "object", "embed", "base"}
        self.found += [(tag, value) for name, value in attrs if name in {"src", "href"}]
        assert tag not in fetching - {"script"}


def a_home(folder: Path, *statements: str) -> Settings:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(folder)})
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        for statement in statements:
            connection.execute(statement)
    (folder / "dashboard").mkdir()
    return settings


def spared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundling Vega takes seconds, and this is not about Vega."""
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: "window.vegaEmbed = () => {};")
    assert settings.home.exists()


def test_the_page_holds_every_figure_and_fetches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = a_home(tmp_path, VIEWS, ROWS)
    spared(settings, monkeypatch)
    path = write_dashboard(settings)
    page = path.read_text(encoding="utf-8")
    outside = Outside()
    outside.feed(page)
    assert outside.found == []
    assert page.count("<script") == page.count("</script>") == 2
    assert "nothing to show yet" not in page
    assert all(f'id="{card.name}"' in page for card in CARDS)
    for text in ("2024-02-01 10:00:03 UTC", "1.20 TB", "and 10 EUR; 3 orders", "running, 1 trials"):
        assert text in page
    again = write_dashboard(settings)
    assert (again, again.read_text(encoding="utf-8")) == (path, page)


def test_R06_O09_a_shard_that_is_behind_is_shown_by_table_and_makes_the_totals_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = a_home(tmp_path, VIEWS, ROWS)
    spared(settings, monkeypatch)
    assert "partial" not in write_dashboard(settings).read_text(encoding="utf-8")
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(
            "update bi.bi_freshness set committed_at = committed_at - interval 6 hours,"
            " shard_committed_at = shard_committed_at - interval 6 hours,"
            " shard_behind_seconds = 21663, is_shard_behind = true where source_shard = 'shard_1'"
        )
        first, second = read_figures(connection)["shards"]
    assert (first["shard"], first["committed"], first["behind"], first["late"]) == (
        "shard_0", "2024-02-01 10:00:03", 0.0, False,
    )  # fmt: skip
    assert (second["table"], second["committed"], second["behind"]) == (
        "photos", "2024-02-01 03:59:00", 21_663.5,
    )  # fmt: skip
    page = write_dashboard(settings).read_text(encoding="utf-8")
    assert "partial: nothing of shard_1 since 2024-02-01 03:59:00 UTC (6.0 h)" in page
    assert "02-01 03:59:00" in page


def test_every_chart_is_valid_vega_lite(tmp_path: Path) -> None:
    settings = a_home(tmp_path, VIEWS, ROWS)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        figures = read_figures(connection)
    assert [row["table"] for row in figures["freshness"]] == ["photos"]
    assert figures["freshness"][0]["seconds"] == pytest.approx(1.5)
    assert [row["net"] for row in figures["products"]] == [100.0]
    for card in CARDS:
        spec = specification(card, figures)
        assert spec is not None
        assert "config" not in spec
        assert vl_convert.vegalite_to_vega(spec)["marks"]


def test_without_rows_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = a_home(tmp_path, VIEWS)
    spared(settings, monkeypatch)
    page = write_dashboard(settings).read_text(encoding="utf-8")
    assert page.count("nothing to show yet") == len(CARDS)


def test_before_the_first_build_one_line_says_what_to_do(tmp_path: Path) -> None:
    settings = a_home(tmp_path)
    with pytest.raises(WarehouseError, match="smug sync"):
        write_dashboard(settings)
    settings.warehouse_path.unlink()
    with pytest.raises(WarehouseError, match=r"no warehouse.*smug sync"):
        write_dashboard(settings)


def test_what_members_write_can_not_leave_its_place() -> None:
    page = render(
        title="<b>",
        subtitle="",
        tiles=[Tile("<i>", "1", "</small>")],
        panels=[Panel("a", "<u>", "", {"name": "</script><script>alert(1)</script>"})],
        footer="",
        library="var a = '</script>'",
    )
    assert page.count("<script") == page.count("</script>") == 2
    assert not {"<b>", "<i>", "<u>"} & set(page.split())
    assert "&lt;u&gt;" in page


def test_the_totals_do_not_add_currencies(tmp_path: Path) -> None:
    settings = a_home(tmp_path, VIEWS, ROWS)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        money = tiles(read_figures(connection))[-1]
    assert (money.name, money.value) == ("Net revenue, USD", "99")
