"""From the JSON of the stream to the committed lake: landing, and merging into T rows.

A batch of envelopes (Debezium's full source block, one change in twenty delivered twice, a quarter
of the changes on 1,000 hot keys) is landed, 100,000 changes or 128 MiB a commit of `raw.deltas` at
most, and then merged, in as few commits of the lake's table as 2 GiB of memory allow. Reading the
stream is not part of it: what making the records takes is left out. `cores ms` is the time of all
cores together: where it is far below land + merge, other work had them. `one after the other` is of
those two; `as a backlog` is of a million changes in such batches as `smug sync` catches up with
them, which lands the next batch while it merges the last. A second table has the steps that a merge
begins with: decoding, the net change (each row's last change by position, copies and what changes
nothing left out), and the whole gate, which looks the rows up in the index too.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from bench.lake import make_base, make_index
from bench.ours import catches_up, ingests, median, prepare
from bench.process import fresh
from bench.shapes import SHAPES
from bench.show import grid, numbers, print_grid, progress
from bench.steps import steps

MANY = 300_000  # changes in a batch from which three are enough
_BACKLOG = 1_000_000  # changes


def main(
    rows: Annotated[int, typer.Option(help="T")] = 10_000_000,
    batches: Annotated[str, typer.Option(help="their sizes")] = "10_000,100_000,500_000",
    shape: Annotated[str, typer.Option(help="narrow, text (key), wide (60 columns)")] = "narrow",
    runs: Annotated[int, typer.Option(help="batches of which the median is taken")] = 9,
) -> None:
    """Run the benchmark and print its tables."""
    table = SHAPES[shape]
    whole = grid(
        "changes a batch", "land ms", "merge ms", "cores ms", "changes/s, one after the other",
        "as a backlog", "MB/s of JSON", "written, of JSON", "peak MB (own)",
    )  # fmt: skip
    parts = grid(
        "changes a batch", "decode ms", "decode rows/s", "net ms", "net rows/s", "gate ms",
        "gate rows/s",
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        home = Path(folder)
        fresh(make_base, home, table, rows)
        fresh(make_index, home, table, rows)
        for size in numbers(batches):
            count = runs if size < MANY else 3
            fresh(prepare, home, table, rows, size, count + 1, "hot")
            done = fresh(ingests, home, table)
            took = sorted(done.value, key=lambda one: one.seconds)[(count - 1) // 2]
            progress(f"{size:,}: {took.seconds * 1000:.0f} ms")
            fresh(prepare, home, table, rows, size, max(_BACKLOG // size, 3) + 1, "hot")
            changes, seconds, _ = fresh(catches_up, home, table).value
            whole.add_row(
                f"{took.changes:,}", f"{took.land * 1000:,.0f}", f"{took.merge * 1000:,.0f}",
                f"{took.cpu * 1000:,.0f}",
                f"{took.changes / took.seconds:,.0f}", f"{changes / seconds:,.0f}",
                f"{took.json / took.changes * changes / seconds / 1e6:,.0f}",
                f"{took.bytes / took.json:.0%}", done.memory,
            )  # fmt: skip
            count = min(count, 5)
            took_each = map(median, fresh(steps, home, table, rows, size, count).value)
            cells = ((f"{each * 1000:,.1f}", f"{size / each:,.0f}") for each in took_each)
            parts.add_row(f"{size:,}", *(text for pair in cells for text in pair))
    print_grid(f"T = {rows:,}, {table.about}; medians", whole)
    print_grid("of which, for changes of different keys", parts)


if __name__ == "__main__":
    typer.run(main)
