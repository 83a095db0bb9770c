"""How far everything has come: read from committed positions and counts, nothing is started.

A part that can't be reached leaves its place empty: status is what people look at when something
is down. Nothing here is fast at a large scale; rows are counted by reading one or two columns.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.capture import server
from smug_platform.capture.position import Position
from smug_platform.capture.status import load_status
from smug_platform.errors import SmugError
from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake.compact import Debt, debt
from smug_platform.lake.merge import name_of, pending
from smug_platform.lake.target import Target, targets
from smug_platform.local.stack import Part
from smug_platform.local.stack import status as parts_of
from smug_platform.raw import deltas as raw
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.quarantine import counts as quarantine_counts
from smug_platform.settings import Settings, Shard
from smug_platform.tables.table import Source
from smug_platform.warehouse.connect import connect

_FRESH_SECONDS = 15.0  # capture writes its status once a second while it runs


@dataclass(frozen=True)
class ShardStatus:
    """One source shard. source: binlog file and offset that it writes next, None when it does not
    answer; captured: the last published change; lag: seconds, None when capture does not run.
    """

    name: str
    source: str | None
    captured: Position | None
    phase: str
    rate: float
    lag: float | None
    note: str


@dataclass(frozen=True)
class TableStatus:
    """One lake table's rows of one shard.

    position: of the last change in the lake. raw: deltas; lake, warehouse: live rows, None where
    there is no table yet.
    """

    shard: str
    table: str
    position: Position | None
    raw: int
    lake: int | None
    warehouse: int | None


@dataclass(frozen=True)
class PlatformStatus:
    """Everything at one moment. behind: deltas that wait for their merge, by lake table;
    quarantine: entries by source table; debts: what reads of a lake table pay for its merges.
    """

    parts: Sequence[Part]
    shards: Sequence[ShardStatus]
    tables: Sequence[TableStatus]
    behind: dict[str, int]
    quarantine: dict[str, int]
    debts: dict[str, Debt]
    note: str = ""


def platform_status(settings: Settings, source: Source) -> PlatformStatus:
    """Where everything stands; a part that can't be reached is left out, and the note says why."""
    parts = parts_of(settings) if settings.is_local else []
    shards = [_shard(settings, shard) for shard in settings.shards]
    if settings.is_local and not (settings.home / "lake" / "catalog.db").exists():
        return PlatformStatus(parts, shards, [], {}, {}, {}, "nothing has landed yet")
    catalog = open_catalog(settings)
    all_targets = targets(source)
    warehouse, note = _warehouse_rows(settings, all_targets)
    return PlatformStatus(
        parts,
        shards,
        _tables(settings, catalog, all_targets, warehouse),
        pending(catalog, all_targets),
        quarantine_counts(catalog),
        {target.name: debt(catalog, target) for target in all_targets},
        note,
    )


def _shard(settings: Settings, shard: Shard) -> ShardStatus:
    found = load_status(settings.capture_dir(shard.name))
    source = None
    with suppress(SmugError), server.connect(shard) as connection:
        source = "{}:{}".format(*server.newest_position(connection))
    if found is None:
        return ShardStatus(shard.name, source, None, "never captured", 0.0, None, "")
    age = datetime.now(UTC).timestamp() - found.updated_at
    runs = age < _FRESH_SECONDS and found.phase not in {"stopped", "failed"}
    phase = found.phase if runs or found.phase == "failed" else "stopped"
    return ShardStatus(
        shard.name,
        source,
        found.position,
        phase,
        found.rate if runs else 0.0,
        found.lag if runs else None,
        found.note,
    )


def _tables(
    settings: Settings,
    catalog: Catalog,
    all_targets: Sequence[Target],
    warehouse: dict[tuple[str, str], int],
) -> list[TableStatus]:
    landed = _raw_rows(catalog)
    loaded = {table for table, _ in warehouse}
    found = []
    for target in all_targets:
        if target.history:
            continue
        lake = _lake_rows(catalog, target)
        for shard in settings.shards:
            key = (target.name, shard.name)
            rows, position = (lake or {}).get(shard.name, (0, None))
            found.append(
                TableStatus(
                    shard.name,
                    target.name,
                    position,
                    landed[key],
                    None if lake is None else rows,
                    warehouse.get(key, 0) if target.name in loaded else None,
                )
            )
    return found


def _raw_rows(catalog: Catalog) -> Counter[tuple[str, str]]:
    """Deltas by table and shard."""
    found: Counter[tuple[str, str]] = Counter()
    columns = ("table_name", "shard")
    for batch in raw.open_deltas(catalog).scan(selected_fields=columns).to_arrow_batch_reader():
        counted = pa.table(batch).group_by(list(columns)).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            found[row["table_name"], row["shard"]] += row["count_all"]
    return found


def _lake_rows(catalog: Catalog, target: Target) -> dict[str, tuple[int, Position | None]] | None:
    """Live rows and the last position of each shard; None when there is no such table."""
    table = iceberg.load(catalog, name_of(target))
    if table is None:
        return None
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    rows = files.read(["_shard", "_position", "_deleted"])
    live = pc.cast(pc.invert(rows["_deleted"]), pa.int64())
    grouped = (
        pa.table([rows["_shard"], rows["_position"], live], names=["shard", "position", "live"])
        .group_by("shard")
        .aggregate([("live", "sum"), ("position", "max")])
    )
    return {
        row["shard"]: (row["live_sum"] or 0, Position.from_ordinal(int(row["position_max"])))
        for row in grouped.to_pylist()
    }


def _warehouse_rows(
    settings: Settings, all_targets: Sequence[Target]
) -> tuple[dict[tuple[str, str], int], str]:
    """Live rows by table and shard; a table that is there and empty counts under shard ''."""
    if settings.warehouse != "duckdb" or not settings.warehouse_path.exists():
        return {}, "nothing is loaded yet"
    found: dict[tuple[str, str], int] = {}
    try:
        with connect(settings, read_only=True, wait=2.0) as connection:
            names = connection.execute(
                "select table_name from duckdb_tables() where schema_name = 'warehouse'"
            ).fetchall()
            for name in {str(row[0]) for row in names} & {target.name for target in all_targets}:
                found[name, ""] = 0
                rows = connection.execute(
                    f'select _shard, count(*) from warehouse."{name}"'
                    " where not _deleted group by _shard"
                ).fetchall()
                found |= {(name, str(shard)): int(count) for shard, count in rows}
    except SmugError as error:
        return {}, str(error)
    return found, ""
