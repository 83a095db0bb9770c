"""The archive: what writing it adds to the lake branch, its bytes, and the speed of a replay.

Batches of envelopes (Debezium's full source block, a quarter of the changes on 1,000 hot keys, one
in twenty delivered twice) are landed and merged into T rows, and archived, with and without
personal columns: `sealed` has two of eight columns sealed with the key of the row's account, 50
rows an account. `after`: each batch is archived once it is merged. `beside`: while the next one is
landed and merged, as the two run in a deployment, by a thread of the same process here; what that
adds to the lake branch. Then `--changes` are replayed from the archive into a table of their own,
and beside it so many rows as came of it are read anew from two local shards, and merged.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import orjson
import pyarrow as pa
import typer
from bench.lake import Feed, catalog_in, land, make_base, make_index
from bench.ours import ingest_once, median, prepare, prepared
from bench.process import fresh
from bench.resnapshot import resnapshot
from bench.shapes import SHAPES, SHARDS, Shape
from bench.show import grid, numbers, print_grid, progress

from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import describe
from smug_platform.archive.moment import Moment
from smug_platform.archive.replay import replay
from smug_platform.archive.resources import open_archive
from smug_platform.archive.write import write
from smug_platform.lake.target import Target
from smug_platform.raw.deltas import ARROW
from smug_platform.settings import load_settings
from smug_platform.tables.table import Source, Table

_PII = {"title": "free_text", "tags": "free_text"}


@dataclass(frozen=True)
class Took:
    """Seconds of the lake branch and of the archive; bytes of the envelopes and of the archive."""

    lake: float
    archive: float
    json: int
    bytes: int


def main(
    rows: Annotated[int, typer.Option(help="T")] = 1_000_000,
    batches: Annotated[str, typer.Option(help="changes in each, by commas")] = "100_000",
    runs: Annotated[int, typer.Option(help="batches of which the median is taken")] = 5,
    changes: Annotated[int, typer.Option(help="changes to replay")] = 500_000,
    writing: Annotated[bool, typer.Option(help="what writing adds, too")] = True,
) -> None:
    """Run the benchmark and print its tables."""
    if writing:
        _print_writing(rows, batches, runs)
    _print_replay(rows, changes)


def _print_writing(rows: int, batches: str, runs: int) -> None:
    shape = SHAPES["narrow"]
    found = grid(
        "changes a batch", "columns", "lake s", "archive after s", "adds", "lake s, archive beside",
        "adds", "bytes, of JSON",
    )  # fmt: skip
    for size in numbers(batches):
        for pii in ({}, _PII):
            with TemporaryDirectory() as folder:
                home = Path(folder)
                fresh(make_base, home, shape, rows)
                fresh(make_index, home, shape, rows)
                fresh(prepare, home, shape, rows, size, runs + 1, "hot")
                took: list[Took] = fresh(archived, home, shape, pii).value
                fresh(prepare, home, shape, rows, size, runs + 1, "hot")
                beside = median(fresh(lake_beside, home, shape, pii).value)
            lake, archive = median(t.lake for t in took), median(t.archive for t in took)
            share = sum(t.bytes for t in took) / sum(t.json for t in took)
            progress(f"{size:,}: {lake:.2f} s, archive {archive:.2f} s, beside {beside:.2f} s")
            found.add_row(
                f"{size:,}", "sealed" if pii else "plain", f"{lake:.2f}", f"{archive:.2f}",
                f"{archive / lake:.0%}", f"{beside:.2f}", f"{beside / lake - 1:.0%}",
                f"{share:.0%}",
            )  # fmt: skip
    print_grid(f"T = {rows:,}, {shape.about}", found)


def _print_replay(rows: int, changes: int) -> None:
    shape = SHAPES["narrow"]
    found = grid("changes", "columns", "decoded", "rows", "s", "changes/s", "MB (own)")
    for pii in ({}, _PII):
        with TemporaryDirectory() as folder:
            home = Path(folder)
            fresh(make_archive, home, shape, pii, rows, changes)
            run = fresh(replay_once, home, shape, pii)
        done = run.value
        found.add_row(
            f"{done.changes:,}", "sealed" if pii else "plain", f"{done.applied:,}",
            f"{done.written:,}", f"{done.seconds:.1f}", f"{done.changes / done.seconds:,.0f}",
            run.memory,
        )  # fmt: skip
    print_grid("replay from the archive alone", found)
    with TemporaryDirectory(prefix="smug-anew-", ignore_cleanup_errors=True) as folder:
        read = resnapshot(Path(folder), done.written)
    found = grid("rows", "captured, s", "landed and merged, s", "s")
    found.add_row(
        f"{done.written:,}", f"{read.captured:.1f}", f"{read.merged:.1f}",
        f"{read.captured + read.merged:.1f}",
    )  # fmt: skip
    print_grid("so many rows read anew from the source", found)


def source_of(shape: Shape, pii: dict[str, str]) -> Source:
    """The shape's table as a contract."""
    table = shape.target.table
    if pii:
        table = replace(table, account="owner_id", pii=pii)
    return Source(database="flickr", tables=(table,))


