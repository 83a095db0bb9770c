"""A lake with a table of many rows, made fast, as a first snapshot of the source leaves it."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog

from bench.changes import Changes
from bench.shapes import SHARD, SHARDS, Shape
from smug_platform import iceberg
from smug_platform.capture.position import Position
from smug_platform.iceberg import Change, LakeFiles
from smug_platform.lake.columns import plan
from smug_platform.lake.merge import STATE, merge, name_of
from smug_platform.lake.schema import new_schema, shaped
from smug_platform.lake.state import State, evolve
from smug_platform.raw import deltas as raw
from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import Settings, load_settings

FILE_ROWS = 1_000_000
_START = Position(1, 1, 1000).ordinal
_ROWS = """
    select {values}, {shard} as _shard, {position}::hugeint + k as _position,
           timestamp '2026-01-01' as _committed_at, false as _is_deleted, null::varchar as _moved_to
    from range({start}, {end}) as r(k) order by k
"""


def settings_in(home: Path) -> Settings:
    """The settings of a machine whose lake is in that folder."""
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})


def catalog_in(home: Path) -> Catalog:
    """The catalog of a machine whose lake is in that folder."""
    return open_catalog(settings_in(home))


def base_rows(shape: Shape, start: int, end: int) -> pa.Table:
    """The rows of the keys from `start` to `end`, at version 0."""
    query = _ROWS.format(
        values=shape.values().replace("$v", "0"), shard=SHARD, position=_START, start=start, end=end
    )
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        found = connection.sql(query).to_arrow_table()
    number = found.schema.get_field_index("_position")
    return found.set_column(number, "_position", found["_position"].cast(pa.decimal128(38, 0)))


def make_base(home: Path, shape: Shape, rows: int) -> None:
    """Make the lake's table with so many rows, in files of a million."""
    make_table(catalog_in(home), shape, rows)


def make_table(catalog: Catalog, shape: Shape, rows: int) -> None:
    """The same in any catalog."""
    target, state = shape.target, State()
    for number in range(SHARDS):
        state = evolve(state, target.table, f"shard_{number}", _START, shape.created())
    table = iceberg.create(catalog, name_of(target), new_schema(target, plan(target, state)))
    for start in range(0, rows, FILE_ROWS):
        files = LakeFiles(table.io, table.schema(), table.current_snapshot())
        batch = base_rows(shape, start, min(start + FILE_ROWS, rows))
        transaction = table.transaction()
        transaction.set_properties({STATE: state.to_json()})
        change = Change(shaped(batch, table.schema()))
        iceberg.commit(transaction, files, change, summary={"smug.kind": "merge"})
        transaction.commit_transaction()


class Feed:
    """The next batch of changes of a table, each after all those before it, in any process."""

    def __init__(self, home: Path, shape: Shape, rows: int) -> None:
        self._held, self._shape, self._rows = home / "feed.json", shape, rows

    def next(self, size: int, keys: str = "distinct") -> Changes:
        """So many changes more."""
        held = json.loads(self._held.read_text()) if self._held.exists() else [1, 0]
        self._held.write_text(json.dumps([held[0] + 1, held[1] + size]))
        return Changes(self._shape, self._rows, size, *held, keys)


def make_index(home: Path, shape: Shape, rows: int) -> float:
    """Let a first small merge build the table's index; seconds."""
    catalog = catalog_in(home)
    land(catalog, Feed(home, shape, rows).next(100).deltas())
    started = time.perf_counter()
    merge(catalog, shape.target)
    return time.perf_counter() - started


def land(catalog: Catalog, deltas: pa.Table) -> None:
    """Append rows to `raw.deltas` in one commit."""
    transaction = raw.open_deltas(catalog).transaction()
    now = pa.repeat(pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")), deltas.num_rows)
    at = deltas.schema.get_field_index("landed_at")
    iceberg.append(transaction, deltas.set_column(at, "landed_at", now), summary={})
    transaction.commit_transaction()


class Written:
    """The files that come into a folder from now on."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen = folder, set[Path]()
        self.files()

    def files(self) -> dict[Path, int]:
        """Those that have come since the last time and are still there, with their bytes."""
        new = {
            path: path.stat().st_size
            for path in self._folder.rglob("*")
            if path not in self._seen and path.suffix in {".parquet", ".avro", ".json"}
        }
        self._seen.update(new)
        return new
