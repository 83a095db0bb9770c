"""The archive in Dagster: one asset, a partition an hour of the source's commits."""

import warnings
from collections.abc import Iterator
from itertools import islice

import dagster as dg

from smug_platform.archive.compare import compare
from smug_platform.archive.manifest import all_manifests, describe
from smug_platform.archive.resources import ArchiveResource
from smug_platform.archive.verify import verify
from smug_platform.archive.write import write
from smug_platform.policies import PLATFORM, RETRY, told
from smug_platform.raw.assets import DELTAS
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.tables.table import Source

ARCHIVE = dg.AssetKey(["archive", "deltas"])
HOURS = dg.HourlyPartitionsDefinition(start_date="2026-01-01-00:00")
_SHOWN = 5
_SPECS = [
    dg.AssetCheckSpec(
        "equals_raw",
        asset=ARCHIVE,
        description="What raw has accepted of the hour is archived once, position by position.",
    ),
    dg.AssetCheckSpec(
        "chain_holds",
        asset=ARCHIVE,
        description="No manifest or object was changed, removed or added since it was sealed.",
    ),
]


def archive_assets() -> dg.AssetsDefinition:
    """The archive of all shards."""
    with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):  # backfill_policy
        asset = dg.asset(
            key=ARCHIVE,
            deps=[DELTAS],
            partitions_def=HOURS,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name="archive",
            kinds={"parquet"},
            owners=[PLATFORM],
            tags={"layer": "archive"},
            pool="archive",
            retry_policy=RETRY,
            check_specs=_SPECS,
        )

    @asset
    def deltas(
        context: dg.AssetExecutionContext,
        lakehouse: dg.ResourceParam[Lakehouse],
        archive: dg.ResourceParam[ArchiveResource],
        settings: dg.ResourceParam[Settings],
        source: dg.ResourceParam[Source],
    ) -> Iterator[dg.MaterializeResult[None]]:
        """One row a delta that raw accepted, sealed for good, by shard and hour of its commit.

        A run writes all that is not archived yet, late changes of earlier hours too: so the
        hour is whole after it, and a backfill of however many hours is one run.
        """
        hours = {f"{key[:10]}T{key[11:13]}" for key in context.partition_keys}
        with told():
            written = write(lakehouse.catalog, archive.archive, source)
            held = [one for one in all_manifests(archive.archive.store) if one.hour in hours]
            checks = [
                _equals_raw(lakehouse, archive, hours),
                _chain_holds(archive, settings),
            ]
        new = describe(list(written.manifests))
        yield dg.MaterializeResult(
            metadata={
                **describe(held),
                **{f"new_{name}": number for name, number in new.items()},
                "seconds": round(written.seconds, 3),
            },
            check_results=checks,
        )

    return deltas


def _equals_raw(
    lakehouse: Lakehouse, archive: ArchiveResource, hours: set[str]
) -> dg.AssetCheckResult:
    compared = compare(lakehouse.catalog, archive.archive, hours)
    shown = [str(each) for each in islice(compared.differences, _SHOWN)]
    return dg.AssetCheckResult(
        check_name="equals_raw",
        passed=not shown,
        description="; ".join(shown) or None,
        metadata={"rows": compared.rows, "different": len(compared.differences)},
    )


def _chain_holds(archive: ArchiveResource, settings: Settings) -> dg.AssetCheckResult:
    """By names and sizes, which costs little however old the archive is; `smug archive verify`
    reads every object.
    """
    proofs = verify(archive.archive, expire_days=settings.archive.expire_days, contents=False)
    breaks = [each for proof in proofs for each in proof.breaks]
    shown = [f"{each.place}: {each.problem}" for each in breaks[:_SHOWN]]
    return dg.AssetCheckResult(
        check_name="chain_holds",
        passed=not breaks,
        description="; ".join(shown) or None,
        metadata={
            "manifests": sum(proof.manifests for proof in proofs),
            "objects": sum(proof.objects for proof in proofs),
            "breaks": len(breaks),
        },
    )
