"""A stream that refuses, under real capture: what arrives is whole and in order, and who has to
wait is the source.

Time is compressed by ten: the producer's pauses, the watch's patience and the server's with a
replica that does not read (`net_write_timeout`). So half a minute stands for five. The server hangs
up meanwhile; capture notices when it reads on, and connects anew where it stood.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from smug_platform.capture import server, watch
from smug_platform.local.mariadb import connect
from smug_platform.settings import Settings, Shard, StreamSettings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.stream.reader import Reader
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source
from tests.conftest import free_port, fresh_database, local_settings
from tests.pipeline.capturing import PATIENCE, Own, capturing, one_shard
from tests.pipeline.throttling import Refusals, throttling

FASTER = 10
FIVE_MINUTES = 300 / FASTER
ALBUMS, ROUNDS = 2_000, 40
ALBUM = "SELECT seq, 1, 'x', b'1', 0, NULL, '2026-01-01'"
ALBUMS_ONLY = Source(database="flickr", tables=(FLICKR.table("albums"),))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    settings = one_shard(local_settings(tmp_path))
    made = Own(settings, settings.home / "mysql")
    made.start(f"--net-write-timeout={60 // FASTER}")
    fresh_database(settings.shards[0])
    yield made
    made.process.stop()


@pytest.fixture
def refusals(own: Own, fresh_kinesis: StreamSettings) -> Iterator[Refusals]:
    """What the proxy does before which the server's settings now stand."""
    port = free_port()
    with throttling(str(fresh_kinesis.endpoint), port) as made:
        stream = replace(fresh_kinesis, endpoint=f"http://127.0.0.1:{port}")
        own.settings = replace(own.settings, stream=stream)
        ensure_stream(kinesis_client(stream), stream)
        yield made


def test_M01_M02_who_waits_for_a_stream_that_refuses_is_the_source(
    own: Own, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M01 M02: of each request 30 % of the records are refused, and for five minutes all are."""
    monkeypatch.setattr(watch, "STALL_SECONDS", watch.STALL_SECONDS / FASTER)
    settings, shard = own.settings, own.settings.shards[0]
    client, claims = kinesis_client(settings.stream), Claims(settings.claims)

    def producer(stop: threading.Event) -> Producer:
        def wait(seconds: float) -> bool:
            return stop.wait(seconds / FASTER)

        return Producer(client, settings.stream.name, claims, wait=wait)

    refusals.share = 0.3
    write(shard, f"INSERT INTO albums {ALBUM} FROM seq_1_to_{ALBUMS}")
    with capturing(settings, ALBUMS_ONLY, producer) as worker:
        worker.wait_streaming()
        worker.wait(lambda: worker.statuses[-1].events >= ALBUMS)
        refusals.throttled = True
        began, seen = time.monotonic(), len(worker.statuses)
        for count in range(1, ROUNDS + 1):
            write(shard, f"UPDATE albums SET photo_count = {count}, title = REPEAT('{count}', 100)")
        told = {dump_state(shard) for _ in until(began + FIVE_MINUTES)}
        throttled = worker.statuses[seen:]
        refusals.throttled = False
        counts = read(settings, client, claims)
        worker.wait(lambda: worker.statuses[-1].lag == 0)
    assert "Writing to net" in told, "the binlog waits at the server"
    assert {status.phase for status in throttled} == {"streaming"}
    assert throttled[-1].events == throttled[0].events
    assert throttled[-1].lag > 0.8 * FIVE_MINUTES
    for found in counts.values():
        assert list(dict.fromkeys(found)) == list(range(ROUNDS + 1))
    assert "snapshot" not in worker.notes
    assert {status.epoch for status in worker.statuses if status.phase == "streaming"} == {1}
    assert refusals.refused > 0.25 * refusals.asked


def until(moment: float) -> Iterator[None]:
    """Each half second until a moment of the monotonic clock."""
    while time.monotonic() < moment:
        yield
        time.sleep(0.5)


def write(shard: Shard, statement: str) -> None:
    with connect(shard, database="flickr") as cursor:
        cursor.execute(statement)


def dump_state(shard: Shard) -> str:
    """What the server says of its sending to capture, "" when nobody reads its binlog."""
    with server.connect(shard) as connection:
        rows = server.ask_all(connection, "SHOW PROCESSLIST")
    return next((str(row["State"]) for row in rows if row["Command"] == "Binlog Dump"), "")


def read(settings: Settings, client: Any, claims: Claims) -> dict[int, list[int]]:
    """The counts of each album in the order of the stream, once each has the last one."""
    reader = Reader(client, settings.stream.name, claims)
    seen: dict[int, list[int]] = {}
    positions, until = None, time.monotonic() + PATIENCE
    while len(seen) < ALBUMS or any(ROUNDS not in counts for counts in seen.values()):
        assert time.monotonic() < until, "changes are missing"
        batch = reader.read(positions, max_seconds=1)
        positions = batch.positions
        for record in batch.records:
            envelope = orjson.loads(record.data)
            if envelope["topic"].endswith(".albums"):
                after = envelope["value"]["after"]
                seen.setdefault(after["id"], []).append(after["photo_count"])
    return seen
