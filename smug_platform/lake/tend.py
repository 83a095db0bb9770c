"""Tending the lake between merges: little at a time, so that the next merge does not wait for it.

Merges leave small files and deleted rows behind. Whoever merges on and on lets the tables be tended
after each of its passes.
"""

import time
from collections.abc import Iterable, Sequence

from pyiceberg.catalog import Catalog

from smug_platform.errors import SmugError
from smug_platform.lake.compact import TEND_S, tend
from smug_platform.lake.target import Target


class Tending:
    """Compacts these tables, by one who merges in this thread.

    problems: what went wrong, by table; such a table is left alone from then on.
    """

    def __init__(self, catalog: Catalog, targets: Sequence[Target]) -> None:
        self._catalog = catalog
        self._targets = {target.name: target for target in targets}
        self._merged: dict[str, None] = {}  # tables that may owe a step, in the order of their turn
        self.problems: dict[str, SmugError] = {}

    def __call__(self, merged: Iterable[str]) -> None:
        """Compact for a while where that is due. merged: the tables that have been since last time.

        A table that owes no step is looked at again once it is merged.
        """
        began = time.monotonic()
        self._merged |= dict.fromkeys(name for name in merged if name not in self.problems)
        for name in list(self._merged):
            del self._merged[name]
            if self._owes(name, began + TEND_S - time.monotonic()):
                self._merged[name] = None
                return
            if time.monotonic() - began > TEND_S / 2:  # a first step may take the other half
                return

    def _owes(self, name: str, seconds: float) -> bool:
        try:
            return tend(self._catalog, self._targets[name], seconds)
        except SmugError as problem:
            self.problems[name] = problem
            return False
