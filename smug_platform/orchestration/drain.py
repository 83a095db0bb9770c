"""The drain run: two processes that stay up, one to the lake and one from there to the marts.

A live run takes seconds to start, and for each change anew; this one pays that once. Two processes,
because a change on its way to the lake must not wait for a build, and one process would share one
interpreter lock between the two. The price: no retries and no checks of single assets while it
runs. The sweep makes up for those within the hour.
"""

from collections.abc import Iterator

import dagster as dg

from smug_platform.lake.assets import merge_metadata
from smug_platform.lake.checks import lake_key
from smug_platform.loop import ToTheLake, ToTheMarts, keep_on
from smug_platform.policies import told
from smug_platform.raw.assets import DELTAS, landing_metadata
from smug_platform.raw.deltas import open_deltas
from smug_platform.raw.metadata import without_nothing
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.stream.resources import Stream
from smug_platform.sync import Platform, Synced
from smug_platform.tables.table import Source
from smug_platform.warehouse.assets import replica_key
from smug_platform.warehouse.dbt import manifest_path
from smug_platform.warehouse.model_assets import node_key
from smug_platform.warehouse.models import read_graph


class DrainConfig(dg.Config):
    """idle_s: seconds without anything new that end a step; max_s: seconds that end it anyway."""

    idle_s: float = 30.0
    max_s: float = 600.0


@dg.op(pool="raw_deltas")
def to_the_lake(
    context: dg.OpExecutionContext,
    config: DrainConfig,
    settings: dg.ResourceParam[Settings],
    source: dg.ResourceParam[Source],
    stream: dg.ResourceParam[Stream],
    lakehouse: dg.ResourceParam[Lakehouse],
) -> None:
    """Land and merge, micro-batch after micro-batch."""
    platform = Platform(settings, source, stream=stream, lakehouse=lakehouse)
    half = ToTheLake(platform)
    _keep_on(context, config, platform, half)
    with told():
        half.require_tended()


@dg.op(pool="duckdb")
def to_the_marts(
    context: dg.OpExecutionContext,
    config: DrainConfig,
    settings: dg.ResourceParam[Settings],
    source: dg.ResourceParam[Source],
    lakehouse: dg.ResourceParam[Lakehouse],
) -> None:
    """Load and build what the lake has, as soon as it has it."""
    platform = Platform(settings, source, lakehouse=lakehouse)
    _keep_on(context, config, platform, ToTheMarts(platform))


def _keep_on(
    context: dg.OpExecutionContext,
    config: DrainConfig,
    platform: Platform,
    half: ToTheLake | ToTheMarts,
) -> None:
    with told():
        for synced in keep_on(half, idle=config.idle_s, most=config.max_s):
            for event in materializations(platform, synced):
                context.log_event(event)
            synced.require_success()


def materializations(platform: Platform, synced: Synced) -> Iterator[dg.AssetMaterialization]:
    """What a pass did, as the events that the live job would have logged."""
    catalog = platform.lakehouse.catalog
    if any(landed.deltas for landed in synced.landed):
        metadata = landing_metadata(open_deltas(catalog), list(synced.landed))
        yield dg.AssetMaterialization(DELTAS, metadata=metadata)
    by_name = {target.name: target for target in platform.targets}
    for merged in synced.merged:
        metadata = merge_metadata(catalog, by_name[merged.table], merged)
        yield dg.AssetMaterialization(lake_key(merged.table), metadata=metadata)
    for loaded in synced.loaded:
        metadata = without_nothing({"dagster/row_count": loaded.total, "rows_in": loaded.rows})
        yield dg.AssetMaterialization(replica_key(loaded.table), metadata=metadata)
    if synced.built:
        graph = read_graph(manifest_path(platform.settings))
        for node in synced.built.nodes:
            if node.unique_id in graph.models and node.status == "success":
                key = node_key(graph, node.unique_id)
                yield dg.AssetMaterialization(key, metadata={"seconds": round(node.seconds, 3)})
