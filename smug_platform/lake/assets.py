"""The lake's tables in Dagster: one asset a table, one step for those that are asked for."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pyiceberg.catalog import Catalog

from smug_platform.lake.checks import lake_key, merge_check_specs, merge_checks, stuck
from smug_platform.lake.compact import tend
from smug_platform.lake.merge import merge, merged_sequence, name_of
from smug_platform.lake.merged import Merged
from smug_platform.lake.target import Target
from smug_platform.policies import FRESH_TABLE, RETRY, Problems, turn
from smug_platform.raw.assets import DELTAS
from smug_platform.raw.deltas import open_deltas
from smug_platform.raw.metadata import lag_seconds, table_metadata, without_nothing
from smug_platform.raw.resources import Lakehouse


def lake_assets(targets: Sequence[Target]) -> dg.AssetsDefinition:
    """One asset a lake table. A table that can't be merged fails the step after all others."""

    @dg.multi_asset(
        name="lake",
        specs=[_spec(target) for target in targets],
        check_specs=merge_check_specs(targets),
        can_subset=True,
        pool="lake",
        op_tags=turn(2),
        retry_policy=RETRY,
    )
    def lake(
        context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        catalog, problems = lakehouse.catalog, Problems()
        deltas = open_deltas(catalog)
        for target in targets:
            if lake_key(target.name) not in context.selected_asset_keys:
                continue
            with problems.of(target.name):
                merged = merge(catalog, target)
                yield dg.MaterializeResult(
                    asset_key=lake_key(target.name),
                    metadata=merge_metadata(catalog, target, merged),
                    data_version=_version(catalog, target),
                    check_results=list(merge_checks(catalog, target, deltas)),
                )
            if problem := problems.get(target.name):
                yield stuck(target, problem)
                continue
            with problems.of(target.name):  # what follows waits for it, as the next merge would
                tend(catalog, target)
        problems.tell()

    return lake


def merge_metadata(catalog: Catalog, target: Target, merged: Merged) -> dict[str, Any]:
    """What a person wants to know of a merge: what came, what became of it, how late it is."""
    described: dict[str, Any] = {"dagster/row_count": merged.rows}
    if catalog.table_exists(name_of(target)):
        described = table_metadata(catalog.load_table(name_of(target)), rows=merged.rows)
    return described | without_nothing(
        {
            "rows_in": merged.deltas,
            "duplicates": merged.duplicates,
            "identical": merged.identical,
            "merged_away": merged.merged_away,
            "stale": merged.stale,
            "written": merged.written,
            "deleted": merged.deleted,
            "quarantined": merged.quarantined,
            "zero_dates": merged.zero_dates,
            "lag_seconds": lag_seconds(merged.latest_commit),
            "snapshot_id": str(merged.snapshot_id) if merged.snapshot_id else None,
            "seconds": round(merged.seconds, 3),
        }
    )


def _version(catalog: Catalog, target: Target) -> dg.DataVersion:
    """The last raw commit that is in the table."""
    exists = catalog.table_exists(name_of(target))
    table = catalog.load_table(name_of(target)) if exists else None
    return dg.DataVersion(str(merged_sequence(table)))


def _spec(target: Target) -> dg.AssetSpec:
    table = target.table
    grain = f"One row a change of {table.name}, deletes included." if target.history else ""
    return dg.AssetSpec(
        lake_key(target.name),
        deps=[DELTAS],
        group_name=f"lake_{table.domain}",
        kinds={"iceberg"},
        owners=[table.owner],
        tags={"layer": "lake", "domain": table.domain},
        description=grain or table.description,
        freshness_policy=None if table.reference else FRESH_TABLE,
        metadata={"personal_columns": ", ".join(sorted(table.pii)) or "none"},
    )
