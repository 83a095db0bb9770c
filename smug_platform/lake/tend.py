"""Tending the lake between merges: little at a time, so that the next merge does not wait for it.

Merges leave small files, deleted rows, and files that no snapshot names any more. Whoever merges on
and on lets one table be tended after each of its passes.
"""

import time
from collections.abc import Iterable, Sequence
from itertools import cycle

from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.lake.compact import TEND_S, tend
from smug_platform.lake.merge import name_of
from smug_platform.lake.target import Target
from smug_platform.raw.deltas import NAME as DELTAS_NAME

_TIDY_S = 300.0  # in which each table's old files are removed once
_TIDYING_S = 0.2  # for those of one table at once


class Tending:
    """What is to be done for these tables and `raw.deltas`, by one who merges in this thread."""

    def __init__(self, catalog: Catalog, targets: Sequence[Target]) -> None:
        self._catalog = catalog
        self._targets = {target.name: target for target in targets}
        self._merged: dict[str, None] = {}  # tables that may owe a step, in the order of their turn
        names = (DELTAS_NAME, *(name_of(target) for target in targets))
        self._untidy, self._wait = cycle(names), _TIDY_S / len(names)
        self._tidied = time.monotonic()

    def __call__(self, merged: Iterable[str]) -> None:
        """Compact for a while where that is due, else remove old files of one table.

        merged: the tables that have been merged since the last time.
        """
        self._merged |= dict.fromkeys(merged)
        if not self._compact():
            self._tidy()

    def _compact(self) -> bool:
        """A table that owes no step is looked at again once it is merged."""
        began = time.monotonic()
        for name in list(self._merged):
            del self._merged[name]
            if tend(self._catalog, self._targets[name], began + TEND_S - time.monotonic()):
                self._merged[name] = None
                return True
            if time.monotonic() - began > TEND_S / 2:  # a first step may take the other half
                return True
        return False

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < self._wait:
            return
        if table := iceberg.load(self._catalog, next(self._untidy)):
            iceberg.remove_orphans(table, seconds=_TIDYING_S)
        self._tidied = time.monotonic()
