"""Merging D changes into a lake table of T rows: this project's merge beside pyiceberg's `upsert`.

python benchmarks/merge.py [--rows T] [--runs N]

One table is printed: seconds (median), changes a second, bytes written, and the ratio. The merge
starts from landed JSON and includes decoding it; the peer gets the decoded rows for nothing, and
can't delete.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from rich.console import Console
from rich.table import Table as Grid

from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Table

TARGET = Target(Table(name="photos", domain="photos", owner="team:photos"))
SIZES = (100, 1_000, 10_000, 100_000)
PEER_LIMIT = 1_000  # beyond it the peer takes minutes
COLUMNS = {
    "id": "BIGINT UNSIGNED",
    "account_id": "BIGINT UNSIGNED",
    "title": "VARCHAR",
    "price": "DECIMAL",
    "uploaded_at": "DATETIME",
    "tags": "TEXT",
    "n": "INT",
}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def main(rows: int = 300_000, runs: int = 3) -> None:
    """Run the benchmark and print its table."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = SqlCatalog("b", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}")
        for namespace in ("raw", "lake", "peer"):
            catalog.create_namespace(namespace)
        land(catalog, [schema_change(), *inserts(rows)])
        merge(catalog, TARGET)
        peer = copy_for_peer(catalog)
        grid = Grid("changes", "merge s", "changes/s", "MB written", "upsert s", "ratio")
        for size in SIZES:
            grid.add_row(*measure(catalog, peer, Path(folder), size, rows=rows, runs=runs))
        Console().print(f"into {rows:,} rows, median of {runs} runs", grid)


def measure(
    catalog: Catalog, peer: Any, folder: Path, size: int, *, rows: int, runs: int
) -> list[str]:
    """One row of the table."""
    ours, theirs, written = [], [], []
    for run in range(runs):
        land(catalog, list(updates(size, rows, run)))
        before = volume(folder)
        started = time.perf_counter()
        merged = merge(catalog, TARGET)
        ours.append(time.perf_counter() - started)
        written.append(volume(folder) - before)
        if merged.written != size:
            raise SystemExit(f"merged {merged.written} rows of {size}")
        if size <= PEER_LIMIT and run == 0:
            theirs.append(upsert(peer, size, rows))
    seconds = statistics.median(ours)
    peer_seconds = f"{theirs[0]:.2f}" if theirs else "-"
    ratio = f"{theirs[0] / seconds:.0f}x" if theirs else "-"
    megabytes = statistics.median(written) / 1e6
    return [
        f"{size:,}", f"{seconds:.3f}", f"{size / seconds:,.0f}", f"{megabytes:.2f}",
        peer_seconds, ratio,
    ]  # fmt: skip


def row(number: int, version: int) -> dict[str, Any]:
    """A row as it is on the wire."""
    return {
        "id": number * 4,
        "account_id": 2**63 + number,
        "title": f"Sunrise {number} version {version}",
        "price": "12.34",
        "uploaded_at": 1_700_000_000_000_000 + number,
        "tags": "mountain lake snow",
        "n": version,
    }


def inserts(rows: int) -> Iterator[dict[str, Any]]:
    """The first rows."""
    for number in range(rows):
        yield delta("c", 1000 + number, None, row(number, 0))


def updates(size: int, rows: int, run: int) -> Iterator[dict[str, Any]]:
    """Changes spread over the whole table: the worst case for locality."""
    base = 10**9 * (run + 1) + size * 10**10
    for number in range(size):
        at = number * rows // size
        yield delta("u", base + number, row(at, 0), row(at, run + 1))


def delta(op: str, offset: int, before: Any, after: Any) -> dict[str, Any]:
    """A row of `raw.deltas`."""
    source = {"ts_ms": 0, "file": "binlog.000001", "pos": offset, "row": 0, "db": "flickr"}
    return {
        "table_name": "photos",
        "shard": "shard_0",
        "op": op,
        "epoch": 1,
        "binlog_file": 1,
        "binlog_offset": offset,
        "row_number": 0,
        "payload": json.dumps({"before": before, "after": after, "source": source, "op": op}),
        "committed_at": NOW,
        "captured_at": NOW,
        "landed_at": NOW,
    }


def schema_change() -> dict[str, Any]:
    """The table's CREATE."""
    described = [
        {
            "name": name,
            "typeName": kind,
            "length": 10 if kind == "DECIMAL" else None,
            "scale": 2 if kind == "DECIMAL" else None,
            "optional": True,
            "defaultValueExpression": None,
            "enumValues": None,
            "position": position,
        }
        for position, (name, kind) in enumerate(COLUMNS.items())
    ]
    change = {"type": "CREATE", "id": '"flickr"."photos"', "table": {"columns": described}}
    event = {"ddl": "CREATE TABLE photos", "tableChanges": [change]}
    return delta("ddl", 4, None, None) | {"payload": json.dumps(event)}


def land(catalog: Catalog, deltas: list[dict[str, Any]]) -> None:
    """Append to `raw.deltas`, outside of what is measured."""
    raw.open_deltas(catalog).append(pa.Table.from_pylist(deltas, schema=raw.ARROW))


def copy_for_peer(catalog: Catalog) -> Any:
    """The same rows in a plain Iceberg table."""
    found = catalog.load_table("lake.photos").scan().to_arrow()
    peer = catalog.create_table("peer.photos", schema=found.schema)
    peer.append(found)
    return peer


def upsert(peer: Any, size: int, rows: int) -> float:
    """Seconds that pyiceberg's upsert takes for the same rows, already decoded."""
    schema = schema_to_pyarrow(peer.schema(), include_field_ids=False)
    ids = pa.array([4 * (number * rows // size) for number in range(size)])
    found = peer.scan().to_arrow().cast(schema)
    wanted = found.filter(pa.compute.is_in(found["id"], ids.cast(schema.field("id").type)))
    changed = wanted.set_column(
        schema.get_field_index("title"), "title", pa.array(["new"] * wanted.num_rows)
    ).cast(schema)
    started = time.perf_counter()
    peer.upsert(changed, join_cols=["id"])
    return time.perf_counter() - started


def volume(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    typer.run(main)
