"""The jobs, and when they run.

`live` is what the sensor asks for: some tables and what follows them. `drain` is the same work in
one run that stays up, micro-batch after micro-batch. By the hour everything is touched once
(`sweep`) and compared with the source (`reconciliation`), what has become many small files is made
one (`compaction`), and what raw accepted is archived (`archiving`); by night dbt's columns are read
(`nightly_build`).
"""

from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.definitions.partitions.partitioned_schedule import (
    UnresolvedPartitionedAssetScheduleDefinition,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from smug_platform.archive.assets import ARCHIVE
from smug_platform.orchestration.compaction import COMPACTION
from smug_platform.orchestration.drain import to_the_lake, to_the_marts
from smug_platform.settings import Settings
from smug_platform.warehouse.model_assets import COLUMNS_TAG

Schedule = dg.ScheduleDefinition | UnresolvedPartitionedAssetScheduleDefinition
Job = dg.JobDefinition | UnresolvedAssetJobDefinition
LIVE, DRAIN = "live", "drain"
MAX_SECONDS = 900
"""A live run that takes longer is ended; the next one goes on where it stopped."""
_LIMIT = {"dagster/max_runtime": str(MAX_SECONDS)}


def jobs(
    slow: Sequence[dg.AssetChecksDefinition],
    resources: Mapping[str, object],
) -> list[Job]:
    """All jobs, those first that arrivals may start.

    slow: the checks that are no part of a change's way. resources: for the drain job, because a
    sensor is made anew, with a warning, when a job that it names gets them only later.
    """
    slow_checks = dg.AssetSelection.checks(*slow)
    kept = dg.AssetSelection.assets(COMPACTION, ARCHIVE)
    way = dg.AssetSelection.all() - slow_checks - kept
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
        dg.define_asset_job(
            "compaction",
            selection=dg.AssetSelection.assets(COMPACTION),
            tags={"dagster/max_runtime": "3300"},  # before the next
            description="Small files of a lake table become one; files of expired snapshots go.",
        ),
        archiving(),
    ]


def archiving() -> UnresolvedAssetJobDefinition:
    """The archive, hour by hour."""
    return dg.define_asset_job(
        "archiving",
        selection=dg.AssetSelection.assets(ARCHIVE),
        description="What raw has accepted goes into the sealed archive.",
    )


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


def schedules(settings: Settings) -> list[Schedule]:
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
        *(
            dg.ScheduleDefinition(
                name=name, job_name=job, cron_schedule=cron, default_status=status
            )
            for name, (job, cron) in times.items()
        ),
        dg.build_schedule_from_partitioned_job(
            archiving(), name="archiving_hourly", minute_of_hour=4, default_status=status
        ),
    ]
