"""The reconciliation as asset checks: source equals lake equals warehouse, table by table.

It reads all rows of all shards, so it is for the hour and for a person who wants to know, and not
part of the way of a change. While it runs the way must stay open: it waits until what the source
holds has come through, so it takes no pool.
"""

from collections.abc import Iterator
from itertools import groupby

import dagster as dg

from smug_platform.errors import SmugError
from smug_platform.lake.checks import hourly_checks
from smug_platform.lake.target import targets
from smug_platform.reconcile import Comparison, reconcile
from smug_platform.settings import Settings
from smug_platform.tables.table import Source
from smug_platform.warehouse.assets import replica_key

RECONCILED = "source_equals_lake_equals_warehouse"
_SHOWN = 5


def slow_checks(settings: Settings, source: Source) -> list[dg.AssetChecksDefinition]:
    """The checks by the hour: those of the lake, and the reconciliation where it can run."""
    lake = hourly_checks(targets(source))
    return [reconciliation_checks(source), lake] if settings.warehouse == "duckdb" else [lake]


def reconciliation_checks(source: Source) -> dg.AssetChecksDefinition:
    """One check a source table, over all shards."""
    keys = {replica_key(table.name): table.name for table in source.tables}

    @dg.multi_asset_check(
        name="all_reconciled",
        specs=[
            dg.AssetCheckSpec(
                RECONCILED,
                asset=key,
                description="Row by row by hash, at a position of each shard's binlog.",
            )
            for key in keys
        ],
        can_subset=True,
    )
    def all_reconciled(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.AssetCheckResult]:
        tables = {keys[check.asset_key] for check in context.selected_asset_check_keys}
        try:
            found = reconcile(settings, source, tables=tables)
        except SmugError as error:
            raise dg.Failure(description=str(error), allow_retries=error.passes) from error
        ordered = sorted(found, key=lambda one: (one.table, one.shard))
        for table, comparisons in groupby(ordered, key=lambda one: one.table):
            yield reconciled(table, list(comparisons))

    return all_reconciled


def reconciled(table: str, comparisons: list[Comparison]) -> dg.AssetCheckResult:
    """The result for one table: passed when it is equal on every shard."""
    shown = [str(each) for one in comparisons for each in one.differences][:_SHOWN]
    return dg.AssetCheckResult(
        asset_key=replica_key(table),
        check_name=RECONCILED,
        passed=all(one.equal for one in comparisons),
        description="; ".join(shown) or None,
        metadata={
            one.shard: {
                "position": str(one.position),
                "rows": one.rows,
                "different": one.different,
                "late": one.late,
                "seconds": round(one.seconds, 3),
            }
            for one in comparisons
        },
    )
