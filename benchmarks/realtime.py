"""Counting the live stream: changes a second on one core, memory over an hour, delays on the stack.

`core ms` is the time that the core spent on a step; where it is less, other work had the core.
The first table counts batches of changes that are in memory as records of the stream, packed as the
producer packs them (two images of 500 bytes and Debezium's source block for an update), into the
numbers on disk. The second lets an hour of the source's time pass. `--stack` starts a local stack
instead, writes at `--rate` changes a second to it, and prints what was written and how long changes
take from the commit at the source to the number that readers see, looked at every 50 ms.
"""

import os
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import psutil
import typer
from bench.live import Day, expected
from bench.members import Members, written
from bench.process import fresh
from bench.show import grid, numbers, print_grid, progress
from bench.stack import settings_in, start, workload

from smug_platform.local import stack
from smug_platform.local.processes import python
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.store import Store, store_path
from smug_platform.settings import Settings
from smug_platform.tables.flickr import FLICKR

_SEED_CHANGES = 2_000
_LOOK_SECONDS, _PATIENCE_SECONDS = 0.05, 60.0
_REFUNDS = """
select shard, sum(changes) from minutes
where minute >= ? and metric = 'orders' and op = 'u' group by shard
"""


def main(
    batches: Annotated[str, typer.Option(help="changes a step, by commas")] = "1_000,10_000,50_000",
    runs: Annotated[int, typer.Option(help="steps of which the median is taken")] = 9,
    hour_rate: Annotated[int, typer.Option(help="changes a second in the hour; 0: none")] = 1_000,
    on_stack: Annotated[bool, typer.Option("--stack", help="delays on a local stack")] = False,
    rate: Annotated[float, typer.Option(help="with --stack: changes a second")] = 5_000.0,
    seconds: Annotated[float, typer.Option(help="with --stack: for so long")] = 60.0,
) -> None:
    """Run the benchmark and print its tables."""
    if on_stack:
        delays(rate, seconds)
        return
    found = grid("changes a step", "ms", "core ms", "changes/s of a core", "peak MB (own)")
    for size in numbers(batches):
        done = fresh(steps, size, runs)
        took, core, changes = done.value
        found.add_row(
            f"{changes:,}", f"{took * 1000:,.0f}", f"{core * 1000:,.0f}", f"{changes / core:,.0f}",
            done.memory,
        )  # fmt: skip
    print_grid("counted on one core, medians", found)
    if hour_rate:
        print_grid(f"an hour at {hour_rate:,} changes a second", fresh(hour, hour_rate).value)


def steps(size: int, runs: int) -> tuple[float, float, int]:
    """Median seconds of a step on one core, those that the core spent on it, and its changes."""
    _on_one_core()
    day = Day(rate=size, seconds=1.0)
    took, core = [], []
    with TemporaryDirectory() as folder, Store(Path(folder) / "live.db") as store:
        consumer = Consumer(store, day, FLICKR, clock=lambda: day.now)  # type: ignore[arg-type]
        for _ in range(runs + 2):
            day.prepare()
            began, spent = time.perf_counter(), time.process_time()
            step = consumer.step()
            took.append(time.perf_counter() - began)
            core.append(time.process_time() - spent)
        _check(store, 2 * day.made)
    return statistics.median_low(took[2:]), statistics.median_low(core[2:]), step.changes


def hour(rate: int) -> Any:
    """An hour of the source's time: a line each ten minutes of it."""
    _on_one_core()
    day = Day(rate=rate, seconds=10.0)
    found = grid("minute", "changes", "changes/s of a core", "resident MB", "MB of the file")
    with TemporaryDirectory() as folder, Store(Path(folder) / "live.db") as store:
        consumer = Consumer(store, day, FLICKR, clock=lambda: day.now)  # type: ignore[arg-type]
        began, spent, changes = day.now, 0.0, 0
        while day.now < began + 3600:
            day.prepare()
            before = time.process_time()
            changes += consumer.step().changes
            spent += time.process_time() - before
            if (day.now - began) % 600 < day.seconds:
                size = sum(path.stat().st_size for path in Path(folder).iterdir())
                memory = psutil.Process().memory_info().rss
                found.add_row(
                    f"{(day.now - began) / 60:.0f}", f"{changes:,}", f"{changes / spent:,.0f}",
                    f"{memory / 1e6:,.0f}", f"{size / 1e6:,.1f}",
                )  # fmt: skip
                progress(f"minute {(day.now - began) / 60:.0f}")
                spent, changes = 0.0, 0
        _check(store, 2 * day.made)
    return found


