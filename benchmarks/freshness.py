"""How long a change in a shard takes to each stage, with the Dagster UI running as in `make dev`.

python benchmarks/freshness.py [--changes 20] [--rate 20] [--drain]

Starts a stack of its own in a temporary folder on free ports, writes to it with the workload at
`--rate` changes a second (0: nothing else writes), then retitles one photo after another by plain
SQL and waits until each shows in a mart. The first, while everything starts, is shown and does not
count. One table is printed: seconds from the change's commit to
raw, lake, warehouse and mart, median and worst. Raw and lake times are those of the commits there;
the warehouse and the mart are polled as any reader would. `--drain` sets SMUG_DRAIN=on.
"""

import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import duckdb
import typer
from bench.stack import settings_in, start, workload
from rich.console import Console
from rich.table import Table as Grid

from smug_platform.iceberg import load
from smug_platform.local import stack
from smug_platform.local.mariadb import DATABASE, connect
from smug_platform.local.processes import python
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.tables.flickr import FLICKR

STAGES = ("raw", "lake", "warehouse", "mart")
SEED_CHANGES = 20_000
GIVE_UP_SECONDS = 600.0
_SHOWS = {
    "warehouse": "select count(*) from warehouse.photos where title = ?",
    "mart": "select count(*) from marts.dim_photos where title = ?",
}


def main(changes: int = 20, rate: float = 20.0, drain: bool = False) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(
        prefix="smug-freshness-", ignore_cleanup_errors=True
    ) as folder:
        settings = replace(settings_in(Path(folder)), drain="on" if drain else "auto")
        try:
            stack.up(settings, FLICKR, progress=print)
            workload(settings, "--changes", str(SEED_CHANGES)).wait()
            with _running(settings, rate):
                _await("the first build", lambda: _shows(settings, "mart", "", at_least=0))
                samples = [_sample(settings, number) for number in range(changes + 1)][1:]
        finally:
            stack.down(settings)
    _print(samples, rate, drain)


@contextmanager
def _running(settings: Settings, rate: float) -> Iterator[None]:
    """`smug dev`, and the workload if it has a rate."""
    logs = settings.home / "logs"
    started = [start(settings, python("-m", "smug_platform.cli", "dev"), logs / "dev.log")]
    if rate:
        started.append(workload(settings, "--forever", "--rate", str(rate), "--seed", "2"))
    try:
        yield
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGINT)
        for process in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            # Dagster's code server would stay until it misses its parent, 45 s later.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _sample(settings: Settings, number: int) -> dict[str, float]:
    """Seconds to each stage for one change, made at a moment that nothing is in step with."""
    time.sleep(random.uniform(0, 5))
    title = f"changed by hand {number} {time.time_ns()}"
    shard = settings.shards[number % len(settings.shards)]
    with connect(shard, database=DATABASE) as cursor:
        cursor.execute("select id from photos order by rand() limit 1")
        (photo,) = cursor.fetchone()
        cursor.execute("update photos set title = %s where id = %s", (title, photo))
    committed = time.time()
    found: dict[str, float] = {}
    catalog = Lakehouse(settings).catalog
    for stage in STAGES:
        shows: Callable[[], float | None]
        if stage in _SHOWS:
            shows = lambda stage=stage: _shows(settings, stage, title, at_least=1)  # noqa: E731
        else:
            table = "raw.deltas" if stage == "raw" else "lake.photos"
            column = "payload" if stage == "raw" else "title"
            shows = lambda t=table, c=column: _committed(catalog, t, c, title)  # noqa: E731
        found[stage] = max(_await(f"{title} in {stage}", shows) - committed, 0.0)
    line = "  ".join(f"{stage} {seconds:6.2f}" for stage, seconds in found.items())
    sys.stdout.write(f"{number:3}  {line}\n")
    sys.stdout.flush()
    return found


def _await(what: str, look: Callable[[], float | None]) -> float:
    until = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < until:
        if (seen := look()) is not None:
            return seen
        time.sleep(0.1)
    raise SystemExit(f"{what}: not there after {GIVE_UP_SECONDS:.0f} s")


def _committed(catalog: object, name: str, column: str, title: str) -> float | None:
    """When the Iceberg commit was made that first shows the title; None before it."""
    table = load(catalog, name)  # type: ignore[arg-type]
    if table is None:
        return None
    for snapshot in sorted(table.metadata.snapshots, key=lambda s: -(s.sequence_number or 0))[:2]:
        for manifest in snapshot.manifests(table.io):
            if manifest.added_snapshot_id != snapshot.snapshot_id:
                continue
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                path = entry.data_file.file_path.removeprefix("file://")
                if entry.snapshot_id == snapshot.snapshot_id and _holds(path, column, title):
                    return snapshot.timestamp_ms / 1000
    return None


def _holds(path: str, column: str, title: str) -> bool:
    with duckdb.connect() as connection:
        names = [
            row[0] for row in connection.execute(f"describe select * from '{path}'").fetchall()
        ]
        if column not in names:
            return False
        query = f"select count(*) from '{path}' where contains({column}, ?)"
        return bool(connection.execute(query, [title]).fetchall()[0][0])


def _shows(settings: Settings, stage: str, title: str, *, at_least: int) -> float | None:
    """The time, when the warehouse shows the title; None before, and while it is held."""
    try:
        with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
            count = connection.execute(_SHOWS[stage], [title]).fetchall()[0][0]
    except duckdb.Error:
        return None
    return time.time() if count >= at_least else None


def _print(samples: list[dict[str, float]], rate: float, drain: bool) -> None:
    mode = "one drain run" if drain else "live runs"
    busy = f"{rate:g} changes/s beside it" if rate else "nothing else writing"
    grid = Grid(title=f"seconds from commit, {len(samples)} changes, {mode}, {busy}")
    for heading in ("stage", "median", "worst"):
        grid.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in STAGES:
        seconds = [sample[stage] for sample in samples]
        grid.add_row(stage, f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}")
    Console().print(grid)


if __name__ == "__main__":
    typer.run(main)
