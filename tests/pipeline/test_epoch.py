"""Another server in the place of the one that was captured, or the same from an older copy.

Real servers, the whole way to the warehouse: what happened is named, the shard is read anew in the
next epoch, and what the lake held and the server has no more is gone from the lake.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.local.mariadb import connect, load_schema
from smug_platform.oracle.arrival import NotArrived
from smug_platform.oracle.reconcile import reconcile
from smug_platform.raw.deltas import open_deltas
from smug_platform.raw.land import source_positions
from smug_platform.settings import Settings, StreamSettings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.sync import Platform
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source
from tests.conftest import free_port, local_settings
from tests.pipeline.capturing import PATIENCE, Own, Worker, capturing, one_shard
from tests.states import state_of

SMALL = Source(
    database="flickr", tables=tuple(FLICKR.table(name) for name in ("albums", "photo_views"))
)


@pytest.fixture
def own(tmp_path: Path, fresh_kinesis: StreamSettings) -> Iterator[Own]:
    """A server of this test's own, under a stack of its own."""
    settings = replace(one_shard(local_settings(tmp_path)), stream=fresh_kinesis)
    ensure_stream(kinesis_client(settings.stream), settings.stream)
    made = Own(settings, tmp_path / "mysql")
    made.start()
    load_schema(settings.shards[0])
    yield made
    made.process.stop()


@contextmanager
def captured(settings: Settings) -> Iterator[Worker]:
    """Captured to the stream until the block ends; what was to come has come by then."""
    client, claims = kinesis_client(settings.stream), Claims(settings.claims)

    def producer(stop: threading.Event) -> Producer:
        return Producer(client, settings.stream.name, claims, stop=stop)

    with capturing(settings, SMALL, producer) as worker:
        yield worker


def verify(settings: Settings, platform: Platform) -> dict[str, int]:
    """Bring what there is to the warehouse until all has come; the rows of each table, compared."""
    until = time.monotonic() + PATIENCE
    while True:
        list(platform.land())
        for target in platform.unmerged():
            platform.merge(target)
        for loaded in platform.load():
            assert not isinstance(loaded, Exception), loaded
        try:
            found = reconcile(settings, SMALL, timeout=0.5)
        except NotArrived:
            assert time.monotonic() < until, "it did not arrive"
            continue
        assert [str(d) for one in found for d in one.differences] == []
        assert all(one.equal for one in found)
        return {one.table: one.rows for one in found}


def write(own: Own, first: int, last: int) -> None:
    """Albums with these numbers, each in a transaction of its own, and a row without a key each."""
    with connect(own.settings.shards[0], database="flickr") as cursor:
        for key in range(first, last + 1):
            cursor.execute(
                "INSERT INTO albums (id, account_id, title, created_at)"
                f" VALUES ({key}, 1, 'album {key}', '2026-01-01')"
            )
        cursor.execute(
            "INSERT INTO photo_views"
            f" SELECT seq, 'DE', 'x', '2026-01-01' FROM seq_{first}_to_{last}"
        )


def epoch(platform: Platform) -> int:
    """The epoch of the newest change in raw."""
    position = source_positions(open_deltas(platform.lakehouse.catalog))["shard_0"]
    return position.epoch


