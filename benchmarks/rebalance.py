"""How long a shard stands still while workers come, go and are killed, and that nothing is lost.

A local stack of its own: N MariaDB shards written to all the time, real engines, `smug up` with
`--workers` in steps. A pause is the longest time in which what capture remembers of a shard did not
move; it is told for the shards that changed hands and for those that stayed. At the end source,
lake and warehouse are compared row by row, in a table with a key and in one without, where doubles
show.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from bench.show import grid, print_grid, progress

from smug_platform.capture import server
from smug_platform.capture.position import Position, file_number
from smug_platform.capture.resources import open_store
from smug_platform.capture.store import Lease, Store
from smug_platform.local import stack
from smug_platform.local.mariadb import connect
from smug_platform.local.processes import Registry
from smug_platform.oracle.arrival import Cut, capture_states, uncaptured
from smug_platform.oracle.reconcile import reconcile
from smug_platform.settings import Settings, Shard, load_settings
from smug_platform.sync import Platform, sync
from smug_platform.tables.flickr import FLICKR

_LOOK_SECONDS = 0.05
_STEADY_SECONDS = 8.0
_PATIENCE = 180.0
_TABLES = ["albums", "photo_views"]


@dataclass
class Watcher:
    """Looks at what capture remembers, and keeps when each shard last moved."""

    store: Store
    shards: list[str]
    last: dict[str, tuple[Position | None, float]] = field(default_factory=dict)
    pauses: dict[str, float] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_SECONDS):
            for shard in self.shards:
                state, now = self.store.state(shard), time.monotonic()
                position = state.position if state else None
                before, since = self.last.get(shard, (None, now))
                self.pauses[shard] = max(self.pauses.get(shard, 0.0), now - since)
                self.last[shard] = (position, since if position == before else now)

    def begin(self) -> None:
        """Count anew."""
        now = time.monotonic()
        self.last = {shard: (self.last[shard][0], now) for shard in self.shards}
        self.pauses = {}


def main(
    shards: Annotated[int, typer.Option(help="source shards")] = 8,
    workers: Annotated[str, typer.Option(help="how many capture, by commas")] = "1,4,2",
    rate: Annotated[float, typer.Option(help="transactions a second, of three rows, a shard")] = 10,
    port: Annotated[int, typer.Option(help="the first of the shards' ports")] = 23306,
) -> None:
    """Run the benchmark and print its tables."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        settings = load_settings(
            {
                "SMUG_ENV": "test",
                "SMUG_HOME": folder,
                "SMUG_SHARD_COUNT": str(shards),
                "SMUG_MYSQL_PORT": str(port),
                "SMUG_KINESIS_PORT": str(port + shards),
            }
        )
        try:
            measure(settings, [int(count) for count in workers.split(",")], rate)
        finally:
            stack.down(settings)


def measure(settings: Settings, counts: list[int], rate: float) -> None:
    names = [shard.name for shard in settings.shards]
    store = open_store(settings)
    watcher, found = Watcher(store, names), grid("what", "shard", "worker", "pause s")
    progress(f"starting {len(names)} shards")
    stack.up(settings, FLICKR, capture=False)
    stack.up(settings, FLICKR, workers=counts[0])
    with aside(watcher.run), writing(settings.shards, rate) as written:
        settled(store, names, counts[0])
        step(f"{counts[0]}, steady", lambda: None, watcher, found)
        for before, count in pairwise(counts):
            progress(f"{before} workers become {count}")
            step(f"{before} to {count}", lambda n=count: turn(settings, n), watcher, found)
        progress("killing one")
        step("SIGKILL", lambda: kill(settings, counts[-1]), watcher, found)
    print_grid(f"{len(names)} shards under load", found)
    compare(settings, written())


def step(name: str, change: Callable[[], None], watcher: Watcher, found: object) -> None:
    """Make a change, give it time, and add a line a shard."""
    before = watcher.store.leases()
    watcher.begin()
    change()
    moving(watcher)
    time.sleep(_STEADY_SECONDS)
    after = watcher.store.leases()
    for shard in watcher.shards:
        found.add_row(  # type: ignore[attr-defined]
            name, shard, hands(before[shard], after[shard]), f"{watcher.pauses[shard]:.1f}"
        )


