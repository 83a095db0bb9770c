"""The source's shards in Dagster: external assets, so that the graph begins where data does."""

import dagster as dg

from smug_platform.settings import Settings
from smug_platform.tables.table import Source


def shard_key(name: str) -> dg.AssetKey:
    """The asset of a source shard."""
    return dg.AssetKey(["mysql", name])


def shard_assets(settings: Settings, source: Source) -> list[dg.AssetSpec]:
    """One asset a source shard."""
    return [
        dg.AssetSpec(
            shard_key(shard.name),
            group_name="sources",
            kinds={"mysql"},
            owners=["team:platform"],
            tags={"layer": "source"},
            description=(
                f"One shard of the {source.database} database: {len(source.tables)} tables, "
                "read by Debezium from the binlog."
            ),
            metadata={"dagster/uri": f"mysql://{shard.host}:{shard.port}/{source.database}"},
        )
        for shard in settings.shards
    ]
