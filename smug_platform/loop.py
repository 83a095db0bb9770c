"""The two halves of a pass over and over: to the lake, and from there to the marts.

Each is a callable for one process that keeps at it, so that one waits for the other nowhere.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from smug_platform.lake.feed import current_snapshots
from smug_platform.lake.merged import Merged
from smug_platform.lake.tend import Tending
from smug_platform.sync import Platform, Synced, ingest, publish

AT_ONCE = 5  # micro-batches, so that what they did is told every second or two


def keep_on(
    half: Callable[[], Synced], *, idle: float, most: float, pause: float = 0.25
) -> Iterator[Synced]:
    """One half of a pass again and again, until it has moved nothing for `idle` seconds.

    Ends after `most` seconds in any case, and with the first problem, for only a new run may try
    again. pause: seconds to wait after one that moved nothing. Yields those that moved something
    or met a problem.

    >>> halves = iter([Synced(loaded=(None,)), Synced(), Synced()])
    >>> len(list(keep_on(lambda: next(halves), idle=0.01, most=5.0, pause=0.01)))
    1
    """
    started = last = time.monotonic()
    while (now := time.monotonic()) - last < idle and now - started < most:
        synced = half()
        if synced.moved or synced.problems:
            yield synced
            last = time.monotonic()
        if synced.problems:
            return
        if not synced.moved:
            time.sleep(pause)


class ToTheLake:
    """`ingest` by a few micro-batches, for one who calls it over and over.

    The lake is tended in between, which bounds what its merges leave behind.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._tend = Tending(platform.lakehouse.catalog, platform.targets)

    def __call__(self) -> Synced:
        """One half pass."""
        return ingest(self._platform, batches=AT_ONCE, between=self._between)

    def _between(self, merges: Sequence[Merged]) -> None:
        self._tend(merged.table for merged in merges if merged.commits)

    def require_tended(self) -> None:
        """Raise what compaction met, once all that came has been merged regardless."""
        for problem in self._tend.problems.values():
            raise problem


class ToTheMarts:
    """`publish`, for one who calls it over and over: it opens the warehouse only when the lake has
    moved since the last time, so that others get to it.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._seen: dict[str, int] | None = None

    def __call__(self) -> Synced:
        """One half pass, without dbt's tests."""
        lake = current_snapshots(self._platform.lakehouse.catalog, self._platform.targets)
        if lake == self._seen:
            return Synced()
        synced = publish(self._platform, tests=False)
        self._seen = lake
        return synced