@pytest.mark.parametrize(
    ("server_id", "says"),
    [
        pytest.param(78, "another server (server_id 78, was 77)", id="another-id"),
        pytest.param(77, "binlog.000001 ends before", id="the-same-id"),
    ],
)
def test_L03_L04_a_replica_that_is_promoted_is_read_anew(
    own: Own, tmp_path: Path, server_id: int, says: str
) -> None:
    """While capture runs. It lacks the last rows of the first, and the lake then lacks them too."""
    settings, shard = own.settings, own.settings.shards[0]
    platform = Platform(settings, SMALL)
    aside = replace(settings, shards=(replace(shard, port=free_port()),))
    replica = Own(aside, tmp_path / "replica", server_id=78)
    replica.start("--log-slave-updates")
    try:
        follow(replica, port=shard.port)
        write(own, 1, 50)
        wait(lambda: albums(replica) == 50)
        replica.as_root("STOP SLAVE", "RESET SLAVE ALL")
        with captured(settings) as worker:
            worker.wait_streaming()
            write(own, 51, 60)
            assert verify(settings, platform) == {"albums": 60, "photo_views": 60}
            assert epoch(platform) == 1
            replica.process.stop()
            own.process.stop()
            promoted = Own(settings, replica.folder, server_id=server_id)
            promoted.start("--log-slave-updates")
            own.process = promoted.process
            write(promoted, 101, 103)
            worker.wait(lambda: "new snapshot:" in worker.notes)
            worker.wait_streaming()
            write(promoted, 104, 104)
            assert verify(settings, platform) == {"albums": 54, "photo_views": 54}
        assert epoch(platform) == 2
        assert "another answers there" in worker.notes, "it is not waited for until nothing comes"
        assert says in worker.notes
    finally:
        replica.process.stop()


def follow(replica: Own, *, port: int) -> None:
    """Make a server a replica of the one on that port, from its very first transaction."""
    replica.as_root(
        f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='smug',"
        " MASTER_PASSWORD='smug', MASTER_LOG_FILE='binlog.000001', MASTER_LOG_POS=4",
        "START SLAVE",
    )
    wait(lambda: albums(replica) is not None)


def albums(own: Own) -> int | None:
    """How many albums a server has; None without the table."""
    with connect(own.settings.shards[0]) as cursor:
        cursor.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = 'flickr'"
            " AND table_name = 'albums'"
        )
        if not cursor.fetchone():
            return None
        cursor.execute("SELECT COUNT(*) FROM flickr.albums")
        return int((cursor.fetchone() or (0,))[0])


def wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("later", "says"),
    [
        pytest.param(2, "the binlog numbering began anew", id="shorter"),
        pytest.param(40, "holds other events than those that were captured", id="grown-past"),
    ],
)
def test_L04_a_server_restored_from_an_older_copy_is_read_anew(
    own: Own, tmp_path: Path, later: int, says: str
) -> None:
    """The files have the same names and, of the second, every number that was captured fits."""
    settings, platform = own.settings, Platform(own.settings, SMALL)
    write(own, 1, 30)
    own.process.stop()
    shutil.copytree(own.folder / "data", tmp_path / "copy")
    own.start()
    with captured(settings) as worker:
        worker.wait_streaming()
        write(own, 31, 45)
        assert verify(settings, platform) == {"albums": 45, "photo_views": 45}
        worker.wait(lambda: marked(settings))
    own.process.stop()
    shutil.rmtree(own.folder / "data")
    (tmp_path / "copy").rename(own.folder / "data")
    own.start()
    write(own, 101, 100 + later)
    with captured(settings) as worker:
        worker.wait_streaming()
        assert verify(settings, platform) == {"albums": 30 + later, "photo_views": 30 + later}
    assert says in worker.notes
    assert epoch(platform) == 2


def marked(settings: Settings) -> bool:
    """Whether capture has noted what stands where it is."""
    state = state_of(settings)
    return state is not None and state.mark is not None and state.mark.pos > 4


def test_L04_a_snapshot_after_RESET_MASTER_leaves_no_row_from_before(own: Own) -> None:
    """Of a table that is read in pieces, and of one without a key; what was deleted never came."""
    settings, platform = own.settings, Platform(own.settings, SMALL)
    write(own, 1, 30)
    with captured(settings) as worker:
        worker.wait_streaming()
        assert verify(settings, platform) == {"albums": 30, "photo_views": 30}
    with connect(settings.shards[0], database="flickr") as cursor:
        cursor.execute("DELETE FROM albums WHERE id % 3 = 0")
        cursor.execute("DELETE FROM photo_views WHERE photo_id % 3 = 0")
        cursor.execute("RESET MASTER")
    with captured(settings) as worker:
        worker.wait_streaming()
        write(own, 101, 102)
        assert verify(settings, platform) == {"albums": 22, "photo_views": 22}
    assert "the binlog numbering began anew" in worker.notes
    assert epoch(platform) == 2
