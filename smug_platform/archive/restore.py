"""Bringing back objects that are too cold to be read: what it costs, and the wait for it.

Nothing is noted of a restore here: the store itself says of each object whether it was asked for
and whether it is there. So one that was ended goes on where it was.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import Sealed
from smug_platform.errors import ArchiveError

Tier = Literal["Standard", "Bulk", "Expedited"]
_GB = 10**9
# USD a GB and USD a thousand requests, in us-east-1, as AWS lists them; an estimate elsewhere.
_PRICES: dict[tuple[str, str], tuple[float, float]] = {
    ("GLACIER", "Expedited"): (0.03, 10.0),
    ("GLACIER", "Standard"): (0.01, 0.05),
    ("GLACIER", "Bulk"): (0.0, 0.0),
    ("DEEP_ARCHIVE", "Standard"): (0.02, 0.10),
    ("DEEP_ARCHIVE", "Bulk"): (0.0025, 0.025),
}
_READ = {"GLACIER_IR": 0.03, "STANDARD_IA": 0.01}  # USD a GB that is read at once
_HOURS = {
    ("GLACIER", "Expedited"): "5 minutes", ("GLACIER", "Standard"): "5 hours",
    ("GLACIER", "Bulk"): "12 hours", ("DEEP_ARCHIVE", "Standard"): "12 hours",
    ("DEEP_ARCHIVE", "Bulk"): "48 hours",
}  # fmt: skip


@dataclass(frozen=True)
class Need:
    """What has to be done before some objects can be read. cold: those to restore; dollars: for
    that and for reading; takes: how long AWS takes at most, empty where nothing is cold.
    """

    objects: int
    bytes: int
    cold: tuple[str, ...]
    dollars: float
    takes: str


def need(archive: Archive, objects: Sequence[Sealed], storage_class: str, tier: Tier) -> Need:
    """What it takes to read these objects. Raises ArchiveError for one that is gone, or where the
    storage class has no such tier.
    """
    cold: list[Sealed] = []
    for one in objects:
        kept = archive.store.state(one.name)
        if kept is None:
            raise ArchiveError(f"{one.name} is gone", remedy="run smug archive verify")
        if kept.cold:
            cold.append(one)
    if cold and (storage_class, tier) not in _PRICES:
        raise ArchiveError(
            f"{storage_class} has no restore of tier {tier}", remedy="choose Standard or Bulk"
        )
    size = sum(one.bytes for one in objects)
    frozen = sum(one.bytes for one in cold)
    a_gb, a_thousand = _PRICES.get((storage_class, tier), (0.0, 0.0)) if cold else (0.0, 0.0)
    dollars = frozen / _GB * a_gb + len(cold) / 1000 * a_thousand
    dollars += size / _GB * _READ.get(storage_class, 0.0)
    takes = _HOURS.get((storage_class, tier), "") if cold else ""
    return Need(len(objects), size, tuple(one.name for one in cold), dollars, takes)


def restore(
    archive: Archive,
    names: Sequence[str],
    *,
    tier: Tier = "Standard",
    days: int = 7,
    pause: float = 60.0,
    told: Callable[[int], None] = lambda _: None,
) -> None:
    """Ask for the objects, those alone that were not asked for, and wait until all can be read.

    pause: seconds between two looks. told: is called with how many are still awaited. Who ends it
    and calls it again waits on for the same ones.
    """
    waiting = list(names)
    while waiting:
        cold = []
        for name in waiting:
            kept = archive.store.state(name)
            if kept is not None and kept.cold:
                cold.append(name)
                if not kept.restoring:
                    archive.store.restore(name, days, tier)
        waiting = [name for name in cold if _is_cold(archive, name)]
        told(len(waiting))
        if waiting:
            time.sleep(pause)


def _is_cold(archive: Archive, name: str) -> bool:
    kept = archive.store.state(name)
    return kept is not None and kept.cold
