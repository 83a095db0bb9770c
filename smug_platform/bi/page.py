"""The dashboard's one HTML page: everything that it needs is in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

# Colors by role. The first three tell categories apart, also for color-blind readers; low and high
# are the ends of a ramp.
THEMES = {
    "light": {
        "c1": "#0b6bd3", "c2": "#e8590c", "c3": "#c2255c", "low": "#fff1e8", "high": "#f0722d",
        "ink": "#16202c", "soft": "#5d6b7a", "line": "#e4e9ef",
    },
    "dark": {
        "c1": "#4d9fff", "c2": "#ffa94d", "c3": "#f06595", "low": "#241d1a", "high": "#c4551a",
        "ink": "#e8edf3", "soft": "#94a3b5", "line": "#263241",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Tile:
    """A total. note: what stands below it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Panel:
    """A chart in the page; spec: None when there is nothing to show yet."""

    name: str
    title: str
    subtitle: str
    spec: Mapping[str, Any] | None
    span: int = 3


_PAGE = Path(__file__).with_name("page.html")


def render(
    *,
    title: str,
    subtitle: str,
    tiles: Sequence[Tile],
    panels: Sequence[Panel],
    footer: str,
    library: str,
) -> str:
    """The page. library: the JavaScript of Vega, Vega-Lite and Vega-Embed."""
    specs = {panel.name: panel.spec for panel in panels if panel.spec is not None}
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        tiles="\n".join(map(_tile, tiles)),
        cards="\n".join(map(_card, panels)),
        footer=escape(footer),
        library=library.replace("</script", "<\\/script"),
        specs=_json(specs),
        themes=_json(THEMES),
    )


def _tile(tile: Tile) -> str:
    return (
        f'<div class="tile"><span>{escape(tile.name)}</span><b>{escape(tile.value)}</b>'
        f"<small>{escape(tile.note)}</small></div>"
    )


def _card(panel: Panel) -> str:
    inner = (
        '<div class="nothing">nothing to show yet</div>'
        if panel.spec is None
        else f'<div class="chart" id="{panel.name}"></div>'
    )
    return (
        f'<div class="card span{panel.span}"><h2>{escape(panel.title)}</h2>'
        f"<p>{escape(panel.subtitle)}</p>{inner}</div>"
    )


def _json(value: object) -> str:
    """JSON that can't end the script it stands in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
