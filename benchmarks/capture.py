"""Changes a second from a real binlog to the stream, beside the engine alone and two other readers.

MariaDB servers are filled and changed first; then each reader has the same binlog from the same
place, in a process of its own, one and two shards at once: the engine with an empty handler (the
limit), ours, a handler that puts record by record with Debezium as it comes, and the pure-Python
`mysql-replication`. The last two get a part of the changes, for they are slow. Everything runs on
this machine's cores: with `moto` as stream it takes most of them, so a sink that only answers is
measured too. `cores us` is what a change costs the reader's own process. Snapshots are of the same
tables, rows a second: ours are read in pieces, the others' by Debezium.
"""

import multiprocessing
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from bench import cheap, pure, readers
from bench.job import Job
from bench.process import fresh
from bench.show import grid, print_grid, progress
from bench.sources import fill, folder_of, running, update
from bench.stack import settings_in

from smug_platform.settings import Settings
from smug_platform.stream.client import ensure_stream, kinesis_client

_SLOW = 4  # they get so many times fewer, yet enough for a compiler that warms up
READERS: dict[str, Callable[[Job], tuple[float, float]]] = {
    "engine alone": readers.alone,
    "ours": readers.ours,
    "record by record": readers.record_by_record,
    "mysql-replication": pure.pure_python,
}


@dataclass(frozen=True)
class Bench:
    """What all runs share. base: the homes whose state stands before the changes, by shape."""

    settings: Settings
    sink_port: int
    rows: int
    changes: int
    runs: int
    tuned: tuple[tuple[str, str], ...] = ()

    def job(self, shape: str, shards: int, sink: str, changes: int, *, base: str = "") -> Job:
        """A run in a fresh home, with the state of a base or none."""
        home = folder_of(self.settings, "run")
        shutil.rmtree(home, ignore_errors=True)
        if base:
            shutil.copytree(folder_of(self.settings, base), home)
        stream = self.settings.stream
        if sink == "answers":
            stream = replace(stream, endpoint=f"http://127.0.0.1:{self.sink_port}")
        else:
            client = kinesis_client(stream)
            if stream.name in client.list_streams()["StreamNames"]:
                client.delete_stream(StreamName=stream.name)
                client.get_waiter("stream_not_exists").wait(
                    StreamName=stream.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
                )
            ensure_stream(client, stream)
        settings = replace(
            self.settings,
            home=home,
            claims=f"file://{home}/claims",
            stream=stream,
            shards=self.settings.shards[:shards],
        )
        return Job(settings, shape, changes, self.tuned)


def main(
    rows: Annotated[int, typer.Option(help="of each table, for snapshots")] = 100_000,
    changes: Annotated[int, typer.Option(help="of each shard")] = 200_000,
    shapes: Annotated[str, typer.Option(help="narrow (8 columns), wide (57)")] = "narrow,wide",
    shards: Annotated[str, typer.Option(help="how many at once")] = "1,2",
    sinks: Annotated[str, typer.Option(help="answers (keeps nothing), moto")] = "answers,moto",
    only: Annotated[str, typer.Option(help="readers, by commas")] = "",
    runs: Annotated[int, typer.Option(help="of which the best is shown")] = 3,
    tune: Annotated[str, typer.Option(help="engine settings for it alone, as a=b,c=d")] = "",
) -> None:
    """Run the benchmark and print its table."""
    tuned = tuple(tuple(pair.split("=")) for pair in tune.split(",") if pair)
    with TemporaryDirectory(prefix="smug-capture-", ignore_cleanup_errors=True) as folder:
        settings = settings_in(Path(folder))
        with running(settings), _answering() as port:
            bench = Bench(settings, port, rows, changes, runs, tuned)  # type: ignore[arg-type]
            _measure(bench, shapes.split(","), shards, sinks, only.split(",") if only else [])


def _measure(bench: Bench, shapes: list[str], shards: str, sinks: str, only: list[str]) -> None:
    found = grid("what", "reader", "shards", "sink", "changes/s", "of the limit", "cores us")
    for shape in shapes:
        fill(bench.settings, shape, bench.rows)
        limits: dict[int, float] = {}
        for what, count in (("snapshot", bench.rows), ("changes", bench.changes)):
            if what == "changes":
                _remember(bench, shape)
                update(bench.settings, shape, bench.rows, bench.changes)
            for at_once in map(int, shards.split(",")):
                for name, reader, sink in _runs(what, sinks.split(","), only):
                    slow = reader in (readers.record_by_record, pure.pure_python)
                    part = count // _SLOW if slow else count
                    base = f"base-{shape}" if what != "snapshot" else ""
                    seconds, cpu = min(
                        fresh(reader, bench.job(shape, at_once, sink, part, base=base)).value
                        for _ in range(bench.runs)
                    )
                    rate = part * at_once / seconds
                    if name == "engine alone":
                        limits[at_once] = rate
                    share = f"{rate / limits[at_once]:.0%}" if at_once in limits else ""
                    progress(f"{shape} {what} {name} {at_once} {sink}: {rate:,.0f}/s {share}")
                    found.add_row(
                        f"{shape}, {what}", name, str(at_once), sink, f"{rate:,.0f}", share,
                        f"{cpu / part / at_once * 1e6:.0f}",
                    )  # fmt: skip
    print_grid(f"{bench.changes:,} changes and {bench.rows:,} rows of each shard", found)


def _runs(
    what: str, sinks: list[str], only: list[str]
) -> Iterator[tuple[str, Callable[[Job], tuple[float, float]], str]]:
    """The engine alone once, the others into each sink; pure Python has no snapshot."""
    for name, reader in READERS.items():
        if (only and name not in only) or (what == "snapshot" and name == "mysql-replication"):
            continue
        for sink in ["none"] if name == "engine alone" else sinks:
            yield name, reader, sink


def _remember(bench: Bench, shape: str) -> None:
    """Capture the rows once, and keep the state that stands after them."""
    job = bench.job(shape, len(bench.settings.shards), "answers", bench.rows)
    fresh(readers.settle, job)
    shutil.move(job.settings.home, folder_of(bench.settings, f"base-{shape}"))


@contextmanager
def _answering() -> Iterator[int]:
    """The sink that keeps nothing, in a process of its own; its port."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = int(held.getsockname()[1])
    process = multiprocessing.get_context("spawn").Process(
        target=cheap.serve, args=(port,), daemon=True
    )
    process.start()
    try:
        yield port
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    typer.run(main)
