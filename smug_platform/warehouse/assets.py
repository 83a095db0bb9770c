"""The warehouse's replicas in Dagster, one asset a lake table."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from smug_platform.errors import SmugError
from smug_platform.lake.checks import lake_key
from smug_platform.lake.feed import NO_RELIEF, Relief
from smug_platform.lake.target import Target
from smug_platform.policies import RETRY, Problems, turn
from smug_platform.raw.metadata import lag_seconds, without_nothing
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.warehouse.load import Load, Loaded
from smug_platform.warehouse.open import open_warehouse, refresh_all


def replica_key(name: str) -> dg.AssetKey:
    """The asset of a replica, which is also that of dbt's source."""
    return dg.AssetKey(["warehouse", name])


def warehouse_assets(settings: Settings, targets: Sequence[Target]) -> dg.AssetsDefinition:
    """One asset a replica."""
    specs = [_spec(settings, target) for target in targets]

    @dg.multi_asset(
        name="warehouse",
        specs=specs,
        can_subset=True,
        pool=settings.warehouse,
        op_tags=turn(3),
        retry_policy=RETRY,
    )
    def warehouse(
        context: dg.AssetExecutionContext,
        settings: dg.ResourceParam[Settings],
        lakehouse: dg.ResourceParam[Lakehouse],
    ) -> Iterator[dg.MaterializeResult[None]]:
        problems = Problems()
        chosen = [
            target for target in targets if replica_key(target.name) in context.selected_asset_keys
        ]
        with problems.of("warehouse"), open_warehouse(settings) as warehouse:
            for target, result in refresh_all(warehouse, lakehouse.catalog, chosen):
                if isinstance(result, SmugError):
                    problems.add(target.name, result)
                    continue
                held = {load.table: load for load in warehouse.loads()}
                rows = warehouse.row_count(target.name) if target.name in held else 0
                yield dg.MaterializeResult(
                    asset_key=replica_key(target.name),
                    metadata=load_metadata(result, held.get(target.name), rows),
                    data_version=_version(held.get(target.name)),
                )
        problems.tell()

    return warehouse


def load_metadata(loaded: Loaded | None, held: Load | None, rows: int) -> dict[str, Any]:
    """What a person wants to know of a load. loaded: None when the replica was up to date."""
    return without_nothing(
        {
            "dagster/row_count": rows,
            "rows_in": loaded.rows if loaded else 0,
            "replaced": loaded.replaced if loaded else 0,
            "full": loaded.full if loaded else False,
            "lag_seconds": lag_seconds(held.committed_at) if loaded and held else None,
            "snapshot_id": str(held.snapshot_id) if held else None,
            "rejected": loaded.rejected if loaded else 0,
            "texts_cut": loaded.cut if loaded else 0,
            **_relief("", loaded.relief if loaded else NO_RELIEF),
            **_relief("total_", held.relief if held else NO_RELIEF),
        }
    )


def _relief(prefix: str, relief: Relief) -> dict[str, int]:
    """What merging spared the warehouse: changes that arrived, and the rows that were written."""
    return {
        f"{prefix}deltas": relief.deltas,
        f"{prefix}identical": relief.identical,
        f"{prefix}merged_away": relief.merged_away,
        f"{prefix}written": relief.written,
    }


def _version(held: Load | None) -> dg.DataVersion:
    return dg.DataVersion(str(held.snapshot_id) if held else "none")


def _spec(settings: Settings, target: Target) -> dg.AssetSpec:
    grain = f"One row a row of lake.{target.name}, tombstones included."
    return dg.AssetSpec(
        replica_key(target.name),
        deps=[lake_key(target.name)],
        group_name="warehouse",
        kinds={settings.warehouse},
        owners=[target.table.owner],
        tags={"layer": "warehouse", "domain": target.table.domain},
        description=grain,
        metadata={"dagster/table_name": f"warehouse.{target.name}"},
    )
