"""A process that merges or compacts, to be killed at some step or to have another beside it.

python -m tests.pipeline.lake_process HOME WORK STEP: does it, and kills itself at that step.
python -m tests.pipeline.lake_process HOME WORK beside: does it together with another, each planned
before either commits for the first time; prints how many of its commits another was before.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pyiceberg.exceptions import CommitFailedException

from smug_platform.errors import LakeError
from smug_platform.iceberg import Transaction, change
from smug_platform.iceberg.catalog import LocalCatalog
from smug_platform.lake import compact as compaction
from smug_platform.lake import planned
from smug_platform.lake.compact import step
from smug_platform.lake.index import Index
from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import load_settings
from smug_platform.tables.table import Table

PHOTOS = Target(Table(name="photos", domain="photos", owner="team:photos"))
WRITTEN = "the metadata are written, and the catalog not"
COMMITTED = "the commit is through, and the index not"
STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "files are written": ((change, "_stage"),),
    "the snapshot is staged": ((Transaction, "commit_transaction"),),
    WRITTEN: ((LocalCatalog, "_write_metadata"),),
    COMMITTED: ((planned, "enter"), (compaction, "enter")),
    "the index's run is written, and not named": ((Index, "_save"),),
}
"""What is killed when it is called; `WRITTEN`: once it has returned."""
MERGE, COMPACT = "merge", "compact"


def catalog_of(home: str | Path) -> LocalCatalog:
    catalog = open_catalog(load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)}))
    assert isinstance(catalog, LocalCatalog)
    return catalog


def killed(home: str, work: str, at: str) -> None:
    """Die at the given step; the merge before a compaction opens the index."""
    catalog = catalog_of(home)
    if work == COMPACT:
        merge(catalog, PHOTOS)
    for owner, name in STEPS[at]:
        if at == WRITTEN:
            _die_after(owner, name)
        else:
            setattr(owner, name, _die)
    if work == COMPACT:
        step(catalog, PHOTOS, thorough=True)
    else:
        merge(catalog, PHOTOS)


def _die(*_: Any, **_more: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_after(owner: Any, name: str) -> None:
    inner = getattr(owner, name)

    def call(*arguments: Any) -> None:
        inner(*arguments)
        _die()

    setattr(owner, name, staticmethod(call))


def beside(home: str, work: str) -> int:
    """Do it until there is nothing left to do, with the other at it too; how many commits lost."""
    catalog, lost = catalog_of(home), list[bool]()
    with _both_have_planned(Path(home), lost):
        before = -1
        while len(lost) > before:  # else it is at an end, and did not just give way
            before = len(lost)
            while _one(catalog, work):
                pass
    return len(lost)


def _one(catalog: LocalCatalog, work: str) -> bool:
    """Whether there may be more to do."""
    if work == COMPACT:
        return step(catalog, PHOTOS, thorough=True) is not None
    try:
        return merge(catalog, PHOTOS, max_deltas=20).commits > 0
    except LakeError as error:
        if not error.passes:
            raise
        return True


@contextmanager
def _both_have_planned(home: Path, lost: list[bool]) -> Iterator[None]:
    """Hold the first commit until the other process is as far; count the commits that are lost."""
    inner: Callable[..., Any] = Transaction.commit_transaction
    here = home / f"at-commit-{os.getpid()}"

    def commit(transaction: Transaction) -> Any:
        if not here.exists():
            here.touch()
            end = time.monotonic() + 60
            while len(list(home.glob("at-commit-*"))) < 2:
                assert time.monotonic() < end, "the other process does not come"
                time.sleep(0.002)
        try:
            return inner(transaction)
        except CommitFailedException:
            lost.append(True)
            raise

    with patch.object(Transaction, "commit_transaction", commit):
        yield


def main(home: str, work: str, at: str) -> None:
    if at == "beside":
        print(beside(home, work))  # noqa: T201
        return
    killed(home, work, at)
    sys.exit(f"it was not killed when {at}")


if __name__ == "__main__":
    main(*sys.argv[1:])
