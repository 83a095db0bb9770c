"""How far everything has come: read from committed positions and counts, nothing is started.

A part that can't be reached leaves its place empty: status is what people look at when something
is down. Nothing here is fast at a large scale; rows are counted by reading one or two columns.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table as Iceberg

from smug_platform import iceberg
from smug_platform.capture import server
from smug_platform.capture.filters import masked
from smug_platform.capture.position import Position
from smug_platform.capture.resources import open_store
from smug_platform.capture.retention import Gauge, read_gauge
from smug_platform.capture.sink import Heat
from smug_platform.capture.status import Status
from smug_platform.capture.store import Lease, Store
from smug_platform.errors import SmugError
from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake.compact import Debt, debt
from smug_platform.lake.drift import SchemaBehind, told
from smug_platform.lake.feed import NO_RELIEF, Relief
from smug_platform.lake.merge import merged_sequence, name_of, state_of
from smug_platform.lake.target import Target, targets
from smug_platform.local.stack import Part
from smug_platform.local.stack import status as parts_of
from smug_platform.raw import deltas as raw
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.quarantine import counts as quarantine_counts
from smug_platform.settings import Settings, Shard
from smug_platform.tables.table import Source
from smug_platform.warehouse.load import Load
from smug_platform.warehouse.open import is_there, open_warehouse

_LATE_SECONDS = 60.0
_FRESH_SECONDS = 15.0  # capture writes its status once a second while it runs


@dataclass(frozen=True)
class ShardStatus:
    """One source shard. source: binlog file and offset that it writes next, None when it does not
    answer; captured: the last published change; lag: seconds, None when capture does not run.
    lease: of the worker that has it, None before the first. binlog: that it needs next, None where
    that can't be told. heat: how evenly it wrote the stream lately. reading: the table
    that is read anew, and how far it is; asked: the tables that are to be. behind_since: as of when
    its changes have come, None where that is just now or never was. passed_over: statements unread.
    """

    name: str
    source: str | None
    captured: Position | None
    phase: str
    rate: float
    lag: float | None
    note: str
    lease: Lease | None = None
    binlog: Gauge | None = None
    heat: Heat | None = None
    reading: str = ""
    asked: Sequence[str] = ()
    behind_since: datetime | None = None
    passed_over: int = 0


@dataclass(frozen=True)
class TableStatus:
    """One lake table's rows of one shard.

    position: of the last change in the lake. raw: deltas; lake, warehouse: live rows, None where
    there is no table yet. behind: deltas that wait for their merge. lag: seconds since the source
    committed the oldest change that has landed and waits for its merge or its load; 0 when none
    does, None when nothing has landed.
    """

    shard: str
    table: str
    position: Position | None
    raw: int
    lake: int | None
    warehouse: int | None
    behind: int
    lag: float | None


@dataclass(frozen=True)
class PlatformStatus:
    """Everything at one moment. quarantine: entries by source table; debts: what reads of a lake
    table pay for its merges; behind: shards that lack something of a table's union schema. relief:
    what merging spared the warehouse; rejected: rows by table that it can't take.
    """

    parts: Sequence[Part]
    shards: Sequence[ShardStatus]
    tables: Sequence[TableStatus]
    quarantine: dict[str, int]
    debts: dict[str, Debt]
    note: str = ""
    behind: Sequence[SchemaBehind] = ()
    relief: Relief = NO_RELIEF
    rejected: Mapping[str, int] = field(default_factory=dict)


def platform_status(settings: Settings, source: Source) -> PlatformStatus:
    """Where everything stands; a part that can't be reached is left out, and the note says why."""
    parts = parts_of(settings) if settings.is_local else []
    store, leases = open_store(settings), dict[str, Lease]()
    with suppress(SmugError):
        leases = store.leases()
    shards = [_shard(store, shard, leases.get(shard.name)) for shard in settings.shards]
    if settings.is_local and not (settings.home / "lake" / "catalog.db").exists():
        return PlatformStatus(parts, shards, [], {}, {}, "nothing has landed yet")
    catalog = open_catalog(settings)
    all_targets = targets(source)
    replicas, rejected, note = _replicas(settings, all_targets)
    return PlatformStatus(
        parts,
        shards,
        _tables(settings, catalog, all_targets, replicas),
        quarantine_counts(catalog),
        {target.name: debt(catalog, target) for target in all_targets},
        note,
        _behind(catalog, all_targets),
        sum((each.load.relief for each in replicas.values()), NO_RELIEF),
        rejected,
    )


def _behind(catalog: Catalog, all_targets: Sequence[Target]) -> list[SchemaBehind]:
    return [
        behind
        for target in all_targets
        if not target.history
        for behind in told(target.name, state_of(iceberg.load(catalog, name_of(target))).behind)
    ]


