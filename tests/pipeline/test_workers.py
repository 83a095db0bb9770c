"""Several workers as real processes: one is killed, one stands still and comes back, one is ended.

They capture two shards under load. The tests stand in the order of the stack's life; after each all
that the source holds is in lake and warehouse, once.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from smug_platform.capture.position import Position, file_number
from smug_platform.capture.resources import open_store
from smug_platform.local.kinesis import forget_streams
from smug_platform.local.stack import settings_environ
from smug_platform.settings import Settings, StreamSettings, load_settings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.stream.reader import Reader, StreamPositions
from smug_platform.stream.records import Record
from smug_platform.sync import Platform
from smug_platform.tables.flickr import FLICKR
from tests.conftest import fresh_database
from tests.pipeline.test_whole_way import Way, aside, eventually
from tests.states import state_of, status_of

ROOT = Path(__file__).parents[2]
TABLES = ("photos", "accounts", "photo_views")  # the last has no key, so that doubles show


@dataclass
class Fleet:
    """The stack of this module and its workers, by pid."""

    way: Way
    workers: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return self.way.settings

    @property
    def halt(self) -> Path:
        return self.settings.home / "halt"

    def start(self) -> int:
        """Start a worker; its pid once it has signed."""
        log = (self.settings.home / "workers.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.pipeline.capture_process", str(self.halt)],
            cwd=ROOT,
            env={**os.environ, **settings_environ(self.settings), "SMUG_LEASE_SECONDS": "3"},
            stdout=log,
            stderr=log,
        )
        log.close()
        self.workers[process.pid] = process
        store = open_store(self.settings)
        eventually(lambda: any(f":{process.pid}:" in name for name in store.workers()))
        return process.pid

    def end(self, pid: int, number: int) -> int:
        process = self.workers.pop(pid)
        process.send_signal(number)
        return process.wait(40)

    def owners(self) -> dict[str, int | None]:
        """The pid of each shard's worker."""
        found = open_store(self.settings).leases()
        return {
            shard: int(lease.worker.split(":")[1]) if lease.worker else None
            for shard, lease in sorted(found.items())
        }

    def await_owners(self, *pids: int) -> None:
        """Until these workers, and no others, have the shards and stream them."""

        def streaming() -> bool:
            shards = [shard.name for shard in self.settings.shards]
            told = [status_of(self.settings, shard) for shard in shards]
            return set(self.owners().values()) == set(pids) and all(
                status is not None and status.phase == "streaming" for status in told
            )

        eventually(streaming)

    def await_progress(self) -> None:
        """Until each shard's capture has come further than it is now."""
        before = {s.name: state_of(self.settings, s.name) for s in self.settings.shards}

        def moved(shard: str) -> bool:
            then, now = before[shard], state_of(self.settings, shard)
            return bool(then and now and now.position and then.position < now.position)

        eventually(lambda: all(moved(shard) for shard in before))

    @contextmanager
    def load(self, seed: int) -> Iterator[None]:
        def write(stop: threading.Event) -> None:
            self.way.write(100_000, seed=seed, rate=100, stop=stop, evolve=False)

        with aside(write):
            yield


@pytest.fixture(scope="module")
def fleet(
    shards: Settings, kinesis: StreamSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    for shard in shards.shards:
        fresh_database(shard)
    forget_streams(kinesis)
    ensure_stream(kinesis_client(kinesis), kinesis)
    settings = replace(
        _local(tmp_path_factory.mktemp("fleet")), shards=shards.shards, stream=kinesis
    )
    way = Way(settings, Platform(settings, FLICKR))
    way.write(300, seed=1, evolve=False)
    made = Fleet(way)
    yield made
    for process in made.workers.values():
        process.kill()
        process.wait()


def _local(home: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})


def test_a_second_worker_gets_its_share(fleet: Fleet) -> None:
    first = fleet.start()
    fleet.await_owners(first)
    second = fleet.start()
    fleet.await_owners(first, second)


def test_M13_what_a_killed_worker_had_the_others_capture(fleet: Fleet) -> None:
    killed, left = list(fleet.workers)
    with fleet.load(seed=2):
        fleet.await_progress()
        assert fleet.end(killed, signal.SIGKILL) == -signal.SIGKILL
        fleet.await_owners(left)
        fleet.await_progress()
    fleet.way.catch_up()
    fleet.way.verified(*TABLES)


def test_one_that_comes_back_late_doubles_its_records_and_changes_nothing(fleet: Fleet) -> None:
    """It stands still between the look at its lease and the stream, and goes on from there."""
    (late,) = fleet.workers
    with fleet.load(seed=3):
        fleet.await_progress()
        fleet.halt.touch()
        eventually(lambda: not fleet.halt.exists())
        heir = fleet.start()
        fleet.await_owners(heir)
        fleet.await_progress()
        leases, states = open_store(fleet.settings).leases(), _positions(fleet.settings)
        _, tip = _read(fleet.settings, None)
        fleet.workers[late].send_signal(signal.SIGCONT)
        fleet.await_owners(late, heir)  # it has let go, and got its share anew
        fleet.await_progress()
    records, _ = _read(fleet.settings, tip)
    assert [shard for shard, position in records if position <= states[shard]] != []
    now = open_store(fleet.settings).leases()
    assert all(now[shard].counter >= leases[shard].counter for shard in now)
    fleet.way.catch_up()
    fleet.way.verified(*TABLES)


def test_sigterm_gives_the_shards_back_at_once(fleet: Fleet) -> None:
    ended, left = list(fleet.workers)
    with fleet.load(seed=4):
        fleet.await_progress()
        (had,) = [shard for shard, pid in fleet.owners().items() if pid == ended]
        counter = open_store(fleet.settings).leases()[had].counter
        assert fleet.end(ended, signal.SIGTERM) == 0
        assert fleet.owners()[had] in (None, left)  # and no lease that has to run out
        assert f":{ended}:" not in "".join(open_store(fleet.settings).workers())
        fleet.await_owners(left)
        fleet.await_progress()
    assert open_store(fleet.settings).leases()[had].counter == counter + 1
    fleet.way.catch_up()
    fleet.way.verified(*TABLES)
    assert "Traceback" not in (fleet.settings.home / "workers.log").read_text()


def _positions(settings: Settings) -> dict[str, Position]:
    states = {shard.name: state_of(settings, shard.name) for shard in settings.shards}
    return {name: state.position for name, state in states.items() if state and state.position}


def _read(
    settings: Settings, positions: StreamPositions | None
) -> tuple[list[tuple[str, Position]], StreamPositions | None]:
    """Source shard and position of the stream's records after some positions, up to its tip."""
    client = kinesis_client(settings.stream)
    reader = Reader(client, settings.stream.name, Claims(settings.claims))
    found: list[tuple[str, Position]] = []
    while True:
        batch = reader.read(positions, max_seconds=1)
        found += [_place(record) for record in batch.records]
        positions = batch.positions
        if batch.at_tip:
            return found, positions


def _place(record: Record) -> tuple[str, Position]:
    envelope: dict[str, Any] = orjson.loads(record.data)
    source = envelope["value"]["source"]
    place = Position(
        envelope["epoch"], file_number(source["file"]), source["pos"], source.get("row") or 0
    )
    return source["name"], place
