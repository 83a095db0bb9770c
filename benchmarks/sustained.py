"""A hundred batches one after the other into T rows, with the compaction that comes in between.

The batches stand in `raw.deltas` before the clock starts; it runs while they are merged and while
the table is tended, as the drain run does it. Bytes written are those of all files of the table,
for each byte of net change (the data file and the delete file of each merge).
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

from smug_platform.lake.compact import compact, debt

TEND_EVERY = 20  # merges after which the drain run looks whether there is something to compact


@dataclass(frozen=True)
class Run:
    """Seconds of each merge and of each compaction; bytes of net change, and of all files."""

    merges: list[float]
    tended: list[float]
    net: int
    written: int
    files: int


def main(
    rows: Annotated[int, typer.Option(help="T")] = 10_000_000,
    batches: Annotated[str, typer.Option(help="changes in each, by commas")] = "10_000,100_000",
    commits: Annotated[int, typer.Option(help="batches")] = 100,
    shape: Annotated[str, typer.Option(help="narrow, text (key), wide (60 columns)")] = "narrow",
) -> None:
    """Run the benchmark and print its table."""
    table = SHAPES[shape]
    found = grid(
        "changes a batch", "changes/s", "merge ms", "95 %", "longest", "compactions",
        "longest s", "written for each byte", "data files", "peak MB (own)",
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
        seconds = sum(took.merges) + sum(took.tended)
        progress(f"{size:,}: {len(ordered) * size / seconds:,.0f} changes/s")
        found.add_row(
            f"{size:,}", f"{len(ordered) * size / seconds:,.0f}",
            f"{median(ordered) * 1000:,.0f}", f"{ordered[int(len(ordered) * 0.95)] * 1000:,.0f}",
            f"{ordered[-1] * 1000:,.0f}", str(len(took.tended)),
            f"{max(took.tended, default=0.0):.2f}", f"{took.written / took.net:.1f}",
            str(took.files), done.memory,
        )  # fmt: skip
    print_grid(f"T = {rows:,}, {table.about}; {commits} commits", found)


def sustain(home: Path, shape: Shape) -> Run:
    """Merge the batches that are prepared, tending the table in between."""
    catalog, target = catalog_in(home), shape.target
    merges, tended, net, total = [], [], 0, 0
    for number, (_, batch) in enumerate(prepared(home)):
        took = merge_once(catalog, home, shape, batch)
        if number == 0:  # it maps the index
            continue
        merges.append(took.seconds)
        net, total = net + took.net_bytes, total + took.bytes
        if number % TEND_EVERY == 0 and debt(catalog, target).due:
            written, started = Written(home / "lake" / "lake"), time.perf_counter()
            compact(catalog, target)
            tended.append(time.perf_counter() - started)
            total += sum(written.files().values())
    return Run(merges, tended, net, total, debt(catalog, target).data_files)


if __name__ == "__main__":
    typer.run(main)
