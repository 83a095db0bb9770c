"""Compaction in Dagster: one asset, materialized by the hour, that keeps the lake's tables tidy."""

from collections.abc import Sequence

import dagster as dg

from smug_platform import iceberg
from smug_platform.errors import LakeError
from smug_platform.lake.checks import lake_key
from smug_platform.lake.compact import rounds
from smug_platform.lake.merge import name_of
from smug_platform.lake.target import Target
from smug_platform.policies import PLATFORM, RETRY, Problems
from smug_platform.raw.deltas import NAME as DELTAS_NAME
from smug_platform.raw.resources import Lakehouse

COMPACTION = dg.AssetKey(["upkeep", "compaction"])


def compaction(targets: Sequence[Target]) -> dg.AssetsDefinition:
    """Compacts each lake table that is due, step by step, and removes what no snapshot names."""

    @dg.asset(
        key=COMPACTION,
        deps=[lake_key(target.name) for target in targets],
        group_name="upkeep",
        kinds={"iceberg"},
        owners=[PLATFORM],
        tags={"layer": "upkeep"},
        description="Small files of the lake's tables made one, deleted rows left out, and files "
        "that no snapshot names removed.",
        pool="compaction",  # not the merges' own: none waits for all of this
        retry_policy=RETRY,
    )
    def compact(
        context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]
    ) -> dg.MaterializeResult[None]:
        problems = Problems()
        steps = rows = files = 0
        for target, step in rounds(lakehouse.catalog, targets):
            if isinstance(step, LakeError):
                problems.add(target.name, step)
                continue
            steps, rows = steps + 1, rows + step.rows
            context.log.info(
                f"lake.{target.name}: {step.data_files} data files and {step.delete_files}"
                f" delete files became one each, {step.rows} rows, in {step.seconds:.1f} s"
            )
        names = [DELTAS_NAME, *(name_of(target) for target in targets)]
        for name, table in iceberg.load_all(lakehouse.catalog, names).items():
            if removed := iceberg.remove_orphans(table):
                files += removed
                context.log.info(f"{name}: {removed} files that no snapshot names were removed")
        problems.tell()
        return dg.MaterializeResult(
            metadata={"steps": steps, "rows_written": rows, "files_removed": files}
        )

    return compact
