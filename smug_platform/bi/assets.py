"""What people see, in Dagster: the dashboard page, and the dashboards that others host."""

from collections.abc import Iterator, Sequence

import dagster as dg

from smug_platform.policies import told, turn
from smug_platform.settings import Settings
from smug_platform.warehouse.model_assets import node_key
from smug_platform.warehouse.models import Exposure, Graph

PAGE = dg.AssetKey(["bi", "dashboard_page"])


def bi_assets(settings: Settings, graph: Graph) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """One asset an exposure of dbt. The page is made here, from DuckDB; the others are external."""
    made_here = settings.warehouse == "duckdb"
    specs = [_spec(graph, exposure) for exposure in graph.exposures]
    return [_page(spec) if spec.key == PAGE and made_here else spec for spec in specs]


def _page(spec: dg.AssetSpec) -> dg.AssetsDefinition:
    @dg.multi_asset(name="dashboard_page", specs=[spec], pool="duckdb", op_tags=turn(5))
    def dashboard_page(
        settings: dg.ResourceParam[Settings],
    ) -> Iterator[dg.MaterializeResult[None]]:
        from smug_platform.bi.dashboard import write_dashboard

        with told():
            path = write_dashboard(settings)
        yield dg.MaterializeResult(
            metadata={"page": dg.MetadataValue.path(str(path)), "bytes": path.stat().st_size}
        )

    return dashboard_page


def _spec(graph: Graph, exposure: Exposure) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey(["bi", exposure.name]),
        deps=[node_key(graph, parent) for parent in exposure.parents],
        group_name="bi",
        kinds={"altair" if exposure.name == PAGE.path[-1] else "quicksight"},
        owners=["team:analytics"],
        tags={"layer": "bi", "type": exposure.kind},
        description=f"{exposure.label}. {exposure.description}",
    )
