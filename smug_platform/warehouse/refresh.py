"""Bringing a replica to where its lake table stands: the feed, the gate, the load.

What the feed brings is not loaded when it would leave a key live twice: everything built on it
would count double. The gate looks only at the keys that changed, so it costs what changed.
"""

import duckdb
from pyiceberg.catalog import Catalog

from smug_platform.errors import LakeError
from smug_platform.lake.feed import Feed, feed
from smug_platform.lake.target import Target
from smug_platform.warehouse.ddl import quoted, replica
from smug_platform.warehouse.load import Loaded, columns, load, loaded, readable

_FEED = "_smug_gate"


def refresh(
    catalog: Catalog, connection: duckdb.DuckDBPyConnection, target: Target
) -> Loaded | None:
    """Load what changed in the lake table since the loaded snapshot; None when nothing did.

    Raises LakeError when a key would be there twice, WarehouseError as `load` does; the replica
    then stays as it was.
    """
    held = [column.name for column in columns(connection, target.name)]
    change = feed(catalog, target, loaded(connection).get(target.name), held=held)
    if change is None:
        return None
    connection.register(_FEED, change.rows)
    try:
        with readable(target.name):
            found = connection.execute(twice(target, change)).fetchall()
    finally:
        connection.unregister(_FEED)
    if found:
        raise LakeError(
            f"lake.{target.name} holds {found[0][0]} {found[0][1]} times, so it is not loaded",
            remedy="see the check keys_unique of the table, then rebuild it from raw.deltas",
        )
    return load(connection, change)


def twice(target: Target, change: Feed) -> str:
    """The query for what would be there twice: (key, how often), at most one row.

    Rows of the feed are told apart by their identity. Where a key is unique over all shards, it
    must also be live only once among the feed's rows and those of the replica that stay.
    """
    identity = ", ".join(quoted(name) for name in target.identity)
    copies = _group(identity, f"select {identity} from {_FEED}")
    if target.table.key_scope != "global" or target.history:
        return copies
    key = ", ".join(quoted(name) for name in target.table.key)
    live = f"select {key} from {_FEED} where not _is_deleted"
    if not change.full:
        live += (
            f"\n  union all select {key} from {replica(target.name)}"
            f"\n  where not _is_deleted and ({key}) in (select ({key}) from {_FEED})"
            f" and ({identity}) not in (select ({identity}) from {_FEED})"
        )
    return f"({copies})\nunion all\n({_group(key, live)})\nlimit 1"


def _group(columns: str, rows: str) -> str:
    return (
        f"select cast(({columns}) as varchar) as place, count(*) as n from (\n  {rows}\n)"
        f" group by {columns} having count(*) > 1 limit 1"
    )
