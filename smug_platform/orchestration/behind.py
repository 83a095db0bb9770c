"""What is behind what, from committed positions alone, and what to ask for next.

Nothing here listens to events: an event that gets lost, or comes while its consumer runs, leaves a
position behind, and the next look sees it. What was asked for and has not moved since is asked for
again after a pause that doubles, so that a table that can't go on does not stop the others.
"""

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from smug_platform.errors import SmugError
from smug_platform.lake.feed import current_snapshots
from smug_platform.lake.merge import pending
from smug_platform.raw.deltas import open_deltas
from smug_platform.raw.land import stream_positions
from smug_platform.settings_warehouse import RedshiftSettings
from smug_platform.sync import Platform
from smug_platform.warehouse.builds import built_at, unbuilt
from smug_platform.warehouse.open import is_there, open_warehouse, unloaded

STAGES, PAGE = ("merge", "load", "build"), "page"
PAGE_SECONDS = 60.0  # the page is written anew at most this often
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0  # seconds
_PEEK_RECORDS, _PEEK_SECONDS = 5_000, 1.0
_TOPIC = re.compile(rb'"topic":"([^"]+)"')
_DONE: dict[RedshiftSettings, Mapping[str, int]] = {}
"""Where the lake stood when nothing was behind it. Until it moves Redshift is not asked, so that a
serverless one can rest."""


@dataclass(frozen=True)
class Behind:
    """What waits at each stage: table and a mark of where it stands, which a success changes.

    merge: landed, not in the lake; load: in the lake, not in the warehouse; build: in the
    warehouse, not in the models; page: built, and not on the dashboard page. note: why some of it
    could not be looked at.
    """

    merge: Mapping[str, str] = field(default_factory=dict)
    load: Mapping[str, str] = field(default_factory=dict)
    build: Mapping[str, str] = field(default_factory=dict)
    page: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def items(self) -> dict[str, str]:
        """All of it under names like `merge:photos`."""
        return {
            f"{stage}:{table}": mark
            for stage in (*STAGES, PAGE)
            for table, mark in getattr(self, stage).items()
        }


@dataclass(frozen=True)
class Plan:
    """What to ask for: whether to land, the tables of each stage, and whether to write the page."""

    land: bool = False
    page: bool = False
    merge: frozenset[str] = frozenset()
    load: frozenset[str] = frozenset()
    build: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.land or self.page or self.merge or self.load or self.build)


@dataclass(frozen=True)
class Asked:
    """What was asked for last: by item its mark, how often in vain, and when it may be again."""

    items: Mapping[str, tuple[str, int, float]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | None) -> "Asked":
        """The inverse of `to_json`; nothing was asked for when there is no text."""
        return cls({k: tuple(v) for k, v in orjson.loads(text).items()}) if text else cls()

    def to_json(self) -> str:
        """As text, for a sensor's cursor."""
        return orjson.dumps(self.items).decode()

    def fresh(self, items: Mapping[str, str]) -> frozenset[str]:
        """Those that moved since they were asked for, or never were."""
        return frozenset(i for i, mark in items.items() if self._mark(i) != mark)

    def due_again(self, items: Mapping[str, str], now: float) -> frozenset[str]:
        """Those that did not move, and whose pause is over."""
        stuck = items.keys() - self.fresh(items)
        return frozenset(item for item in stuck if self.items[item][2] <= now)

    def after(self, items: Mapping[str, str], asked: Collection[str], now: float) -> "Asked":
        """With these asked for now; what is behind no more is forgotten.

        >>> once = Asked().after({"merge:photos": "7"}, ["merge:photos"], now=0.0)
        >>> once.after({"merge:photos": "7"}, ["merge:photos"], now=10.0).items
        {'merge:photos': ('7', 2, 30.0)}
        """
        kept = {item: self.items[item] for item in items.keys() & self.items.keys()}
        for item in asked:
            tries = self.items[item][1] + 1 if self._mark(item) == items[item] else 1
            pause = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
            kept[item] = (items[item], tries, now + pause)
        return Asked(kept)

    def _mark(self, item: str) -> str | None:
        return self.items[item][0] if item in self.items else None


