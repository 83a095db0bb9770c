"""Checks of `raw.deltas`, made of each landing."""

import time
from collections.abc import Iterator

import dagster as dg
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table as Iceberg

from smug_platform.raw.continuity import new_streams, reached, steps_back
from smug_platform.raw.quarantine import counts

_RECENT_SECONDS = 3600

SPECS = [
    dg.AssetCheckSpec(
        "no_gap",
        asset=["raw", "deltas"],
        blocking=True,
        description="From commit to commit no position goes back, of a shard or of the stream.",
    ),
    dg.AssetCheckSpec(
        "same_stream",
        asset=["raw", "deltas"],
        description="The stream was not created anew in the last hour.",
    ),
    dg.AssetCheckSpec(
        "quarantine_empty",
        asset=["raw", "deltas"],
        description="Nothing was put aside as impossible to read or to apply, of any table.",
    ),
]


def landing_checks(catalog: Catalog, deltas: Iceberg) -> Iterator[dg.AssetCheckResult]:
    """The results of the checks that `SPECS` announces."""
    commits = reached(deltas)
    back = list(steps_back(commits))
    yield dg.AssetCheckResult(
        check_name="no_gap",
        passed=not back,
        description="; ".join(back) or None,
        metadata={"commits": len(commits)},
    )
    anew = new_streams(commits, since=time.time() - _RECENT_SECONDS)
    yield dg.AssetCheckResult(
        check_name="same_stream",
        passed=not anew,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"created anew: {', '.join(anew)}" if anew else None,
    )
    entries = counts(catalog)
    yield dg.AssetCheckResult(
        check_name="quarantine_empty",
        passed=not entries,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={name or "of no known table": number for name, number in entries.items()},
    )
