"""The change feed of a lake table: the rows that changed since a snapshot, one a key.

What merges append is the feed; the warehouse loads just that and is spared every change that was
merged away. Compaction appends nothing new and is not in it.
"""

from dataclasses import dataclass

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import DataFileContent
from pyiceberg.table import Table as Iceberg
from pyiceberg.table.snapshots import Snapshot

from smug_platform import iceberg
from smug_platform.iceberg.files import LakeFiles, project
from smug_platform.lake.columns import identifier
from smug_platform.lake.merge import REPLACED, kind_of, name_of
from smug_platform.lake.target import Target


@dataclass(frozen=True)
class Feed:
    """Rows to bring a replica from snapshot `since` to snapshot `snapshot_id`.

    key: the columns that tell rows apart; rows: all lake columns, one row a key, tombstones
    included; full: the rows are the whole table and replace what the replica holds.
    """

    table: str
    key: tuple[str, ...]
    rows: pa.Table
    snapshot_id: int
    since: int | None
    full: bool


def current_snapshots(catalog: Catalog, targets: tuple[Target, ...]) -> dict[str, int]:
    """The snapshot at which each lake table stands; tables without one are left out."""
    tables = iceberg.load_all(catalog, [name_of(target) for target in targets])
    found = {}
    for target in targets:
        table = tables.get(name_of(target))
        snapshot = table.current_snapshot() if table else None
        if snapshot:
            found[target.name] = snapshot.snapshot_id
    return found


def feed(catalog: Catalog, target: Target, since: int | None) -> Feed | None:
    """What changed after snapshot `since`; None when nothing did.

    The whole table when `since` is None or has expired, when a column was renamed after it, for the
    replica knows its columns by name, or when the table was put in the place of what it was.
    """
    table = iceberg.load(catalog, name_of(target))
    current = table.current_snapshot() if table else None
    if table is None or current is None or current.snapshot_id == since:
        return None
    later = None if _renamed(table, since) else _after(table, current, since)
    rows = _whole(table, current) if later is None else _changed(table, target, later)
    return Feed(target.name, target.identity, rows, current.snapshot_id, since, full=later is None)


def _after(table: Iceberg, current: Snapshot, since: int | None) -> list[Snapshot] | None:
    """The snapshots after `since`, oldest first; None where the line to it is broken."""
    line: list[Snapshot] = []
    at: Snapshot | None = current
    while at is not None and at.snapshot_id != since:
        line.append(at)
        at = table.snapshot_by_id(at.parent_snapshot_id) if at.parent_snapshot_id else None
    is_broken = at is None or any(kind_of(one) == REPLACED for one in line)
    return None if is_broken else line[::-1]


def _renamed(table: Iceberg, since: int | None) -> bool:
    """Whether a column that the table had at `since` has another name now."""
    then = table.snapshot_by_id(since) if since is not None else None
    if then is None or then.schema_id is None:
        return False
    names = {field.field_id: field.name for field in table.schema().fields}
    before = table.schemas()[then.schema_id].fields
    return any(names.get(field.field_id, field.name) != field.name for field in before)


def _whole(table: Iceberg, current: Snapshot) -> pa.Table:
    names = [field.name for field in table.schema().fields]
    return LakeFiles(table.io, table.schema(), current).read(names).select(names)


def _changed(table: Iceberg, target: Target, later: list[Snapshot]) -> pa.Table:
    schema = table.schema().as_arrow()
    parts = []
    for number, snapshot in enumerate(later):
        if kind_of(snapshot) != "merge":
            continue
        for manifest in snapshot.manifests(table.io):
            if manifest.added_snapshot_id != snapshot.snapshot_id:
                continue
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                added = entry.snapshot_id == snapshot.snapshot_id
                if added and entry.data_file.content == DataFileContent.DATA:
                    part = project(table.io, entry.data_file, schema)
                    order = pa.repeat(pa.scalar(number, pa.int32()), part.num_rows)
                    parts.append(part.append_column("_order", order))
    if len(parts) < 2:
        return parts[0].drop_columns(["_order"]) if parts else schema.empty_table()
    return _last(pa.concat_tables(parts), target)


def _last(rows: pa.Table, target: Target) -> pa.Table:
    """The last row of each key, by snapshot."""
    key = ", ".join(identifier(name) for name in target.identity)
    with duckdb.connect() as connection:
        connection.register("rows", rows.append_column("_i", pa.array(range(rows.num_rows))))
        last = connection.sql(f"select arg_max(_i, _order) as i from rows group by {key}")
        chosen = last.to_arrow_table()["i"].combine_chunks()
    return rows.take(chosen).drop_columns(["_order"])
