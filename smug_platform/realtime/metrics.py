"""What is counted on the live stream: one frozen record a metric; all else is derived from it.

A row counts in the window of its own time (when it was uploaded, placed, ...), as the marts have
it, and not in that of its change. So an update that moves a row takes it out of one window and
puts it into another, and the sum over all windows is what the marts show.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A number over the live rows of a table.

    time: the column that says in which window a row counts. value: the SQL expression of what a
    row counts for, over `columns`. currency: the column that keeps amounts apart. unit: of the
    value. marts: the query of what the marts have, as (day, currency, value).
    """

    name: str
    table: str
    time: str
    marts: str
    value: str = "1"
    columns: tuple[str, ...] = ()
    currency: str = ""
    unit: str = "rows"

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that it is made of.

        >>> METRICS[0].needed
        ('uploaded_at',)
        """
        return tuple(filter(None, (self.time, self.currency, *self.columns)))


METRICS = (
    Metric(
        "uploads",
        table="photos",
        time="uploaded_at",
        marts="select uploaded_on, '', count(*) from marts.fct_uploads group by uploaded_on",
    ),
    Metric(
        "favorites",
        table="favorites",
        time="created_at",
        marts="select engaged_on, '', sum(favorites_count) from marts.fct_engagement"
        " group by engaged_on",
    ),
    Metric(
        "comments",
        table="comments",
        time="created_at",
        marts="select engaged_on, '', sum(comments_count + spam_comments_count)"
        " from marts.fct_engagement group by engaged_on",
    ),
    Metric(
        "orders",
        table="orders",
        time="placed_at",
        currency="currency",
        marts="select placed_on, currency, sum(orders_count) from marts.fct_revenue_daily"
        " group by placed_on, currency",
    ),
    Metric(
        "revenue",
        table="orders",
        time="placed_at",
        currency="currency",
        columns=("status", "total"),
        value="if(status = 'refunded', 0, round(total, 2) * 100)",
        unit="hundredths",
        marts="select placed_on, currency, sum(revenue_amount) * 100 from marts.fct_revenue_daily"
        " group by placed_on, currency",
    ),
)


def metrics_of(table: str) -> tuple[Metric, ...]:
    """The metrics of a source table.

    >>> [metric.name for metric in metrics_of("orders")]
    ['orders', 'revenue']
    """
    return tuple(metric for metric in METRICS if metric.table == table)
