"""The change feed of a lake table: the rows that changed since a snapshot, one a key.

What merges append is the feed; the warehouse loads just that and is spared every change that was
merged away. Compaction appends nothing new and is not in it.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table as Iceberg
from pyiceberg.table.snapshots import Snapshot

from smug_platform import iceberg
from smug_platform.iceberg.files import LakeFiles, project
from smug_platform.lake.columns import identifier
from smug_platform.lake.merge import REPLACED, kind_of, name_of
from smug_platform.lake.merged import COUNTS
from smug_platform.lake.target import Target


@dataclass(frozen=True)
class Relief:
    """What merging spared the warehouse: changes that arrived, and what became of them.

    deltas: that arrived; duplicates, identical, merged_away, stale: of those, that left nothing to
    write; written: rows that the warehouse gets.
    """

    deltas: int = 0
    duplicates: int = 0
    identical: int = 0
    merged_away: int = 0
    stale: int = 0
    written: int = 0

    def __add__(self, other: "Relief") -> "Relief":
        return Relief(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def to_json(self) -> str:
        """As text; the inverse of `Relief(**json.loads(text))`."""
        return json.dumps(asdict(self))


NO_RELIEF = Relief()


@dataclass(frozen=True)
class Feed:
    """Rows to bring a replica from snapshot `since` to snapshot `snapshot_id`.

    key: the columns that tell rows apart; rows: in the lake's columns that the warehouse takes, one
    row a key, tombstones included; full: the rows are the whole table and replace what the replica
    holds.
    """

    table: str
    key: tuple[str, ...]
    rows: pa.Table
    snapshot_id: int
    since: int | None
    full: bool
    relief: Relief = NO_RELIEF


@dataclass(frozen=True)
class Change:
    """What a replica at snapshot `since` lacks of a lake table that stands at `snapshot`.

    merges: the snapshots of merges after it, oldest first. full: the whole table has to be read,
    and the merges are those that are still known.
    """

    target: Target
    table: Iceberg
    snapshot: Snapshot
    since: int | None
    merges: tuple[Snapshot, ...]
    full: bool

    def added(self) -> list[list[DataFile]]:
        """The data files that each merge appended, in the merges' order."""
        return [iceberg.added_files(merge, self.table.io) for merge in self.merges]

    def lake(self) -> LakeFiles:
        """The live files of the snapshot."""
        return LakeFiles(self.table.io, self.table.schema(), self.snapshot)

    def schema(self) -> pa.Schema:
        """The lake's columns that the warehouse takes."""
        fields = self.table.schema().as_arrow()
        return pa.schema([field for field in fields if self.target.loads(field.name)])

    def rows(self) -> pa.Table:
        """What changed, one row a key, tombstones included, in the columns of `schema`."""
        schema = self.schema()
        if self.full:
            return self.lake().read(schema.names).select(schema.names)
        parts = [
            _ordered(project(self.table.io, file, schema), number)
            for number, files in enumerate(self.added())
            for file in files
        ]
        if len(parts) < 2:
            return parts[0].drop_columns(["_order"]) if parts else schema.empty_table()
        return _last(pa.concat_tables(parts), self.target)

    def relief(self, written: int) -> Relief:
        """Of the merges together. written: rows that are loaded for them."""
        total = dict.fromkeys(COUNTS, 0)
        for merge in self.merges:
            said = merge.summary.additional_properties if merge.summary else {}
            for name in COUNTS:
                total[name] += int(said.get(f"smug.{name}", 0))
        return Relief(**total, written=written)


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


def change(
    catalog: Catalog, target: Target, since: int | None, *, held: Collection[str] = ()
) -> Change | None:
    """What changed after snapshot `since`; None when nothing did. held: the replica's columns.

    The whole table when `since` is None or has expired, when a column was renamed after it, for the
    replica knows its columns by name, when other columns are declared for the warehouse than it
    has, or when the table was put in the place of what it was.
    """
    table = iceberg.load(catalog, name_of(target))
    current = table.current_snapshot() if table else None
    if table is None or current is None or current.snapshot_id == since:
        return None
    later, reached = _after(table, current, since)
    full = not reached or _renamed(table, since) or _chosen_anew(table, target, since, held)
    merges = tuple(one for one in later if kind_of(one) == "merge")
    return Change(target, table, current, since, merges, full)


def feed(
    catalog: Catalog, target: Target, since: int | None, *, held: Collection[str] = ()
) -> Feed | None:
    """What changed after snapshot `since`, read; None when nothing did. As `change` has it."""
    found = change(catalog, target, since, held=held)
    if found is None:
        return None
    rows, relief = found.rows(), found.relief
    return Feed(
        target.name,
        target.identity,
        rows,
        found.snapshot.snapshot_id,
        since,
        found.full,
        relief(rows.num_rows),
    )


def _after(table: Iceberg, current: Snapshot, since: int | None) -> tuple[Sequence[Snapshot], bool]:
    """The snapshots after `since`, oldest first, and whether the line to it is unbroken."""
    line: list[Snapshot] = []
    at: Snapshot | None = current
    while at is not None and at.snapshot_id != since:
        line.append(at)
        at = table.snapshot_by_id(at.parent_snapshot_id) if at.parent_snapshot_id else None
    is_broken = at is None or any(kind_of(one) == REPLACED for one in line)
    return line[::-1], not is_broken


def _renamed(table: Iceberg, since: int | None) -> bool:
    """Whether a column that the table had at `since` has another name now."""
    then = table.snapshot_by_id(since) if since is not None else None
    if then is None or then.schema_id is None:
        return False
    names = {field.field_id: field.name for field in table.schema().fields}
    before = table.schemas()[then.schema_id].fields
    return any(names.get(field.field_id, field.name) != field.name for field in before)


def _chosen_anew(table: Iceberg, target: Target, since: int | None, held: Collection[str]) -> bool:
    """Whether the replica has other columns of those that there were at `since` than it takes."""
    then = table.snapshot_by_id(since) if since is not None else None
    if not held or then is None or then.schema_id is None:
        return False
    names = {field.name for field in table.schema().fields}
    before = {field.name for field in table.schemas()[then.schema_id].fields} & names
    return any((name in held) != target.loads(name) for name in before)


def _ordered(rows: pa.Table, number: int) -> pa.Table:
    return rows.append_column("_order", pa.repeat(pa.scalar(number, pa.int32()), rows.num_rows))


def _last(rows: pa.Table, target: Target) -> pa.Table:
    """The last row of each key, by snapshot."""
    key = ", ".join(identifier(name) for name in target.identity)
    with duckdb.connect() as connection:
        connection.register("rows", rows.append_column("_i", pa.array(range(rows.num_rows))))
        last = connection.sql(f"select arg_max(_i, _order) as i from rows group by {key}")
        chosen = last.to_arrow_table()["i"].combine_chunks()
    return rows.take(chosen).drop_columns(["_order"])
