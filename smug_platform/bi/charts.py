"""The dashboard's charts, as Vega-Lite specifications made with Altair.

Each chart gets its rows inline and takes its colors by role from a theme, so that the page can show
it light or dark. One color means one thing on the whole page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from smug_platform.bi.figures import Rows

_PLANS = ["free", "pro", "portfolio", "business"]
_MEDIA = ["photo", "video", "screenshot"]
_KINDS = ["page views", "favorites", "comments"]

Figures = Mapping[str, Rows]
Chart = Any  # Altair's methods are typed by decorators that mypy can't follow


@dataclass(frozen=True)
class Card:
    """A chart with its words. span: how many sixths of the page's width it takes."""

    name: str
    title: str
    subtitle: str
    chart: Callable[[Figures], Chart]
    span: int = 3


def uploads(figures: Figures) -> Chart:
    """Files a day, by kind."""
    return (
        _base(figures["uploads"], height=262)
        .mark_bar(binSpacing=0)
        .encode(
            x=_day("day"),
            y=alt.Y("files:Q", title=None),
            color=_color("media", _MEDIA),
            order=alt.Order("media:N"),
            tooltip=[_when("day"), "media:N", alt.Tooltip("files:Q", format=",")],
        )
    )


def engagement(figures: Figures) -> Chart:
    """Views, favorites and comments a day, each on its own scale."""
    return (
        _base(figures["engagement"], height=66)
        .mark_area(line={"strokeWidth": 1.5}, opacity=0.25, interpolate="monotone")
        .encode(
            x=_day("day"),
            y=alt.Y("number:Q", title=None, axis=_amounts()),
            color=_color("kind", _KINDS, legend=False),
            tooltip=[_when("day"), "kind:N", alt.Tooltip("number:Q", format=",")],
            row=_rows("kind", _KINDS),
        )
        .resolve_scale(y="independent")
    )


def revenue(figures: Figures) -> Chart:
    """Net revenue a day, a row a currency."""
    currencies = [row["currency"] for row in figures["money"]]
    return (
        _base(figures["revenue"], height=200 // max(len(currencies), 1))
        .mark_bar(binSpacing=0)
        .encode(
            x=_day("day"),
            y=alt.Y("net:Q", title=None, axis=_amounts()),
            color=alt.value(_ref("c1")),
            tooltip=[
                _when("day"), "currency:N", alt.Tooltip("net:Q", format=",.2f"),
                "orders:Q", "refunded:Q",
            ],
            row=_rows("currency", currencies),
        )
        .resolve_scale(y="independent")
    )  # fmt: skip


def products(figures: Figures) -> Chart:
    """Sales by product."""
    return _ranking(figures["products"], "product", "net", "$.3s", ["pieces"])


def countries(figures: Figures) -> Chart:
    """Net sales by the member's country."""
    return _ranking(figures["countries"], "country", "net", "$.3s", ["orders"])


def storage(figures: Figures) -> Chart:
    """Gigabytes by plan."""
    return _ranking(figures["storage"], "plan", "gigabytes", ",.1f", ["members", "each_gigabytes"])


def subscriptions(figures: Figures) -> Chart:
    """Subscriptions started and cancelled, a week."""
    return (
        _base(figures["subscriptions"], height=250)
        .mark_bar(binSpacing=2)
        .encode(
            x=alt.X("week:T", timeUnit="yearweek", title=None, axis=_days()),
            y=alt.Y("number:Q", title=None),
            color=alt.Color(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=["started", "cancelled"], range=[_ref("c1"), _ref("c3")]),
            ),
            tooltip=[_when("week"), "kind:N", "number:Q"],
        )
    )


def churn(figures: Figures) -> Chart:
    """Cancelled of those that a month began with, by plan."""
    rows = [row for row in figures["churn"] if row["rate"] is not None]
    base = _base(rows, height=alt.Step(80)).encode(
        x=alt.X("month:O", timeUnit="yearmonth", title=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("plan:N", title=None, sort=_PLANS),
        tooltip=[
            "plan:N", alt.Tooltip("rate:Q", format=".1%"), "churned:Q", "opening:Q",
        ],
    )  # fmt: skip
    ramp = alt.Scale(range=[_ref("low"), _ref("high")], domainMin=0, interpolate="rgb")
    cells = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color("rate:Q", scale=ramp, legend=None)
    )
    texts = base.mark_text(fontSize=12).encode(text=alt.Text("rate:Q", format=".0%"))
    return alt.layer(cells, texts)


def freshness(figures: Figures) -> Chart:
    """Seconds from commit to warehouse at each table's last load."""
    return _ranking(figures["freshness"], "table", "seconds", ",.1f", ["rows", "committed"])