def archive_in(home: Path) -> Archive:
    """The archive of a machine."""
    return open_archive(load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)}).archive)


def archived(home: Path, shape: Shape, pii: dict[str, str]) -> list[Took]:
    """Bring the prepared batches into raw, the lake and the archive; the first is not counted."""
    catalog, archive, source = catalog_in(home), archive_in(home), source_of(shape, pii)
    write(catalog, archive, source)
    found = []
    for batch in prepared(home):
        ingested = ingest_once(catalog, home, shape, *batch)
        written = write(catalog, archive, source)
        size = describe(list(written.manifests))["bytes"]
        found.append(Took(ingested.seconds, written.seconds, ingested.json, size))
    return found[1:]


def lake_beside(home: Path, shape: Shape, pii: dict[str, str]) -> list[float]:
    """Seconds of the lake branch for each of the prepared batches but the first, while the batch
    before it is archived.
    """
    catalog, archive, source = catalog_in(home), archive_in(home), source_of(shape, pii)
    write(catalog, archive, source)
    found = []
    with ThreadPoolExecutor(1) as pool:
        for batch in prepared(home):
            writing = pool.submit(write, catalog_in(home), archive, source)
            found.append(ingest_once(catalog, home, shape, *batch).seconds)
            writing.result()
    return found[1:]


def make_archive(home: Path, shape: Shape, pii: dict[str, str], rows: int, changes: int) -> None:
    """An archive of so many changes, landed some at a time."""
    catalog, feed = catalog_in(home), Feed(home, shape, rows)
    created = orjson.dumps(shape.created()).decode()
    empty: dict[str, object] = dict.fromkeys(ARROW.names)
    land(catalog, pa.Table.from_pylist([
        empty | {"table_name": shape.name, "shard": f"shard_{n}", "op": "ddl", "epoch": 1,
                 "binlog_file": 1, "binlog_offset": 4, "payload": created}
        for n in range(SHARDS)
    ], schema=ARROW))  # fmt: skip
    left = changes
    while left > 0:
        land(catalog, feed.next(min(left, 250_000), "hot").deltas())
        left -= 250_000
    started = time.perf_counter()
    written = write(catalog, archive_in(home), source_of(shape, pii))
    found = describe(list(written.manifests))
    progress(
        f"archived {found['rows']:,} in {time.perf_counter() - started:.1f} s, {found['bytes']:,} B"
    )


def replay_once(home: Path, shape: Shape, pii: dict[str, str]) -> object:
    """Replay all of it into a table of its own."""
    table: Table = source_of(shape, pii).tables[0]
    return replay(catalog_in(home), archive_in(home), Target(table), Moment())


if __name__ == "__main__":
    typer.run(main)
