"""The jobs, and when they run.

`live` is what the sensor asks for: some tables and what follows them. `drain` is the same work in
one run that stays up, micro-batch after micro-batch. By the hour everything is touched once
(`sweep`) and compared with the source (`reconciliation`), and what has become many small files is
made one (`compaction`); by night dbt's columns are read (`nightly_build`).
"""

from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from smug_platform import iceberg
from smug_platform.lake.compact import rounds
from smug_platform.lake.merge import name_of
from smug_platform.lake.target import Target, targets
from smug_platform.orchestration.drain import to_the_lake, to_the_marts
from smug_platform.raw.deltas import NAME as DELTAS_NAME
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.tables.table import Source
from smug_platform.warehouse.model_assets import COLUMNS_TAG

Job = dg.JobDefinition | UnresolvedAssetJobDefinition
LIVE, DRAIN = "live", "drain"
MAX_SECONDS = 900
"""A live run that takes longer is ended; the next one goes on where it stopped."""
_LIMIT = {"dagster/max_runtime": str(MAX_SECONDS)}


def jobs(
    slow: Sequence[dg.AssetChecksDefinition],
    source: Source,
    resources: Mapping[str, object],
) -> list[Job]:
    """All jobs, those first that arrivals may start.

    slow: the checks that are no part of a change's way. resources: for the drain job, because a
    sensor is made anew, with a warning, when a job that it names gets them only later.
    """
    slow_checks = dg.AssetSelection.checks(*slow)
    way = dg.AssetSelection.all() - slow_checks
    return [
        dg.define_asset_job(
            LIVE,
            selection=way,
            tags=_LIMIT,
            description="What is behind, from the stream to the marts.",
        ),
        drain_job(resources),
        dg.define_asset_job(
            "nightly",
            selection=way,
            tags={COLUMNS_TAG: "1"},
            description="Everything, with the columns of each model and what they are made of.",
        ),
        dg.define_asset_job(
            "reconciliation",
            selection=slow_checks,
            description="Source against lake against warehouse, and the lake's compaction debt.",
        ),
        compaction_job(targets(source)),
    ]


def compaction_job(targets: Sequence[Target]) -> dg.JobDefinition:
    """Compacts each table that is due, step by step, and removes what no table names."""

    @dg.op(name="compact", pool="compaction")  # not the merges' own: none waits for all of this
    def compact_due(context: dg.OpExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]) -> None:
        for target, step in rounds(lakehouse.catalog, targets):
            context.log.info(
                f"lake.{target.name}: {step.data_files} data files and {step.delete_files}"
                f" delete files became one each, {step.rows} rows, in {step.seconds:.1f} s"
            )
        names = [DELTAS_NAME, *(name_of(target) for target in targets)]
        for name, table in iceberg.load_all(lakehouse.catalog, names).items():
            if removed := iceberg.remove_orphans(table):
                context.log.info(f"{name}: {removed} files that no snapshot names were removed")

    @dg.job(
        name="compaction",
        description="Many small files of a lake table become one; files of expired snapshots go.",
    )
    def compaction() -> None:
        compact_due()

    return compaction


def drain_job(resources: Mapping[str, object]) -> dg.JobDefinition:
    """The two halves of the way side by side, until nothing comes any more."""
    given = {
        name: dg.ResourceDefinition.hardcoded_resource(each) for name, each in resources.items()
    }

    @dg.job(
        name=DRAIN,
        description="Micro-batch after micro-batch until all is quiet.",
        executor_def=dg.multiprocess_executor.configured({"max_concurrent": 2}),
        tags=_LIMIT,
        resource_defs=given,
    )
    def drain() -> None:
        to_the_lake()
        to_the_marts()

    return drain


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """When the jobs run that no arrival asks for; stopped where tests run."""
    status = (
        dg.DefaultScheduleStatus.STOPPED
        if settings.env == "test"
        else dg.DefaultScheduleStatus.RUNNING
    )
    times = {
        "sweep": (LIVE, "7 * * * *"),
        "reconciliation_hourly": ("reconciliation", "37 * * * *"),
        "nightly_build": ("nightly", "20 2 * * *"),
        "compaction_hourly": ("compaction", "52 * * * *"),
    }
    return [
        dg.ScheduleDefinition(name=name, job_name=job, cron_schedule=cron, default_status=status)
        for name, (job, cron) in times.items()
    ]
