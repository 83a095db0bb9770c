"""The reconciliation: source equals lake equals warehouse, row by row by hash, at a position.

Each shard is read in one consistent view whose binlog position is known; then the platform is
given time to bring everything before that position through; then rows are compared by key and
hash. Rows that changed after the position are left out, so it may run while the source is written
to. What differs is then looked at again at a later position, since of a table without a key no row
says when it changed: only what differs at every look is a difference. A row whose position is
after where the source stands once the replicas have been read was not changed since: it holds what
the source never wrote, or of a numbering that capture is not in.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table as Iceberg

from smug_platform import iceberg
from smug_platform.capture.position import Position
from smug_platform.errors import SmugError, SourceError, WarehouseError
from smug_platform.lake.merge import STATE, name_of
from smug_platform.lake.state import State
from smug_platform.lake.target import Target
from smug_platform.oracle.arrival import (
    Cut,
    NotArrived,
    Stage,
    await_arrival,
    capture_states,
    is_ahead,
)
from smug_platform.oracle.canonical import apart
from smug_platform.oracle.compare import (
    MAX_SHOWN,
    Slice,
    beyond,
    compare,
    load_lake,
    load_source,
    load_warehouse,
)
from smug_platform.oracle.differ import Difference, differences
from smug_platform.oracle.shard import View, ViewLost, open_view
from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import Settings
from smug_platform.tables.table import Source, Table
from smug_platform.warehouse.connect import connect

_LOOKS = 4
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Comparison:
    """One table of one shard on three sides.

    position: at which the source was read. rows: of the source; late: keys left out because they
    changed after the position; different: keys that differ; differences: what differs in the
    first of them. seconds: of reading and comparing, without the wait for arrival.
    """

    table: str
    shard: str
    position: Position
    rows: int
    late: int
    different: int
    seconds: float
    differences: tuple[Difference, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether the three sides hold the same."""
        return self.different == 0


def reconcile(
    settings: Settings,
    source: Source,
    *,
    tables: Iterable[str] | None = None,
    timeout: float = 60.0,
    progress: Callable[[Comparison], None] | None = None,
) -> list[Comparison]:
    """Compare tables of all shards with the lake and the warehouse: one Comparison for each pair.

    tables: names, all when None. timeout: seconds that what the source holds may take to arrive.
    progress: gets each comparison when it is done; one that is looked at again comes again.

    Raises SettingsError without shards, SourceError when one can't be read or lacks a declared
    table, NotArrived when something has not come through in time: nothing was compared then.
    """
    settings.require_shards()
    if settings.redshift:
        raise WarehouseError(
            "rows are compared with replicas in DuckDB, and the warehouse is Redshift",
            remedy="see `smug status` for what is loaded, and the check keys_unique of each table",
        )
    names = None if tables is None else set(tables)
    chosen = [table for table in source.tables if names is None or table.name in names]
    if unknown := (names or set()) - {table.name for table in chosen}:
        known = ", ".join(sorted(table.name for table in source.tables))
        raise SmugError(
            f"no table {min(unknown)!r} is declared", remedy=f"name one of these: {known}"
        )
    run = _Run(settings, source.database, open_catalog(settings), timeout)
    pairs = [(table, shard.name) for table in chosen for shard in settings.shards]
    left = pairs
    for _ in range(_LOOKS):
        left = run.look(left, progress or (lambda _: None))
    if left and (lost := [pair for pair in left if _name(pair) not in run.found]):
        raise SourceError(
            f"{lost[0][1]}: table {lost[0][0].name} was altered at each try to read it",
            remedy="verify again when that has ended",
        )
    return [run.found[_name(pair)] for pair in pairs]


@dataclass(frozen=True)
class Ahead:
    """Rows of a replica that stand after all that the source has written."""

    keys: int
    difference: Difference


def find_ahead(connection: duckdb.DuckDBPyConnection, now: Cut) -> Ahead | None:
    """The rows after `now`, on a connection in which the sides were compared; None without any."""
    keys, lake, warehouse = beyond(connection, now.position.ordinal)
    if not keys:
        return None
    sides = (str(Position.from_ordinal(last)) if last else "-" for last in (lake, warehouse))
    return Ahead(keys, Difference(f"{keys:,} rows", "_position", f"is only at {now}", *sides))


_Pair = tuple[Table, str]


def _name(pair: _Pair) -> tuple[str, str]:
    return pair[0].name, pair[1]


