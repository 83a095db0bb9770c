"""Do the live numbers show what the marts show, at the marts' position in the stream?"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from pyiceberg.catalog import Catalog

from smug_platform.realtime.metrics import METRICS, Metric
from smug_platform.realtime.moment import NotThere, Sums, sums_at
from smug_platform.realtime.reached import reached
from smug_platform.realtime.store import Store
from smug_platform.stream.reader import StreamPositions
from smug_platform.warehouse.open import Warehouse

_PAUSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Difference:
    """What is shown for a day and currency that is not the same."""

    day: date | None
    currency: str
    live: int
    marts: int

    def __str__(self) -> str:
        place = " ".join(filter(None, (str(self.day), self.currency)))
        return f"{place}: {self.live:,} live, {self.marts:,} in the marts"


@dataclass(frozen=True)
class Compared:
    """What was found for a metric. problem: why it could not be compared, "" when it was."""

    metric: str
    total: int = 0
    days: int = 0
    differences: tuple[Difference, ...] = ()
    problem: str = ""


def compare(
    catalog: Catalog,
    warehouse: Warehouse,
    store: Store,
    *,
    wait: float = 10.0,
) -> list[Compared]:
    """Compare each metric by day and currency.

    wait: seconds in which the consumer may come to where the marts are.
    """
    known = list(_marts(catalog, warehouse))
    until = time.monotonic() + wait
    return [
        found if isinstance(found, Compared) else _compare(store, metric, *found, until=until)
        for metric, found in known
    ]


def _marts(
    catalog: Catalog, warehouse: Warehouse
) -> Iterator[tuple[Metric, Compared | tuple[StreamPositions, Sums]]]:
    """What the marts show, and where they stand."""
    for metric in METRICS:
        try:
            position = reached(catalog, warehouse, metric.table)
        except NotThere as problem:
            yield metric, Compared(metric.name, problem=str(problem))
            continue
        rows = warehouse.ask(metric.marts)
        yield metric, (position, {(day, text): int(value) for day, text, value in rows if value})


def _compare(
    store: Store, metric: Metric, position: StreamPositions, marts: Sums, *, until: float
) -> Compared:
    while True:
        try:
            live = sums_at(store, metric.name, position)
            break
        except NotThere as problem:
            if not problem.passes or time.monotonic() >= until:
                return Compared(metric.name, problem=str(problem))
        time.sleep(_PAUSE_SECONDS)
    places = live.keys() | marts.keys()
    differences = [
        Difference(*place, live.get(place, 0), marts.get(place, 0))
        for place in sorted(places, key=str)
        if live.get(place, 0) != marts.get(place, 0)
    ]
    days = len({day for day, _ in places})
    return Compared(metric.name, sum(marts.values()), days, tuple(differences))
