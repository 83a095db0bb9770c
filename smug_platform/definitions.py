"""What Dagster loads: the way of the data, assembled for the environment that SMUG_ENV names.

Loading it touches no server; dbt's manifest is parsed when it is missing or older than the project.
What can't run in an environment is not registered there: the loader, the dashboard page and the
reconciliation need DuckDB, so where Redshift is the warehouse (staging, prod) the replicas and the
page are external assets and that check is absent.
"""

from collections.abc import Mapping

import dagster as dg

from smug_platform import jobs, sensors
from smug_platform.bi.assets import bi_assets
from smug_platform.capture.assets import shard_assets
from smug_platform.checks import slow_checks
from smug_platform.lake.assets import lake_assets
from smug_platform.lake.target import targets
from smug_platform.raw.assets import deltas
from smug_platform.resources import resources as of_environment
from smug_platform.settings import Settings, load_settings
from smug_platform.stream.assets import stream_assets
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse import assets as warehouse
from smug_platform.warehouse.model_assets import model_assets, model_graph


def build_defs(
    settings: Settings, *, resources: Mapping[str, object] | None = None
) -> dg.Definitions:
    """All definitions of an environment; resources: take the place of its own of those names."""
    graph, lake, slow = model_graph(settings), targets(FLICKR), slow_checks(settings, FLICKR)
    return dg.Definitions(
        assets=[
            *shard_assets(settings, FLICKR),
            *stream_assets(settings),
            deltas,
            lake_assets(lake),
            *warehouse.warehouse_assets(settings, lake),
            model_assets(settings, graph),
            *bi_assets(settings, graph),
        ],
        asset_checks=slow,
        jobs=jobs.jobs(slow, lake),
        schedules=jobs.schedules(settings),
        sensors=sensors.sensors(settings),
        resources=dict(of_environment(settings, FLICKR)) | dict(resources or {}),
        executor=dg.in_process_executor,
    )


defs = build_defs(load_settings())
