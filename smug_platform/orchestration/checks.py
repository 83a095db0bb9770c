"""The reconciliation as asset checks: source equals lake equals warehouse, by shard and table.

It reads all rows of all shards, so it is for the hour and for a person who wants to know, and not
part of the way of a change. The checks hang on the shards, which nothing materializes: on the
replicas, every materialization by hand would run them. While they run the way must stay open, for
they wait until what the source holds has come through; so they take no pool.
"""

from collections.abc import Iterator

import dagster as dg

from smug_platform.capture.assets import shard_key
from smug_platform.errors import SmugError
from smug_platform.lake.checks import hourly_checks
from smug_platform.lake.target import targets
from smug_platform.oracle.reconcile import Comparison, reconcile
from smug_platform.orchestration.shard_checks import shard_checks
from smug_platform.realtime.assets import realtime_checks
from smug_platform.settings import Settings
from smug_platform.tables.table import Source
from smug_platform.warehouse.assets import replica_key

_ENDING = "_equals_lake_equals_warehouse"
_SHOWN = 5


def slow_checks(settings: Settings, source: Source) -> list[dg.AssetChecksDefinition]:
    """The checks by the hour: of lake and shards, and where they can run the reconciliation and
    that of the live numbers.
    """
    found = [hourly_checks(targets(source))]
    if settings.shards:
        found.append(shard_checks(settings))
    here = settings.warehouse == "duckdb"
    return [reconciliation_checks(settings, source), realtime_checks(), *found] if here else found


def reconciliation_checks(settings: Settings, source: Source) -> dg.AssetChecksDefinition:
    """One check a source table of each shard."""
    pairs = {
        check_key(table.name, shard.name): table.name
        for shard in settings.shards
        for table in source.tables
    }

    @dg.multi_asset_check(
        name="all_reconciled",
        specs=[
            dg.AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                additional_deps=[replica_key(table)],
                description="Row by row by hash, at a position of the shard's binlog.",
            )
            for key, table in pairs.items()
        ],
        can_subset=True,
    )
    def all_reconciled(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.AssetCheckResult]:
        asked = context.selected_asset_check_keys
        try:
            found = reconcile(settings, source, tables={pairs[key] for key in asked})
        except SmugError as error:
            raise dg.Failure(description=str(error), allow_retries=error.passes) from error
        for comparison in found:
            if check_key(comparison.table, comparison.shard) in asked:
                yield reconciled(comparison)

    return all_reconciled


def check_key(table: str, shard: str) -> dg.AssetCheckKey:
    """The check of one table of one shard."""
    return dg.AssetCheckKey(shard_key(shard), f"{table}{_ENDING}")


def reconciled(comparison: Comparison) -> dg.AssetCheckResult:
    """The result for one table of one shard, with the first of what differs."""
    key = check_key(comparison.table, comparison.shard)
    shown = [str(each) for each in comparison.differences[:_SHOWN]]
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=comparison.equal,
        description="; ".join(shown) or None,
        metadata={
            "position": str(comparison.position),
            "rows": comparison.rows,
            "different": comparison.different,
            "changed_since": comparison.late,
            "seconds": round(comparison.seconds, 3),
        },
    )
