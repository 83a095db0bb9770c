"""A hundred batches one after the other into T rows, with the compaction that comes in between.

The batches stand in `raw.deltas` before the clock starts; it runs while they are merged and while
the table is tended, as the drain run does it: after each merge, compaction for a while where it is
due. The longest of these is the longest that a merge has to wait. Bytes written are those of all
files of the table, for each byte of net change (the data file and the delete file of each merge).
"""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from bench.lake import Written, catalog_in, make_base, make_index
from bench.ours import median, merge_once, prepare, prepared
from bench.process import fresh
from bench.shapes import SHAPES, Shape
from bench.show import grid, numbers, print_grid, progress

from smug_platform.lake.compact import Debt, debt, tend


@dataclass(frozen=True)
class Run:
    """Seconds of each merge, of each compaction between two, and of each look that found none due;
    bytes of net change, and of all files; what is owed at the end.
    """

    merges: list[float]
    waits: list[float]
    looks: list[float]
    net: int
    written: int
    owed: Debt


def main(
    rows: Annotated[int, typer.Option(help="T")] = 10_000_000,
    batches: Annotated[str, typer.Option(help="changes in each, by commas")] = "10_000,100_000",
    commits: Annotated[int, typer.Option(help="batches")] = 100,
    shape: Annotated[str, typer.Option(help="narrow, text (key), wide (60 columns)")] = "narrow",
) -> None:
    """Run the benchmark and print its table."""
    table = SHAPES[shape]
    found = grid(
        "changes a batch", "changes/s", "merge ms", "95 %", "longest", "compacted",
        "median s", "longest s", "look ms", "bytes for each byte", "data files", "deleted",
        "peak MB (own)",
    )  # fmt: skip
    for size in numbers(batches):
        with TemporaryDirectory() as folder:
            home = Path(folder)
            fresh(make_base, home, table, rows)
            fresh(make_index, home, table, rows)
            fresh(prepare, home, table, rows, size, commits + 1)
            done = fresh(sustain, home, table)
        took: Run = done.value
        ordered = sorted(took.merges)
        seconds = sum(took.merges) + sum(took.waits) + sum(took.looks)
        progress(f"{size:,}: {len(ordered) * size / seconds:,.0f} changes/s")
        found.add_row(
            f"{size:,}", f"{len(ordered) * size / seconds:,.0f}",
            f"{median(ordered) * 1000:,.0f}", f"{ordered[int(len(ordered) * 0.95)] * 1000:,.0f}",
            f"{ordered[-1] * 1000:,.0f}", str(len(took.waits)),
            f"{median(took.waits or [0.0]):.2f}", f"{max(took.waits, default=0.0):.2f}",
            f"{median(took.looks or [0.0]) * 1000:.1f}",
            f"{took.written / took.net:.1f}", str(took.owed.data_files),
            f"{took.owed.deleted_share:.0%}", done.memory,
        )  # fmt: skip
    print_grid(f"T = {rows:,}, {table.about}; {commits} commits", found)


def sustain(home: Path, shape: Shape) -> Run:
    """Merge the batches that are prepared, tending the table after each."""
    catalog, target = catalog_in(home), shape.target
    merges: list[float] = []
    waits: list[float] = []
    looks: list[float] = []
    net = total = 0
    for number, (_, batch) in enumerate(prepared(home)):
        took = merge_once(catalog, home, shape, batch)
        if number == 0:  # it maps the index
            continue
        merges.append(took.seconds)
        net, total = net + took.net_bytes, total + took.bytes
        written, started = Written(home / "lake" / "lake"), time.perf_counter()
        tend(catalog, target)
        seconds, new = time.perf_counter() - started, sum(written.files().values())
        (waits if new else looks).append(seconds)
        total += new
    return Run(merges, waits, looks, net, total, debt(catalog, target))


if __name__ == "__main__":
    typer.run(main)
