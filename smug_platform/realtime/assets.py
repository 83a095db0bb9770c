"""The live numbers in Dagster: an external asset, kept by the consumer, and what it is held to."""

from collections.abc import Iterator

import dagster as dg

from smug_platform.errors import SmugError
from smug_platform.policies import PLATFORM
from smug_platform.raw.resources import Lakehouse
from smug_platform.realtime.compare import Compared, compare
from smug_platform.realtime.metrics import METRICS
from smug_platform.realtime.store import Store, store_path
from smug_platform.settings import Settings
from smug_platform.stream.assets import CHANGES
from smug_platform.warehouse.open import open_warehouse

WINDOWS = dg.AssetKey(["realtime", "windows"])
_ENDING = "_equal_marts"
_SHOWN = 5


def realtime_asset(settings: Settings) -> dg.AssetSpec:
    """The numbers that the consumer keeps."""
    return dg.AssetSpec(
        WINDOWS,
        deps=[CHANGES],
        group_name="realtime",
        kinds={"sqlite"},
        owners=[PLATFORM],
        tags={"layer": "realtime"},
        description="One row a metric, minute, source shard, operation and currency; counted by"
        " `smug realtime` from the stream itself.",
        metadata={"dagster/uri": str(store_path(settings))},
    )


def realtime_checks() -> dg.AssetChecksDefinition:
    """One check a metric: what the marts show, at their position in the stream."""

    @dg.multi_asset_check(
        name="live_equals_marts",
        specs=[
            dg.AssetCheckSpec(
                f"{metric.name}{_ENDING}",
                asset=WINDOWS,
                description=f"The live {metric.name} brought to the marts' position in the stream"
                " are the marts', by day.",
            )
            for metric in METRICS
        ],
    )
    def live_equals_marts(
        settings: dg.ResourceParam[Settings], lakehouse: dg.ResourceParam[Lakehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        try:
            with (
                Store(store_path(settings), read_only=True) as store,
                open_warehouse(settings, read_only=True) as warehouse,
            ):
                found = compare(lakehouse.catalog, warehouse, store)
        except SmugError as problem:
            found = [Compared(metric.name, problem=str(problem)) for metric in METRICS]
        yield from map(_result, found)

    return live_equals_marts


def _result(compared: Compared) -> dg.AssetCheckResult:
    """A difference is an error; that there was nothing to compare is a warning, and no success."""
    shown = "; ".join(str(each) for each in compared.differences[:_SHOWN])
    return dg.AssetCheckResult(
        asset_key=WINDOWS,
        check_name=f"{compared.metric}{_ENDING}",
        passed=not compared.problem and not compared.differences,
        severity=dg.AssetCheckSeverity.WARN if compared.problem else dg.AssetCheckSeverity.ERROR,
        description=compared.problem or shown or None,
        metadata={
            "total": compared.total,
            "days": compared.days,
            "different": len(compared.differences),
        },
    )
