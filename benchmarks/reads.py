"""Reading a table of T rows that 30 merges of 10,000 changes have gone into.

The same questions to the table before and after compaction, by each reader, and to the same rows in
plain Parquet files of a million rows, which DuckDB reads. Ratios are to DuckDB on the plain files,
for the readers that ask it; the others take in all that they need and are there for comparison.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from bench.lake import FILE_ROWS, catalog_in, make_base, make_index
from bench.ours import merge_once, prepare, prepared
from bench.process import fresh
from bench.shapes import NARROW
from bench.show import grid, print_grid, progress
from pyiceberg.expressions import EqualTo

from smug_platform.lake.compact import compact
from smug_platform.lake.merge import name_of
from smug_platform.lake.query import connect, open_lake
from smug_platform.settings import load_settings

KEY = 4_000_001
QUESTIONS = {
    "count": "select count(*) from {0}",
    "count of live": "select count(*) from {0} where not _is_deleted",
    "grouped sum": "select visibility, sum(price) from {0} where not _is_deleted group by 1",
    "filtered": "select max(title) from {0}"
    " where visibility = 1 and price < 500 and not _is_deleted",
    "all columns": "select sum(hash(columns(*))) from {0}",
    "one row": f"select * from {{0}} where id = {KEY}",
}
Ask = Callable[[str], Any]


@contextmanager
def plain(home: Path) -> Iterator[Ask]:
    """DuckDB on plain files."""
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        files = f"read_parquet('{home}/plain/*.parquet')"
        yield lambda name: connection.sql(QUESTIONS[name].format(files)).fetchall()


@contextmanager
def query(home: Path) -> Iterator[Ask]:
    """What `smug query` and the macros of dbt use: DuckDB on views of the table's files."""
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})
    with open_lake(settings) as lake:
        lake.connection.execute("set enable_progress_bar = false")
        yield lambda name: lake.ask(QUESTIONS[name].format(name_of(NARROW.target))).fetchall()


@contextmanager
def pyiceberg(home: Path) -> Iterator[Ask]:
    """Pyiceberg's own scan, into Arrow."""
    table = catalog_in(home).load_table(name_of(NARROW.target))

    def ask(name: str) -> Any:
        if name == "one row":
            return table.scan(row_filter=EqualTo("id", KEY)).to_arrow().num_rows
        if name == "all columns":
            return sum(batch.num_rows for batch in table.scan().to_arrow_batch_reader())
        if name == "count":
            return table.scan().count()
        names = {
            "count of live": ("_is_deleted",),
            "grouped sum": ("visibility", "price", "_is_deleted"),
        }
        fields = names.get(name, ("title", "visibility", "price", "_is_deleted"))
        found = table.scan(selected_fields=fields).to_arrow()
        return found.filter(pc.invert(found["_is_deleted"])).num_rows

    yield ask


READERS = {"smug query": query, "pyiceberg": pyiceberg}


def main(
    rows: Annotated[int, typer.Option(help="T")] = 10_000_000,
    merges: Annotated[int, typer.Option(help="merges before the reads")] = 30,
    changes: Annotated[int, typer.Option(help="changes of each")] = 10_000,
    runs: Annotated[int, typer.Option(help="reads of which the median is taken")] = 5,
    readers: Annotated[str, typer.Option(help="by commas")] = ",".join(READERS),
) -> None:
    """Run the benchmark and print its table."""
    found = grid("state", "reader", *(f"{name}, ms" for name in QUESTIONS), "peak MB (own)")
    with TemporaryDirectory() as folder:
        home = Path(folder)
        fresh(make_base, home, NARROW, rows)
        fresh(make_index, home, NARROW, rows)
        fresh(prepare, home, NARROW, rows, changes, merges)
        fresh(merge_all, home)
        files = fresh(write_plain, home).value
        base = add(found, f"plain, {files} files", "DuckDB", fresh(read, home, "", runs), {})
        for state in ("merged", "compacted"):
            if state == "compacted":
                fresh(compact_it, home)
            for name in filter(None, readers.split(",")):
                most = 1 if name == "pyiceberg" else runs
                add(found, state, name, fresh(read, home, name, most), base)
            found.add_section()
    print_grid(f"T = {rows:,}, then {merges} merges of {changes:,}; medians of {runs}", found)


def add(found: Any, state: str, reader: str, done: Any, base: dict[str, float]) -> dict[str, float]:
    """Enter what a reader took, with its ratio to the plain files."""
    progress(f"{state}, {reader}: {sum(done.value.values()):.1f} s")
    cells = [
        f"{seconds * 1000:,.0f}" + (f" ({seconds / base[name]:.2f}x)" if base else "")
        for name, seconds in done.value.items()
    ]
    found.add_row(state, reader, *cells, done.memory)
    return dict(done.value)


def read(home: Path, reader: str, runs: int) -> dict[str, float]:
    """Median seconds of each question, after a first time that fills the caches."""
    took = {}
    with READERS.get(reader, plain)(home) as ask:
        for name in QUESTIONS:
            seconds = []
            for _ in range(runs + 1):
                started = time.perf_counter()
                ask(name)
                seconds.append(time.perf_counter() - started)
            took[name] = statistics.median(seconds[1:])
    return took


def merge_all(home: Path) -> None:
    """Merge what is prepared."""
    catalog = catalog_in(home)
    for _, batch in prepared(home):
        merge_once(catalog, home, NARROW, batch)


def compact_it(home: Path) -> None:
    """Compact the table."""
    compact(catalog_in(home), NARROW.target)


def write_plain(home: Path) -> int:
    """The table's rows in plain Parquet files, as they are after the merges; how many files."""
    (home / "plain").mkdir()
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})
    number, held = 0, list[pa.RecordBatch]()
    with connect(settings) as connection:
        connection.execute("set enable_progress_bar = false")
        batches = connection.sql(f"from {name_of(NARROW.target)} order by id").to_arrow_reader()
        for batch in chain(batches, [None]):
            held += [batch] if batch else []
            if held and (batch is None or sum(map(len, held)) >= FILE_ROWS):
                rows, held = pa.Table.from_batches(held), []
                path, number = home / "plain" / f"{number:04}.parquet", number + 1
                pq.write_table(rows, path, row_group_size=131_072, compression="zstd")
    return number


if __name__ == "__main__":
    typer.run(main)
