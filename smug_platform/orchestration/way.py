"""The assets in the order of the data's way: source, stream, raw, lake, warehouse, models, bi; what
keeps the lake, and what stands beside it.
"""

from collections.abc import Sequence

import dagster as dg

from smug_platform.archive.assets import archive_assets
from smug_platform.bi.assets import bi_assets
from smug_platform.capture.assets import shard_assets
from smug_platform.lake.assets import lake_assets
from smug_platform.lake.target import targets
from smug_platform.orchestration.compaction import compaction
from smug_platform.raw.assets import deltas
from smug_platform.realtime.assets import realtime_asset
from smug_platform.settings import Settings
from smug_platform.stream.assets import stream_assets
from smug_platform.tables.table import Source
from smug_platform.warehouse.assets import warehouse_assets
from smug_platform.warehouse.model_assets import model_assets, model_graph


def way(settings: Settings, source: Source) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """All assets of an environment."""
    graph, lake = model_graph(settings), targets(source)
    return [
        *shard_assets(settings, source),
        *stream_assets(settings),
        deltas,
        lake_assets(lake),
        warehouse_assets(settings, lake),
        model_assets(settings, graph),
        *bi_assets(settings, graph),
        compaction(lake),
        archive_assets(),
        realtime_asset(settings),
    ]