def _on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _check(store: Store, changes: int) -> None:
    found = {name: sum(sums_at(store, name).values()) for name in expected(changes)}
    if found != expected(changes):
        raise SystemExit(f"counted {found}, and not {expected(changes)}")


def delays(rate: float, seconds: float) -> None:
    """Start a stack, write to it, count, and print the delays."""
    with TemporaryDirectory(prefix="smug-live-", ignore_cleanup_errors=True) as folder:
        settings = settings_in(Path(folder))
        started: list[subprocess.Popen[bytes]] = []
        try:
            stack.up(settings, FLICKR, progress=print)
            workload(settings, "--changes", str(_SEED_CHANGES)).wait()
            argv = python("-m", "smug_platform.cli", "realtime")
            started.append(start(settings, argv, settings.home / "logs" / "realtime.log"))
            _await_quiet(settings)
            done = _write_and_watch(settings, rate, seconds)
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGKILL)
            stack.down(settings)
    found = grid("asked for, changes/s", "written, changes/s", "all counted after, s",
                 "median s", "p99 s", "worst s")  # fmt: skip
    found.add_row(
        f"{rate:,.0f}", f"{done.written / seconds:,.0f}", f"{done.last:.2f}",
        *(f"{done.percentile(share):.2f}" for share in (0.5, 0.99, 1.0)),
    )  # fmt: skip
    print_grid("from the source's commit to the number", found)


@dataclass
class _Watched:
    """Changes written; how long each transaction took to be seen, with its changes; and how long
    after the end of writing all of them were.
    """

    written: int
    delays: list[tuple[float, int]]
    last: float

    def percentile(self, share: float) -> float:
        """The delay in which that share of the changes was seen."""
        left = share * sum(changes for _, changes in self.delays)
        for delay, changes in sorted(self.delays):
            left -= changes
            if left <= 0:
                return delay
        return float("nan")


def _write_and_watch(settings: Settings, rate: float, seconds: float) -> _Watched:
    """Let members write, and see when the refunds of a shard, which each transaction
    ends with, show it.
    """
    shards = settings.shards
    members = [Members(shard, number, rate / len(shards)) for number, shard in enumerate(shards)]
    with Store(store_path(settings), read_only=True) as store:
        before, seen = _refunds(store), [0] * len(members)
        found: list[tuple[float, int]] = []
        for one in members:
            one.start()
        end = time.time() + seconds
        is_writing = True
        while is_writing or any(seen[n] < len(one.commits) for n, one in enumerate(members)):
            time.sleep(_LOOK_SECONDS)
            if is_writing and time.time() > end:
                is_writing, end = False, time.time()
                for one in members:
                    one.stop()
            now_there, now = _refunds(store), time.time()
            for n, one in enumerate(members):
                shard = one.shard.name
                there = (now_there.get(shard, 0) - before.get(shard, 0)) * 10
                while seen[n] < len(one.commits) and one.commits[seen[n]].total <= there:
                    commit = one.commits[seen[n]]
                    found.append((now - commit.at, commit.changes))
                    seen[n] += 1
            if now > end + _PATIENCE_SECONDS:
                raise SystemExit("what was written is not counted")
        return _Watched(written(members), found, time.time() - end)


def _refunds(store: Store) -> dict[str, int]:
    with store.reading() as connection:
        return dict(connection.execute(_REFUNDS, (int(time.time() // 60) - 30,)).fetchall())


def _await_quiet(settings: Settings) -> None:
    """Until the consumer has counted what is there."""
    late, last = time.monotonic() + _PATIENCE_SECONDS, -1
    while time.monotonic() < late:
        time.sleep(2)
        if store_path(settings).exists():
            with Store(store_path(settings), read_only=True) as store:
                changes = store.progress().counts.get("changes", 0)
            if changes and changes == last:
                return
            last = changes
    raise SystemExit("the consumer does not count")


if __name__ == "__main__":
    typer.run(main)