@dataclass
class _Run:
    """One reconciliation, and what its looks have found so far."""

    settings: Settings
    database: str
    catalog: Catalog
    timeout: float
    found: dict[tuple[str, str], Comparison] = field(default_factory=dict)
    keys: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    cuts: dict[str, Cut] = field(default_factory=dict)

    def look(self, pairs: Sequence[_Pair], progress: Callable[[Comparison], None]) -> list[_Pair]:
        """Compare; returns what is to be looked at again: what differs, or could not be read.

        A shard that stands where it stood at the last look would show the same.
        """
        if not pairs:
            return []
        left = []
        with ExitStack() as stack:
            views = self._open(sorted({shard for _, shard in pairs}), stack)
            again = [
                pair
                for pair in pairs
                if views[pair[1]][1] != self.cuts.get(pair[1]) or _name(pair) not in self.found
            ]
            self.cuts |= {shard: cut for shard, (_, cut) in views.items()}
            targets = [Target(table) for table in dict.fromkeys(table for table, _ in again)]
            cuts = [views[shard][1] for shard in sorted({shard for _, shard in again})]
            await_arrival(self.settings, self.catalog, targets, cuts, timeout=self.timeout)
            for table, shard in again:
                try:
                    comparison = self._compare(table, *views[shard])
                except ViewLost:
                    left.append((table, shard))
                    continue
                self.found[table.name, shard] = comparison
                progress(comparison)
                if not comparison.equal:
                    left.append((table, shard))
        return left

    def _open(self, shards: Sequence[str], stack: ExitStack) -> dict[str, tuple[View, Cut]]:
        """A view of each shard, and where it stands in the numbering that capture goes by."""
        deadline = time.monotonic() + self.timeout
        by_name = {shard.name: shard for shard in self.settings.shards}
        while True:
            states = capture_states(self.settings)
            with ExitStack() as views:
                opened = {
                    name: views.enter_context(open_view(by_name[name], self.database))
                    for name in shards
                }
                stale = [
                    name
                    for name, view in opened.items()
                    if name not in states or is_ahead(states[name], view.file, view.offset)
                ]
                if not stale:
                    stack.push(views.pop_all())
                    return {
                        name: (view, Cut(name, states[name].epoch, view.file, view.offset))
                        for name, view in opened.items()
                    }
            if time.monotonic() > deadline:
                raise NotArrived(Stage("captured", ", ".join(stale)), self.timeout)
            time.sleep(_PAUSE_SECONDS)

    def _compare(self, table: Table, view: View, cut: Cut) -> Comparison:
        started = time.perf_counter()
        lake = iceberg.load(self.catalog, name_of(Target(table)))
        part = self._slice(table, view, cut, lake)
        with ExitStack() as stack:
            connection = stack.enter_context(duckdb.connect())
            load_source(connection, view.hashes(table, part.columns), len(apart(part.columns)))
            load_lake(connection, lake, part)
            warehouse = None
            if self.settings.warehouse_path.exists():
                warehouse = stack.enter_context(connect(self.settings, read_only=True))
            load_warehouse(connection, warehouse, part)
            counted = compare(connection)
            keys = counted.different & self.keys.get((table.name, cut.shard), counted.different)
            self.keys[table.name, cut.shard] = keys
            first = sorted(keys)[:MAX_SHOWN]
            sides = (view, lake, warehouse)
            shown = differences(connection, part, first, sides) if first else []
            # Asked once the replicas have been read: the source is at least where they are.
            ahead = find_ahead(connection, self._now(cut.shard, view)) if counted.late else None
        return Comparison(
            table.name,
            cut.shard,
            Position(cut.epoch, cut.file, cut.offset),
            counted.rows,
            counted.late,
            len(keys) + (ahead.keys if ahead else 0),
            time.perf_counter() - started,
            (*([ahead.difference] if ahead else []), *shown),
        )

    def _now(self, shard: str, view: View) -> Cut:
        """Where the shard stands at this moment."""
        epoch = capture_states(self.settings)[shard].epoch
        return Cut(shard, epoch, *view.now())

    def _slice(self, table: Table, view: View, cut: Cut, lake: Iceberg | None) -> Slice:
        columns = tuple(view.columns(table))
        if not columns:
            raise SourceError(
                f"{cut.shard}: table {self.database}.{table.name} is declared, the source lacks it",
                remedy="create it, or take it out of smug_platform/tables",
            )
        # The lake renames a column when one shard does; another shard may have the old name still.
        text = lake.properties.get(STATE) if lake else None
        state = State.from_json(text) if text else State()
        aliases = {column.name: state.alias(column.name) for column in columns}
        return Slice(table, cut.shard, columns, cut.position.ordinal, aliases)
