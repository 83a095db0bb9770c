"""The time of one commit, over thousands of them: 1,000 rows that come and 500 that they replace.

A commit is all that stands between a planned change and its durability: the two data files, the
manifests, their list, the metadata, the catalog, each of them synced. Opening the table and its
list of files, which every merge does first, is measured beside it. Nothing is compacted meanwhile;
every fifty commits the files go that no snapshot names any more and that are older than some
seconds (an hour, where it is not for a benchmark).
"""

import statistics
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import pyarrow as pa
import typer
from bench.lake import base_rows, catalog_in, make_base
from bench.process import fresh
from bench.shapes import NARROW
from bench.show import grid, print_grid, progress

from smug_platform import iceberg
from smug_platform.iceberg import FILE, ROW, Change, LakeFiles
from smug_platform.lake.merge import SEQUENCE, name_of
from smug_platform.lake.schema import shaped

ROWS = 1_000
_TIDY_EVERY = 50  # commits


@dataclass(frozen=True)
class Part:
    """Some commits in a row: seconds of each, seconds of the cores for all, seconds of each removal
    of old files, and what is in the metadata folder at most.
    """

    plan: list[float]
    commit: list[float]
    cpu: float
    tidy: list[float]
    files: int
    bytes: int


def main(
    commits: Annotated[int, typer.Option(help="how many")] = 2_000,
    every: Annotated[int, typer.Option(help="commits of which a median is taken")] = 200,
    age: Annotated[float, typer.Option(help="seconds after which unused files go")] = 5.0,
) -> None:
    """Run the benchmark and print its table."""
    found = grid(
        "commits",
        "commit ms",
        "95 %",
        "slowest",
        "cores ms",
        "open ms",
        "removal ms",
        "metadata files",
        "metadata MB",
    )
    with TemporaryDirectory() as folder:
        done = fresh(run, Path(folder), commits, every, age)
    for number, part in enumerate(done.value):
        ordered = sorted(part.commit)
        found.add_row(
            f"{(number + 1) * every:,}", f"{statistics.median(ordered) * 1000:.1f}",
            f"{ordered[int(len(ordered) * 0.95)] * 1000:.1f}", f"{ordered[-1] * 1000:.0f}",
            f"{part.cpu / len(ordered) * 1000:.1f}",
            f"{statistics.median(part.plan) * 1000:.1f}",
            f"{statistics.median(part.tidy) * 1000:.0f}", f"{part.files:,}",
            f"{part.bytes / 1e6:.1f}",
        )  # fmt: skip
    print_grid(f"medians of each {every} commits; peak memory {done.memory} MB", found)


def run(home: Path, commits: int, every: int, age: float) -> list[Part]:
    """Commit so many times."""
    make_base(home, NARROW, ROWS)
    catalog, name = catalog_in(home), name_of(NARROW.target)
    metadata = home / "lake" / name.replace(".", "/") / "metadata"
    batches = [base_rows(NARROW, n * ROWS, (n + 1) * ROWS) for n in range(20)]
    replaced = pa.table({FILE: pa.array([0] * 500, pa.int32()), ROW: pa.array(range(500))})
    parts: list[Part] = []
    plan, commit, tidy, sizes, cpu = [], [], [], [0], 0.0
    for number in range(1, commits + 1):
        started = time.perf_counter()
        table = iceberg.load(catalog, name)
        assert table is not None
        files = LakeFiles(table.io, table.schema(), table.current_snapshot())
        rows = shaped(batches[number % len(batches)], table.schema())
        planned, used = time.perf_counter(), time.process_time()
        transaction = table.transaction()
        transaction.set_properties({SEQUENCE: str(number)})
        summary = {SEQUENCE: str(number), **{f"bench.shard_{n}": "1/2:3#0" for n in range(4)}}
        iceberg.commit(transaction, files, Change(rows, replaced), summary=summary)
        transaction.commit_transaction()
        commit.append(time.perf_counter() - planned)
        cpu += time.process_time() - used
        plan.append(planned - started)
        if number % _TIDY_EVERY == 0:
            sizes = max(sizes, [path.stat().st_size for path in metadata.iterdir()], key=len)
            started = time.perf_counter()
            iceberg.remove_orphans(table, timedelta(seconds=age))
            tidy.append(time.perf_counter() - started)
        if number % every == 0:
            parts.append(Part(plan, commit, cpu, tidy, len(sizes), sum(sizes)))
            progress(f"{number:,}: {statistics.median(commit) * 1000:.1f} ms")
            plan, commit, tidy, sizes, cpu = [], [], [], [0], 0.0
    return parts


if __name__ == "__main__":
    typer.run(main)
