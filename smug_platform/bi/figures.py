"""What the dashboard shows, as rows: one query a figure, all from the bi views.

Amounts of different currencies are never added up: figures of money are of one currency, or a row
a currency.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from smug_platform.errors import WarehouseError

Rows = Sequence[Mapping[str, Any]]

# {currency} is the one with the most revenue.
QUERIES: dict[str, str] = {
    "totals": """
        select (select count(*) from bi.bi_accounts) as members,
               (select count(*) from bi.bi_accounts where is_paying) as paying,
               (select count(*) from bi.bi_uploads) as files,
               (select count(*) from bi.bi_uploads where media = 'video') as videos,
               (select coalesce(sum(storage_gigabytes), 0) from bi.bi_storage) as gigabytes,
               (select coalesce(avg(storage_gigabytes), 0) from bi.bi_storage) as each_gigabytes,
               (select coalesce(sum(interactions_count), 0) from bi.bi_engagement) as interactions,
               (select count(*) from bi.bi_subscriptions where is_running) as subscriptions,
               (select count(*) from bi.bi_subscriptions where is_running and status = 'trial')
                 as trials""",
    "money": """
        select currency, sum(net_revenue_amount) as net, sum(orders_count) as orders
        from bi.bi_revenue group by all order by net desc""",
    "uploads": """
        select uploaded_on as day, media, count(*) as files
        from bi.bi_uploads group by all order by day, media""",
    "engagement": """
        select day, kind, number from (
          select engaged_on as day, sum(views_count) as "page views",
                 sum(favorites_count) as favorites, sum(comments_count) as comments
          from bi.bi_engagement group by all)
        unpivot (number for kind in ("page views", favorites, comments)) order by day, kind""",
    "revenue": """
        select placed_on as day, currency, net_revenue_amount as net, orders_count as orders,
               refunded_orders_count as refunded
        from bi.bi_revenue order by day, currency""",
    "products": """
        select product, sum(line_amount) as net, sum(quantity) as pieces
        from bi.bi_orders where currency = '{currency}' and not is_deduction
        group by all order by net desc limit 8""",
    "countries": """
        select coalesce(country, 'unknown') as country, sum(line_amount) as net,
               count(distinct order_id) as orders
        from bi.bi_orders where currency = '{currency}' group by all order by net desc limit 8""",
    "storage": """
        select plan, sum(storage_gigabytes) as gigabytes, count(*) as members,
               avg(storage_gigabytes) as each_gigabytes
        from bi.bi_storage group by all order by gigabytes desc""",
    "subscriptions": """
        select week, kind, sum(number) as number from (
          select date_trunc('week', started_on)::date as week, 'started' as kind, 1 as number
          from bi.bi_subscriptions
          union all
          select date_trunc('week', cancelled_on)::date, 'cancelled', -1
          from bi.bi_subscriptions where cancelled_on is not null)
        group by all order by week, kind""",
    "churn": """
        select month_start as month, plan, sum(opening_count) as opening,
               sum(churned_count) as churned,
               sum(churned_count) / nullif(sum(opening_count), 0) as rate
        from bi.bi_churn group by all order by month, plan""",
    "freshness": """
        select table_name as "table", rows,
               greatest(epoch(loaded_at) - epoch(committed_at), 0) as seconds,
               strftime(committed_at, '%Y-%m-%d %H:%M:%S') as committed
        from warehouse._loads where not ends_with(table_name, '_history')
        order by seconds desc""",
    "shards": """
        select table_name as "table", source_shard as shard,
               strftime(committed_at, '%Y-%m-%d %H:%M:%S') as committed,
               epoch(max(committed_at) over ()) - epoch(committed_at) as behind,
               strftime(shard_committed_at, '%Y-%m-%d %H:%M:%S') as shard_committed,
               shard_behind_seconds as shard_behind, is_shard_behind as late
        from bi.bi_freshness order by "table", shard""",
}


def read_figures(connection: duckdb.DuckDBPyConnection) -> dict[str, Rows]:
    """The rows of each figure, as JSON can hold them.

    Raises WarehouseError where the bi views are not built yet.
    """
    try:
        money = _rows(connection, QUERIES["money"])
        currency = money[0]["currency"] if money else "USD"
        found: dict[str, Rows] = {"money": money, "currency": [{"currency": currency}]}
        for name, query in QUERIES.items():
            if name != "money":
                found[name] = _rows(connection, query.replace("{currency}", str(currency)))
    except duckdb.CatalogException as error:
        raise WarehouseError(
            f"the bi views are not built: {str(error).splitlines()[0]}",
            remedy="run `smug sync` first",
        ) from error
    return found


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    result = connection.execute(query)
    names = [column[0] for column in result.description or ()]
    return [
        {name: _plain(value) for name, value in zip(names, row, strict=True)}
        for row in result.fetchall()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else value
