"""What a user would merge with instead: the same rows, the same changes, decoded for nothing.

A peer makes its table once, in a folder, and merges batches into it, each in a process of its own.
"""

import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pyarrow as pa

from bench.lake import FILE_ROWS, Feed, base_rows, catalog_in
from bench.shapes import Shape
from bench.spark import SPARK, make_spark, merge_spark, why_no_spark

_RUNS = 3

Made = Callable[[Path, Shape, int], None]
Merge = Callable[[Path, Shape, pa.Table], float]


@dataclass(frozen=True)
class Peer:
    """An engine.

    merge: gives the seconds that it took, committed to disk. most_rows, most_changes: what it is
    asked for unless one is patient; beyond that it takes minutes.
    """

    name: str
    title: str
    make: Made
    merge: Merge
    most_rows: int = 10_000_000
    most_changes: int = 1_000_000
    missing: Callable[[], str] = str

    def merges(
        self, home: Path, shape: Shape, rows: int, size: int, seconds: float
    ) -> tuple[float, int]:
        """Seconds of a merge (the second or the third of three, if they fit the time) and bytes
        that it wrote.
        """
        feed, until = Feed(home, shape, rows), time.monotonic() + seconds
        took = []
        while not took or (len(took) < _RUNS and time.monotonic() + 2 * took[-1][0] < until):
            changes, before = feed.next(size).decoded(), _written()
            took.append((self.merge(home, shape, changes), _written() - before))
        return min(took[1:] or took)


def _written() -> int:
    """Bytes that this process and its children have written."""
    me = psutil.Process()
    return sum(one.io_counters().write_chars for one in (me, *me.children(recursive=True)))


def plain_rows(shape: Shape, rows: int) -> Iterator[pa.Table]:
    """The table's rows without the columns that this project adds."""
    names = [field.name for field in shape.fields]
    for start in range(0, rows, FILE_ROWS):
        yield base_rows(shape, start, min(start + FILE_ROWS, rows)).select(names)


def _make_pyiceberg(home: Path, shape: Shape, rows: int) -> None:
    catalog = catalog_in(home)
    catalog.create_namespace_if_not_exists("peer")
    table: Any = None
    for batch in plain_rows(shape, rows):
        if table is None:
            table = catalog.create_table(f"peer.{shape.name}", schema=batch.schema)
        table.append(batch)


def _merge_pyiceberg(home: Path, shape: Shape, changes: pa.Table) -> float:
    """It can't delete: what is deleted is left out."""
    table = catalog_in(home).load_table(f"peer.{shape.name}")
    kept = changes.filter(pa.compute.invert(changes["_is_deleted"])).drop_columns(["_is_deleted"])
    kept = kept.cast(table.schema().as_arrow())
    started = time.perf_counter()
    table.upsert(kept, join_cols=[shape.key])
    return time.perf_counter() - started


def _make_delta(home: Path, shape: Shape, rows: int) -> None:
    from deltalake import write_deltalake

    for batch in plain_rows(shape, rows):
        write_deltalake(str(home / "delta"), batch, mode="append")


def _merge_delta(home: Path, shape: Shape, changes: pa.Table) -> float:
    from deltalake import DeltaTable

    values = {field.name: f"s.{field.name}" for field in shape.fields}
    started = time.perf_counter()
    merger = DeltaTable(str(home / "delta")).merge(
        changes, f"t.{shape.key} = s.{shape.key}", source_alias="s", target_alias="t"
    )
    merger = merger.when_matched_delete("s._is_deleted").when_matched_update(values)
    merger.when_not_matched_insert(values, predicate="not s._is_deleted").execute()
    return time.perf_counter() - started


def _make_duckdb(home: Path, shape: Shape, rows: int) -> None:
    with duckdb.connect(str(home / "peer.duckdb")) as connection:
        connection.execute("set enable_progress_bar = false")
        for number, batch in enumerate(plain_rows(shape, rows)):
            connection.register("batch", batch)
            begin = "create table peer as" if number == 0 else "insert into peer"
            connection.execute(f"{begin} select * from batch")


def _merge_duckdb(home: Path, shape: Shape, changes: pa.Table) -> float:
    names = [field.name for field in shape.fields]
    with duckdb.connect(str(home / "peer.duckdb")) as connection:
        connection.execute("set enable_progress_bar = false")
        connection.register("changes", changes)
        started = time.perf_counter()
        connection.execute(
            f"""merge into peer t using changes s on t.{shape.key} = s.{shape.key}
            when matched and s._is_deleted then delete
            when matched then update set {", ".join(f"{name} = s.{name}" for name in names)}
            when not matched and not s._is_deleted then
              insert ({", ".join(names)}) values ({", ".join(f"s.{name}" for name in names)})"""
        )
        connection.execute("checkpoint")
        return time.perf_counter() - started


def _no_delta() -> str:
    missing = importlib.util.find_spec("deltalake") is None
    return "not installed: pip install -e .[bench]" if missing else ""


PEERS = {
    peer.name: peer
    for peer in (
        Peer("pyiceberg", "pyiceberg upsert, no deletes", _make_pyiceberg, _merge_pyiceberg,
             most_rows=1_000_000, most_changes=10_000),
        Peer("delta", "delta-rs MERGE", _make_delta, _merge_delta, missing=_no_delta),
        Peer("duckdb", "DuckDB MERGE", _make_duckdb, _merge_duckdb, most_changes=100_000),
        Peer(SPARK, "Spark MERGE, merge-on-read", make_spark, merge_spark,
             most_rows=1_000_000, most_changes=10_000, missing=why_no_spark),
    )
}  # fmt: skip
