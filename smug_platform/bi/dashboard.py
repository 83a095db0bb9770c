"""The dashboard page: one static file, made from the bi views, that needs no network.

QuickSight reads the same views; this page is for where there is none.
"""

from importlib.metadata import version
from pathlib import Path

from smug_platform.bi.charts import CARDS, specification
from smug_platform.bi.figures import Rows, read_figures
from smug_platform.bi.page import Panel, Tile, render
from smug_platform.settings import Settings
from smug_platform.warehouse.connect import connect


def write_dashboard(settings: Settings) -> Path:
    """Write the page to `home`/dashboard/index.html; its path.

    Raises WarehouseError where nothing is loaded or built yet.
    """
    with connect(settings, read_only=True) as connection:
        figures = read_figures(connection)
    folder = settings.home / "dashboard"
    folder.mkdir(parents=True, exist_ok=True)
    currency = str(figures["currency"][0]["currency"])
    panels = [
        Panel(
            card.name,
            card.title,
            card.subtitle.format(currency=currency),
            specification(card, figures),
            card.span,
        )
        for card in CARDS
    ]
    newest = max((str(row["committed"]) for row in figures["freshness"]), default="-")
    page = render(
        title="Flickr at a glance",
        subtitle=f"newest change of the source: {newest} UTC{partial(figures['shards'])}",
        tiles=tiles(figures),
        panels=panels,
        footer="Made from the warehouse's bi views. Days are UTC, on the source's own clock.",
        library=_library(folder),
    )
    path = folder / "index.html"
    scratch = path.with_suffix(".tmp")
    scratch.write_text(page, encoding="utf-8")
    scratch.replace(path)
    return path


def partial(shards: Rows) -> str:
    """What all totals lack, in words: shards of which nothing as new has come as of the others.

    >>> row = {"shard": "shard_1", "shard_committed": "2026-01-31 10:00:00", "late": True}
    >>> partial([row | {"shard": "shard_0", "late": False}, row | {"shard_behind": 21_600}])
    '; partial: nothing of shard_1 since 2026-01-31 10:00:00 UTC (6.0 h)'
    """
    late = {
        f"{row['shard']} since {row['shard_committed']} UTC ({_time(float(row['shard_behind']))})"
        for row in shards
        if row["late"]
    }
    return f"; partial: nothing of {', '.join(sorted(late))}" if late else ""


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def tiles(figures: "dict[str, Rows]") -> list[Tile]:
    """The totals in the page's head."""
    totals, money = figures["totals"][0], figures["money"]
    gigabytes = float(totals["gigabytes"])
    first = money[0] if money else {"currency": "USD", "net": 0.0, "orders": 0}
    rest = ", ".join(f"{short(float(row['net']))} {row['currency']}" for row in money[1:])
    orders = sum(int(row["orders"]) for row in money)
    return [
        Tile("Members", f"{totals['members']:,}", f"{totals['paying']:,} on a paid plan"),
        Tile("Photos and videos", f"{totals['files']:,}", f"{totals['videos']:,} videos"),
        Tile(
            "Storage",
            f"{gigabytes / 1000:,.2f} TB" if gigabytes >= 1000 else f"{gigabytes:,.1f} GB",
            f"{float(totals['each_gigabytes']):,.2f} GB a member",
        ),
        Tile("Engagements", short(float(totals["interactions"])), "views, favorites, comments"),
        Tile(
            "Subscriptions", f"{totals['subscriptions']:,}", f"running, {totals['trials']:,} trials"
        ),
        Tile(
            f"Net revenue, {first['currency']}",
            short(float(first["net"])),
            f"and {rest}; {orders:,} orders" if rest else f"{orders:,} orders",
        ),
    ]


def short(number: float) -> str:
    """A number in four characters or so.

    >>> short(1234.4), short(1_250_000), short(12)
    ('1.2 k', '1.2 M', '12')
    """
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number:.0f}"


def _library(folder: Path) -> str:
    """Vega's JavaScript, bundled once: that takes seconds."""
    import vl_convert

    path = folder / f"vega-{version('vl-convert-python')}.js"
    if not path.exists():
        scratch = path.with_suffix(".tmp")
        bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub is wrong
        scratch.write_text(bundle, encoding="utf-8")
        scratch.replace(path)
    return path.read_text(encoding="utf-8")
