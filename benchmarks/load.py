"""Loading a lake table's changes into its DuckDB replica: a first load, then an upsert.

python benchmarks/load.py [--rows 1000000] [--changes 300000] [--runs 3]

One line a kind of load is printed: seconds (median) and rows a second. Rows are as wide as
Flickr's photos; the changes are spread over the whole table.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa

from smug_platform.lake.feed import Feed
from smug_platform.warehouse.load import load

KEY = ("_shard", "id")
ROWS = """
select
  cast({step} * i as decimal(20,0)) as id, cast(i % 1000 as decimal(20,0)) as account_id,
  'title ' || i as title, repeat('x', 100) as description, 'photo' as media,
  'public' as visibility, cast(i % 9 as integer) as license_id, 'sea,sky' as tags,
  '{{"camera": "X100V"}}' as exif, cast('0123456789abcdef' as blob) as content_hash,
  cast(i as bigint) as bytes, 4000 as width, 3000 as height,
  cast(1.5 as decimal(9,6)) as latitude, cast(1.5 as decimal(9,6)) as longitude,
  cast(4.5 as float) as rating, cast(null as bigint) as duration,
  timestamp '2026-01-01' as taken_at, timestamp '2026-01-01' + interval (i) second as uploaded_at,
  timestamptz '2026-01-01 00:00:00+00' as updated_at, 'shard_' || ({step} * i % 2) as _shard,
  cast({position} + i as decimal(38,0)) as _position,
  timestamptz '2026-01-01 00:00:00+00' as _committed_at, false as _is_deleted,
  cast(null as varchar) as _moved_to
from range({count}) as r(i)
"""


def rows(count: int, step: int, position: int) -> pa.Table:
    with duckdb.connect() as connection:
        relation = connection.sql(ROWS.format(count=count, step=step, position=position))
        return relation.to_arrow_table()


def run(first: pa.Table, changes: pa.Table) -> tuple[float, float]:
    """Seconds of a first load and of an upsert, into a new file."""
    with tempfile.TemporaryDirectory() as folder:
        with duckdb.connect(str(Path(folder) / "smug.duckdb")) as connection:
            start = time.perf_counter()
            load(connection, Feed("photos", KEY, first, 1, None, full=True))
            loaded = time.perf_counter()
            done = load(connection, Feed("photos", KEY, changes, 2, 1, full=False))
            end = time.perf_counter()
        assert (done.replaced, done.total) == (changes.num_rows, first.num_rows)
    return loaded - start, end - loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    first = rows(options.rows, 1, 10**33)
    changes = rows(options.changes, options.rows // options.changes, 2 * 10**33)
    runs = [run(first, changes) for _ in range(options.runs)]
    for name, table, seconds in (
        ("first load", first, statistics.median(each[0] for each in runs)),
        ("upsert", changes, statistics.median(each[1] for each in runs)),
    ):
        count = table.num_rows
        print(f"{name:10} {count:>10,} rows {seconds:6.2f} s {count / seconds:>12,.0f} rows/s")


if __name__ == "__main__":
    main()
