"""Bringing a replica to where its lake table stands: the gate before it, the feed, the load.

A lake table that holds a key twice is not loaded: everything built on it would count double.
"""

from collections.abc import Sequence

import duckdb
from pyiceberg.catalog import Catalog

from smug_platform.lake.feed import current_snapshots, feed
from smug_platform.lake.target import Target
from smug_platform.lake.verify import require_unique
from smug_platform.warehouse.load import Loaded, load, loaded


def unloaded(
    catalog: Catalog, connection: duckdb.DuckDBPyConnection, targets: Sequence[Target]
) -> dict[str, int | None]:
    """The tables whose lake snapshot is not the loaded one, with the loaded one."""
    held = loaded(connection)
    current = current_snapshots(catalog, tuple(targets))
    return {name: held.get(name) for name, now in current.items() if held.get(name) != now}


def refresh(
    catalog: Catalog, connection: duckdb.DuckDBPyConnection, target: Target
) -> Loaded | None:
    """Load what changed in the lake table since the loaded snapshot; None when nothing did.

    Raises LakeError when the lake table holds a key twice, WarehouseError as `load` does; the
    replica then stays as it was.
    """
    change = feed(catalog, target, loaded(connection).get(target.name))
    if change is None:
        return None
    require_unique(catalog, target)
    return load(connection, change)