def _shard(store: Store, shard: Shard, lease: Lease | None) -> ShardStatus:
    found, source, binlog, now = None, None, None, datetime.now(UTC).timestamp()
    asked: tuple[str, ...] = ()
    with suppress(SmugError):
        found, some = store.status(shard.name), store.filtered(shard.name)
        rows = (f"{one.table} where {masked(one.where)}" for one in some)
        asked = (*store.asked(shard.name), *rows)
    with suppress(SmugError), server.connect(shard) as connection:
        source = "{}:{}".format(*server.newest_position(connection))
        binlog = read_gauge(connection, store.state(shard.name), now=now)
    if found is None:
        never = ShardStatus(shard.name, source, None, "never captured", 0.0, None, "", lease)
        return replace(never, asked=asked)
    runs = now - found.updated_at < _FRESH_SECONDS and found.phase not in {"stopped", "failed"}
    phase = found.phase if runs or found.phase == "failed" else "stopped"
    return ShardStatus(
        shard.name,
        source,
        found.position,
        phase,
        found.rate if runs else 0.0,
        found.lag if runs else None,
        found.note, lease, binlog,
        found.heat if runs else None,
        found.reading if runs else "",
        asked,
        _behind_since(found, now, runs=runs),
        found.passed_over,
    )  # fmt: skip


def _behind_since(found: Status, now: float, *, runs: bool) -> datetime | None:
    if runs:
        return datetime.fromtimestamp(now - found.lag, UTC) if found.lag > _LATE_SECONDS else None
    return datetime.fromtimestamp(found.heard_at, UTC) if found.heard_at else None


@dataclass(frozen=True)
class _Deltas:
    """Those of one shard in one file of raw. sequence: of the commit that landed them; oldest:
    when the source committed the first of them.
    """

    sequence: int
    rows: int
    oldest: datetime | None


@dataclass(frozen=True)
class _Rows:
    """Those of one shard in a lake table. unloaded: when the source committed the oldest change
    that the replica lacks.
    """

    live: int = 0
    position: Position | None = None
    unloaded: datetime | None = None


@dataclass(frozen=True)
class _Replica:
    """A table of the warehouse. rows: live ones, by shard."""

    load: Load
    rows: Mapping[str, int]


def _tables(
    settings: Settings,
    catalog: Catalog,
    all_targets: Sequence[Target],
    replicas: Mapping[str, _Replica],
) -> list[TableStatus]:
    landed, now = _landed(catalog), datetime.now(UTC)
    found = []
    for target in all_targets:
        if target.history:
            continue
        table, replica = iceberg.load(catalog, name_of(target)), replicas.get(target.name)
        lake = {} if table is None else _lake_rows(table, replica.load if replica else None)
        for shard in settings.shards:
            deltas = landed.get((target.table.name, shard.name), [])
            waiting = [each for each in deltas if each.sequence > merged_sequence(table)]
            rows = lake.get(shard.name, _Rows())
            times = [*(each.oldest for each in waiting), rows.unloaded if replica else None]
            found.append(
                TableStatus(
                    shard.name,
                    target.name,
                    rows.position,
                    raw=sum(each.rows for each in deltas),
                    lake=None if table is None else rows.live,
                    warehouse=replica.rows.get(shard.name, 0) if replica else None,
                    behind=sum(each.rows for each in waiting),
                    lag=max(_age(each, now) for each in times) if deltas else None,
                )
            )
    return found


def _age(since: datetime | None, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0) if since else 0.0


def _landed(catalog: Catalog) -> dict[tuple[str, str], list[_Deltas]]:
    """The deltas in raw, by table and shard."""
    deltas = raw.open_deltas(catalog)
    found: dict[tuple[str, str], list[_Deltas]] = {}
    for file in raw.delta_files(deltas):
        rows = raw.read_columns(deltas, file, ["shard", "committed_at"])
        counted = rows.group_by("shard").aggregate([([], "count_all"), ("committed_at", "min")])
        for row in counted.to_pylist():
            inside = _Deltas(file.sequence, row["count_all"], row["committed_at_min"])
            found.setdefault((file.table, row["shard"]), []).append(inside)
    return found


def _lake_rows(table: Iceberg, load: Load | None) -> dict[str, _Rows]:
    """What a lake table holds of each shard. load: where its replica stands."""
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    rows = files.read(["_shard", "_position", "_is_deleted", "_committed_at"])
    is_loaded = load is not None and load.snapshot_id == files.snapshot_id
    found = {}
    for shard in pc.unique(rows["_shard"]).to_pylist():
        mine = rows.filter(pc.equal(rows["_shard"], shard))
        reached = Decimal(load.positions.get(shard, 0) if load else 0)
        new = mine.filter(pc.greater(mine["_position"], pa.scalar(reached, pa.decimal128(38, 0))))
        found[shard] = _Rows(
            pc.sum(pc.invert(mine["_is_deleted"])).as_py() or 0,
            Position.from_ordinal(int(pc.max(mine["_position"]).as_py())),
            None if is_loaded else pc.min(new["_committed_at"]).as_py(),
        )
    return found


def _replicas(
    settings: Settings, all_targets: Sequence[Target]
) -> tuple[dict[str, _Replica], Mapping[str, int], str]:
    """The warehouse's tables, the rows that it can't take, and what there is to say of it."""
    if not is_there(settings):
        return {}, {}, "nothing is loaded yet"
    found: dict[str, _Replica] = {}
    try:
        with open_warehouse(settings, read_only=True, wait=2.0) as warehouse:
            held = {load.table: load for load in warehouse.loads()}
            for name in held.keys() & {target.name for target in all_targets}:
                rows = warehouse.ask(
                    f'select _shard, count(*) from warehouse."{name}"'
                    " where not _is_deleted group by _shard"
                )
                found[name] = _Replica(held[name], dict(rows))
            rejected = warehouse.rejected()
    except SmugError as error:
        return {}, {}, str(error)
    return found, rejected, ""
