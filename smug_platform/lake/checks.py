"""Checks of the lake's tables: those of each merge, and the debt that is looked at by the hour."""

from collections.abc import Iterator, Sequence

import dagster as dg
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table as Iceberg

from smug_platform.lake.compact import GONE_SHARE, MAX_FILES, Debt, debt
from smug_platform.lake.target import Target
from smug_platform.lake.verify import check_keys, waiting
from smug_platform.raw.quarantine import counts
from smug_platform.raw.resources import Lakehouse

DEBT, QUARANTINE = "compaction_debt", "quarantine_empty"


def lake_key(name: str) -> dg.AssetKey:
    """The asset of a lake table."""
    return dg.AssetKey(["lake", name])


def merge_check_specs(targets: Sequence[Target]) -> list[dg.AssetCheckSpec]:
    """The checks that are part of a merge."""
    return [spec for target in targets for spec in _specs(target)]


def _specs(target: Target) -> Iterator[dg.AssetCheckSpec]:
    yield dg.AssetCheckSpec(
        "keys_unique",
        asset=lake_key(target.name),
        blocking=True,
        description="No row is there twice, and no global key is live on two shards.",
    )
    yield dg.AssetCheckSpec(
        "no_gap",
        asset=lake_key(target.name),
        description="Every delta of the table that had landed before the merge is merged.",
    )


def merge_checks(
    catalog: Catalog, target: Target, deltas: Iceberg
) -> Iterator[dg.AssetCheckResult]:
    """The results of one table's checks after a merge.

    deltas: the raw table as it was before the merge.
    """
    keys = check_keys(catalog, target)
    yield dg.AssetCheckResult(
        asset_key=lake_key(target.name),
        check_name="keys_unique",
        passed=keys.unique,
        description=f"for example {keys.sample}" if keys.sample else None,
        metadata={"rows": keys.rows, "copies": keys.copies, "live_twice": keys.live_twice},
    )
    left = waiting(catalog, deltas, target)
    yield dg.AssetCheckResult(
        asset_key=lake_key(target.name),
        check_name="no_gap",
        passed=not left,
        description="the table's schema has not come yet" if left else None,
        metadata={"deltas_waiting": left},
    )


def stuck(target: Target, problem: Exception) -> dg.AssetCheckResult:
    """The result for a table that could not be merged."""
    return dg.AssetCheckResult(
        asset_key=lake_key(target.name),
        check_name="no_gap",
        passed=False,
        description=str(problem),
    )


def hourly_checks(targets: Sequence[Target]) -> dg.AssetChecksDefinition:
    """Two checks a table that are no part of a change's way: its debt, and its quarantine."""
    by_key = {lake_key(target.name): target for target in targets}

    @dg.multi_asset_check(
        name="lake_by_the_hour",
        specs=[spec for key in by_key for spec in _hourly_specs(key)],
        can_subset=True,
    )
    def lake_by_the_hour(
        context: dg.AssetCheckExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        entries = counts(lakehouse.catalog)
        for check in sorted(context.selected_asset_check_keys):
            target = by_key[check.asset_key]
            if check.name == DEBT:
                yield _debt(target, debt(lakehouse.catalog, target))
            else:
                yield _quarantine(target, entries.get(target.table.name, 0))

    return lake_by_the_hour


def _hourly_specs(key: dg.AssetKey) -> Iterator[dg.AssetCheckSpec]:
    yield dg.AssetCheckSpec(
        DEBT,
        asset=key,
        description=f"At most {MAX_FILES} files of about one size, and at most"
        f" {GONE_SHARE:.0%} of a large file deleted; more is for the next compaction.",
    )
    yield dg.AssetCheckSpec(
        QUARANTINE,
        asset=key,
        description="No change of the table was put aside as impossible to apply.",
    )


def _debt(target: Target, owed: Debt) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=lake_key(target.name),
        check_name=DEBT,
        passed=not owed.due,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "data_files": owed.data_files,
            "delete_files": owed.delete_files,
            "deleted_rows": owed.deleted_rows,
            "deleted_share": owed.deleted_share,
        },
    )


def _quarantine(target: Target, entries: int) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=lake_key(target.name),
        check_name=QUARANTINE,
        passed=not entries,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"entries": entries},
    )
