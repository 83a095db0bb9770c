"""The raw table in Dagster."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg
from pyiceberg.table import Table as Iceberg

from smug_platform.policies import FRESH_RAW, PLATFORM, RETRY, told, turn
from smug_platform.raw.backlog import land_backlog
from smug_platform.raw.checks import SPECS, landing_checks
from smug_platform.raw.deltas import open_deltas, sequence
from smug_platform.raw.land import Landed
from smug_platform.raw.metadata import lag_seconds, table_metadata, without_nothing
from smug_platform.raw.resources import Lakehouse
from smug_platform.stream.assets import CHANGES
from smug_platform.stream.resources import Stream

DELTAS = dg.AssetKey(["raw", "deltas"])


@dg.asset(
    key=DELTAS,
    deps=[CHANGES],
    group_name="raw",
    kinds={"iceberg"},
    owners=[PLATFORM],
    tags={"layer": "raw"},
    pool="raw_deltas",
    op_tags=turn(1),
    retry_policy=RETRY,
    freshness_policy=FRESH_RAW,
    check_specs=SPECS,
)
def deltas(
    stream: dg.ResourceParam[Stream], lakehouse: dg.ResourceParam[Lakehouse]
) -> Iterator[dg.MaterializeResult[None]]:
    """One row a delta: every change of a row and of a schema that the stream delivered, forever.

    Append-only, and at least once: what is merged from here is gated by source position.
    """
    with told():
        landed = list(land_backlog(lakehouse.catalog, stream.reader))
    table = open_deltas(lakehouse.catalog)
    yield dg.MaterializeResult(
        metadata=landing_metadata(table, landed),
        data_version=dg.DataVersion(str(sequence(table))),
        check_results=list(landing_checks(lakehouse.catalog, table)),
    )


def landing_metadata(table: Iceberg, landed: list[Landed]) -> dict[str, Any]:
    """What a person wants to know of some landings: how much, of what, how late."""
    snapshot = table.current_snapshot()
    total = snapshot.summary["total-records"] if snapshot and snapshot.summary else 0
    times: list[datetime] = [each.latest_commit for each in landed if each.latest_commit]
    tables: dict[str, int] = {}
    for each in landed:
        for name, number in each.tables.items():
            tables[name] = tables.get(name, 0) + number
    return table_metadata(table, rows=int(total or 0)) | without_nothing(
        {
            "rows_in": sum(each.deltas for each in landed),
            "copies": sum(each.copies for each in landed),
            "quarantined": sum(each.quarantined for each in landed),
            "tables": tables or None,
            "source_positions": {s: str(p) for s, p in landed[-1].sources.items()} or None,
            "lag_seconds": lag_seconds(max(times, default=None)),
            "stream_behind_seconds": landed[-1].behind.total_seconds(),
            "snapshot_id": str(snapshot.snapshot_id) if snapshot else None,
            "seconds": round(sum(each.seconds for each in landed), 3),
        }
    )