def shards(figures: Figures) -> Chart:
    """When each shard committed the newest change of each table; the older, the stronger."""
    rows = [{**row, "at": str(row["committed"])[5:]} for row in figures["shards"]]
    base = _base(rows, height=alt.Step(24)).encode(
        x=alt.X("shard:N", title=None, axis=alt.Axis(labelAngle=0, orient="top")),
        y=alt.Y("table:N", title=None),
        tooltip=["table:N", "shard:N", "committed:N", alt.Tooltip("behind:Q", format=",.0f")],
    )
    ramp = alt.Scale(
        type="symlog", range=[_ref("low"), _ref("high")], domainMin=0, domainMax=86_400
    )
    cells = base.mark_rect(cornerRadius=3).encode(
        color=alt.Color("behind:Q", scale=ramp, legend=None)
    )
    return alt.layer(cells, base.mark_text(fontSize=11).encode(text="at:N"))


CARDS: Sequence[Card] = (
    Card("uploads", "Uploads by day", "Files, by kind", uploads),
    Card("engagement", "Engagement by day", "Sampled views, favorites, comments", engagement),
    Card("revenue", "Net revenue by day", "Kept orders before tax, a row a currency", revenue),
    Card("subscriptions", "Subscriptions", "Started and cancelled, by week", subscriptions),
    Card("products", "Sales by product", "{currency}, before discounts and refunds", products, 2),
    Card("countries", "Net sales by country", "{currency}, by the member's home", countries, 2),
    Card("storage", "Storage by plan", "Gigabytes held", storage, 2),
    Card("churn", "Monthly churn", "Cancelled of those running at the month's start", churn),
    Card(
        "freshness",
        "Behind the source",
        "Seconds from the newest commit to its arrival here, at the last load",
        freshness,
    ),
    Card(
        "shards",
        "Newest change by shard",
        "When the source committed it, UTC; a shard that is behind stands out",
        shards,
    ),
)


def specification(card: Card, figures: Figures) -> dict[str, Any] | None:
    """The card's Vega-Lite specification; None when there is nothing to show yet."""
    if not figures[card.name]:
        return None
    found: dict[str, Any] = card.chart(figures).to_dict()
    found.pop("config", None)
    return found


def _base(rows: Rows, *, height: Any) -> Chart:
    data = alt.InlineData(values=[dict(row) for row in rows])
    return alt.Chart(data).properties(width="container", height=height)


def _ranking(rows: Rows, name: str, value: str, form: str, more: list[str]) -> Chart:
    base = _base(rows, height=alt.Step(26)).encode(
        y=alt.Y(f"{name}:N", title=None, sort=None),
        x=alt.X(f"{value}:Q", title=None, axis=None, scale=_room_for_text()),
        tooltip=[f"{name}:N", alt.Tooltip(f"{value}:Q", format=",.2f"), *(f"{m}:N" for m in more)],
    )
    bars = base.mark_bar(color=_ref("c1"), height=16, cornerRadiusEnd=3)
    texts = base.mark_text(align="left", dx=5, fontSize=11).encode(
        text=alt.Text(f"{value}:Q", format=form)
    )
    return alt.layer(bars, texts)


def _room_for_text() -> alt.Scale:
    end = alt.ExprRef("width - 58")
    return alt.Scale(range=[0, end], nice=False, zero=True)


def _day(name: str) -> alt.X:
    return alt.X(f"{name}:T", timeUnit="yearmonthdate", title=None, axis=_days())


def _days() -> alt.Axis:
    return alt.Axis(format="%-d %b", tickCount=6, grid=False, labelAngle=0)


def _amounts() -> alt.Axis:
    zero = "datum.value === 0 ? '0' : datum.label"  # "0k" otherwise
    return alt.Axis(tickCount=2, format="~s", labelExpr=zero)


def _when(name: str) -> alt.Tooltip:
    return alt.Tooltip(f"{name}:T", format="%-d %b %Y", title=name)


def _color(name: str, domain: list[str], *, legend: bool = True) -> alt.Color:
    colors = [_ref(f"c{number}") for number in range(1, len(domain) + 1)]
    scale = alt.Scale(domain=domain, range=colors)
    return alt.Color(f"{name}:N", title=None, scale=scale, legend=alt.Undefined if legend else None)


def _rows(name: str, order: list[str]) -> alt.Row:
    header = alt.Header(labelAngle=0, labelAlign="left", labelOrient="top", labelAnchor="start")
    return alt.Row(f"{name}:N", title=None, sort=order, header=header, spacing=6)


def _ref(role: str) -> str:
    """A color by its role; the page puts in the theme's color."""
    return f"@{role}"
