"""The stream in Dagster: an external asset, written by the capture workers."""

import dagster as dg

from smug_platform.settings import Settings

CHANGES = dg.AssetKey(["stream", "changes"])


def stream_assets(settings: Settings) -> list[dg.AssetSpec]:
    """The stream of all changes of all shards."""
    return [
        dg.AssetSpec(
            CHANGES,
            deps=[dg.AssetKey(["mysql", shard.name]) for shard in settings.shards],
            group_name="stream",
            kinds={"kinesis"},
            owners=["team:platform"],
            tags={"layer": "stream"},
            description="One record a batch of changes; each lane holds its keys in source order.",
            metadata={"dagster/uri": f"kinesis://{settings.stream.region}/{settings.stream.name}"},
        )
    ]
