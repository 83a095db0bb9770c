"""Is a lake table right: no row twice, and every landed delta merged.

These read what the commits left and share nothing with the merge that made it but the columns that
tell rows apart.
"""

from dataclasses import dataclass

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table as Iceberg

from smug_platform import iceberg
from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake.columns import identifier
from smug_platform.lake.merge import merged_sequence, name_of
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw

_KNOWN: "dict[str, tuple[int, Keys]]" = {}  # of a snapshot that never changes


@dataclass(frozen=True)
class Keys:
    """What a look at the keys of one snapshot found.

    copies: rows beyond the first of their identity; live_twice: keys that are live more than
    once although they are unique over all shards; sample: one of either, for people.
    """

    rows: int = 0
    copies: int = 0
    live_twice: int = 0
    sample: str = ""

    @property
    def unique(self) -> bool:
        """True when nothing is there twice."""
        return not self.copies and not self.live_twice


def check_keys(catalog: Catalog, target: Target) -> Keys:
    """Whether the table holds each row once, and each global key live once over all shards.

    Reads the key columns of the whole table, once a snapshot and process: 0.1 s for a million
    rows.
    """
    table = iceberg.load(catalog, name_of(target))
    snapshot = table.current_snapshot() if table else None
    if table is None or snapshot is None:
        return Keys()
    known = _KNOWN.get(str(table.metadata.table_uuid))
    if known is None or known[0] != snapshot.snapshot_id:
        keys = _look(table, target)
        known = _KNOWN[str(table.metadata.table_uuid)] = (snapshot.snapshot_id, keys)
    return known[1]


def waiting(catalog: Catalog, deltas: Iceberg, target: Target) -> int:
    """Deltas of the target that `deltas` holds, as it was when it was opened, and the lake not."""
    after = merged_sequence(iceberg.load(catalog, name_of(target)))
    name = target.table.name
    return sum(file.rows for file in raw.delta_files(deltas, after) if file.table == name)


def _look(table: Iceberg, target: Target) -> Keys:
    names = [*target.identity, "_is_deleted"]
    rows = LakeFiles(table.io, table.schema(), table.current_snapshot()).read(names)
    everywhere = target.table.key_scope == "global" and not target.history
    with duckdb.connect() as connection:
        connection.register("lake", rows)
        copies, one = _twice(connection, target.identity, "true")
        live, other = (
            _twice(connection, target.table.key, "not _is_deleted") if everywhere else (0, "")
        )
    return Keys(rows.num_rows, copies, live, one or other)


def _twice(
    connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...], where: str
) -> tuple[int, str]:
    """How many rows are beyond the first of their key, and one such key."""
    names = [identifier(name) for name in columns]
    place = ", ".join(f"{name}: {name}" for name in names)
    found = connection.execute(
        "select sum(n - 1)::bigint, any_value(place) from ("
        f"select count(*) as n, any_value({{{place}}}) as place from lake where {where} "
        f"group by {', '.join(names)} having count(*) > 1)"
    ).fetchall()
    number, sample = found[0]
    return number or 0, ", ".join(f"{k}={v}" for k, v in sample.items()) if sample else ""