def behind(platform: Platform, *, wait: float = 0.5) -> Behind:
    """What waits at each stage after the stream.

    wait: seconds to wait for the warehouse while another process holds it; then its stages are
    left out and the note says why.
    """
    catalog = platform.lakehouse.catalog
    stand = current_snapshots(catalog, platform.targets)
    merge = {name: str(stand.get(name)) for name in pending(catalog, platform.targets)}
    redshift = platform.settings.redshift
    if not is_there(platform.settings):
        return Behind(merge, dict.fromkeys(stand, "None"))
    if redshift in _DONE and _DONE[redshift] == stand:
        return Behind(merge)
    try:
        with open_warehouse(platform.settings, read_only=True, wait=wait) as warehouse:
            load = unloaded(catalog, warehouse, platform.targets)
            build = unbuilt(warehouse)
            page = _page_behind(platform, built_at(warehouse))
    except SmugError as error:
        return Behind(merge, note=str(error))
    if redshift and not (load or build):
        _DONE[redshift] = stand
    return Behind(merge, _marks(load), _marks(build), page)


def has_arrivals(platform: Platform) -> bool:
    """Whether the stream holds what has not landed; raises StreamError."""
    after = stream_positions(open_deltas(platform.lakehouse.catalog))
    return platform.stream.reader.has_arrivals(after)


def arriving(platform: Platform) -> frozenset[str]:
    """The source tables whose changes wait in the stream; all when a short look can't tell."""
    after = stream_positions(open_deltas(platform.lakehouse.catalog))
    batch = platform.stream.reader.read(after, max_records=_PEEK_RECORDS, max_seconds=_PEEK_SECONDS)
    everything = frozenset(target.table.name for target in platform.targets)
    found = (_TOPIC.search(record.data, 0, 400) for record in batch.records)
    # A change of the schema is published under the shard's name alone.
    tables = {match[1].decode().partition(".")[2].partition(".")[2] for match in found if match}
    return everything & tables if batch.at_tip and "" not in tables else everything


def plan(
    waiting: Behind,
    asked: Asked,
    *,
    now: float,
    arrivals: Collection[str] = (),
    land: bool = False,
) -> tuple[Plan, Plan]:
    """What to ask for: what is new, and apart from it what is tried again.

    arrivals: lake tables that a landing will bring changes for. What follows a table's stage is
    asked for with it, up to the first stage that is stuck. A second failure of a table then takes
    nothing else with it.

    >>> new, again = plan(
    ...     Behind(load={"photos": "7"}), Asked(), arrivals=["albums"], land=True, now=0.0
    ... )
    >>> sorted(new.merge), sorted(new.load), sorted(new.build), bool(again)
    (['albums'], ['albums', 'photos'], ['albums', 'photos'], False)
    """
    items = waiting.items
    fresh, due = asked.fresh(items), asked.due_again(items, now)
    stuck = items.keys() - fresh
    new = _plan({*fresh, *(f"merge:{table}" for table in arrivals)} - stuck, stuck, land)
    return new, _plan(due, stuck - due, False)


def _plan(starts: Collection[str], stuck: Collection[str], land: bool) -> Plan:
    chosen: dict[str, set[str]] = {stage: set() for stage in STAGES}
    page = False
    for start in starts:
        first, table = start.split(":")
        page = page or first == PAGE
        for stage in STAGES[STAGES.index(first) :] if first in STAGES else ():
            if f"{stage}:{table}" in stuck:
                break
            chosen[stage].add(table)
    return Plan(land, page, *(frozenset(chosen[stage]) for stage in STAGES))


def _page_behind(platform: Platform, last_build: datetime | None) -> dict[str, str]:
    """The page, when it is older than the last build and was not written just now."""
    page = platform.settings.home / "dashboard" / "index.html"
    written = page.stat().st_mtime if page.exists() else 0.0
    is_old = last_build is not None and written < last_build.timestamp()
    return {"dashboard": str(written)} if is_old and time.time() - written > PAGE_SECONDS else {}


def _marks(found: Mapping[str, int | None]) -> dict[str, str]:
    return {table: str(mark) for table, mark in found.items()}