def hands(before: Lease, after: Lease) -> str:
    moved = after.counter - before.counter
    return f"{pid(before)} to {pid(after)}" if moved else f"{pid(after)} all along"


def pid(lease: Lease) -> str:
    return lease.worker.split(":")[1] if lease.worker else "nobody"


def turn(settings: Settings, count: int) -> None:
    stack.up(settings, FLICKR, workers=count)
    settled(open_store(settings), [shard.name for shard in settings.shards], count)


def kill(settings: Settings, count: int) -> None:
    found = Registry(settings.home).find(stack.worker_name(count - 1))
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    store = open_store(settings)
    until(lambda: all(f":{found.pid}:" not in str(x.worker) for x in store.leases().values()))
    settled(store, [shard.name for shard in settings.shards], count - 1)


def settled(store: Store, shards: list[str], count: int) -> None:
    """Until so many workers have shards, each of them its share, and stream them."""

    def holds() -> bool:
        workers = [lease.worker for lease in store.leases().values()]
        shares = {workers.count(worker) for worker in workers}
        told = [store.status(shard) for shard in shards]
        return (
            None not in workers
            and len(set(workers)) == min(count, len(shards))
            and max(shares) - min(shares) <= 1
            and all(status and status.phase == "streaming" for status in told)
        )

    until(holds)


def moving(watcher: Watcher) -> None:
    """Until each shard has moved since now."""
    began = time.monotonic()
    until(lambda: all(watcher.last[shard][1] > began for shard in watcher.shards))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("it did not happen in time")
        time.sleep(0.05)


@contextmanager
def aside(*works: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(stop,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def writing(shards: tuple[Shard, ...], rate: float) -> Iterator[Callable[[], int]]:
    """Write to all shards; gives how many transactions there were by now."""
    counts = dict.fromkeys(range(len(shards)), 0)

    def writer(number: int, shard: Shard) -> Callable[[threading.Event], None]:
        def write(stop: threading.Event) -> None:
            with connect(shard, database="flickr") as cursor:
                while not stop.wait(1 / rate):
                    key = counts[number] = counts[number] + 1
                    cursor.execute("BEGIN")
                    cursor.execute(
                        "INSERT INTO albums (id, account_id, title, created_at)"
                        f" VALUES ({key}, 1, 'album {key}', '2026-01-01')"
                    )
                    cursor.execute(f"UPDATE albums SET photo_count={key} WHERE id={key // 2}")
                    cursor.execute(
                        f"INSERT INTO photo_views VALUES ({key % 7}, 'DE', 'x', '2026-01-01')"
                    )
                    cursor.execute("COMMIT")

        return write

    with aside(*(writer(number, shard) for number, shard in enumerate(shards))):
        yield lambda: sum(counts.values())


def compare(settings: Settings, transactions: int) -> None:
    """Bring all to lake and warehouse, and print what differs from the source."""
    cuts = []
    for shard in settings.shards:
        with server.connect(shard) as connection:
            file, offset = server.newest_position(connection)
        cuts.append(Cut(shard.name, 1, file_number(file), offset))
    until(lambda: uncaptured(capture_states(settings), cuts) is None)
    progress("to the lake")
    platform = Platform(settings, FLICKR)
    while sync(platform).moved:
        pass
    ended = grid("table", "rows of the source", "different in lake or warehouse")
    found = reconcile(settings, FLICKR, tables=_TABLES, timeout=_PATIENCE)
    for table in _TABLES:
        mine = [one for one in found if one.table == table]
        ended.add_row(
            table, f"{sum(x.rows for x in mine):,}", f"{sum(x.different for x in mine):,}"
        )
    print_grid(f"after {transactions:,} transactions", ended)


if __name__ == "__main__":
    typer.run(main)
