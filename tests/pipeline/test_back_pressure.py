"""A stream that refuses, under real capture: what arrives is whole and in order, and who has to
wait is the source.

Time is compressed by ten: the producer's pauses and what may wait in it, the watch's patience and
the server's with a replica that does not read (`net_write_timeout`). So half a minute stands for
five. The server hangs up meanwhile; capture notices when it reads on, and connects anew where it
stood.
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
from smug_platform.capture.change import Change
from smug_platform.capture.position import file_number
from smug_platform.capture.resources import open_store
from smug_platform.capture.sink import is_hot
from smug_platform.local.mariadb import connect
from smug_platform.settings import Settings, Shard, StreamSettings
from smug_platform.stream import producer as stream_producer
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.stream.lanes import lane_of, partition_key
from smug_platform.stream.producer import Producer
from smug_platform.stream.reader import Reader
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source
from tests.conftest import free_port, fresh_database, local_settings
from tests.pipeline.capturing import Own, capturing, one_shard
from tests.pipeline.throttling import Refusals, throttling
from tests.states import state_of

FASTER = 10
FIVE_MINUTES = 300 / FASTER
ALBUMS, ROUNDS = 2_000, 40
OTHERS, HOT = range(2, 42), 60
HEAT = range(HOT)
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
    monkeypatch.setattr(stream_producer, "MOST_WAITING", stream_producer.MOST_WAITING // FASTER)
    settings, shard = own.settings, own.settings.shards[0]
    client, claims = kinesis_client(settings.stream), Claims(settings.claims)

    def producer(stop: threading.Event) -> Producer:
        def wait(seconds: float) -> bool:
            return stop.wait(seconds / FASTER)

        def clock() -> float:
            return time.monotonic() * FASTER

        return Producer(client, settings.stream.name, claims, wait=wait, clock=clock)

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
        expected = {key: list(range(ROUNDS + 1)) for key in range(1, ALBUMS + 1)}
        worker.wait(lambda: read(settings, client, claims) == expected)
        worker.wait(lambda: worker.statuses[-1].lag == 0)
    assert "Writing to net" in told, "the binlog waits at the server"
    assert {status.phase for status in throttled} == {"streaming"}
    assert throttled[-1].events == throttled[0].events
    assert throttled[-1].lag > 0
    assert "snapshot" not in worker.notes
    assert {status.epoch for status in worker.statuses if status.phase == "streaming"} == {1}
    assert refusals.refused > 0.25 * refusals.asked


def test_M06_a_hot_key_that_the_stream_refuses_holds_up_no_other(
    own: Own, refusals: Refusals
) -> None:
    """M06: 60 % of the changes are of one row, whose lane is refused: all changes of the others
    arrive before one of it does. What is refused is not remembered, so an end loses nothing.
    """
    settings, shard = own.settings, own.settings.shards[0]
    client, claims = kinesis_client(settings.stream), Claims(settings.claims)
    lane = lane_of_album(1)

    def producer(stop: threading.Event) -> Producer:
        return Producer(client, settings.stream.name, claims, stop=stop)

    def others_are_there() -> bool:
        found = read(settings, client, claims)
        assert found[1] == [0], "the lane was not refused"
        return all(found[key][-1] == ROUNDS for key in OTHERS if lane_of_album(key) != lane)

    write(shard, f"INSERT INTO albums {ALBUM} FROM seq_1_to_{OTHERS[-1]}")
    with capturing(settings, ALBUMS_ONLY, producer) as worker:
        worker.wait_streaming()
        worker.wait(lambda: OTHERS[-1] in read(settings, client, claims))
        refusals.lane = f"lane-{lane:02d}"
        for number in range(1, ROUNDS + 1):
            if number == ROUNDS // 2:  # a window that waits for this lane holds up nobody either
                open_store(settings).ask("shard_0", "albums", "id = 2")
                worker.wait(lambda: (now := state_of(settings)) is not None and bool(now.unread))
            write(
                shard,
                *(f"UPDATE albums SET photo_count = {number * HOT + n} WHERE id = 1" for n in HEAT),
                f"UPDATE albums SET photo_count = {number} WHERE id > 1",
            )
        worker.wait(others_are_there)
        worker.wait(lambda: (heat := worker.statuses[-1].heat) is not None and is_hot(heat, 0.5))
        told, state = worker.statuses[-1], state_of(settings)
    assert told.heat is not None
    assert (told.heat.lane, told.heat.key) == (lane, 'albums {"id":1}')
    assert told.lag > 0
    assert state is not None
    with server.connect(shard) as connection:
        file, offset = server.newest_position(connection)
    assert state.place < (file_number(file), offset)
    refusals.lane = ""
    expected = {key: list(range(ROUNDS + 1)) for key in OTHERS}
    expected[1] = [0, *range(HOT, (ROUNDS + 1) * HOT)]
    with capturing(settings, ALBUMS_ONLY, producer) as worker:
        worker.wait(lambda: read(settings, client, claims) == expected)


def lane_of_album(key: int) -> int:
    change = Change("shard_0.flickr.albums", b'{"id":%d}' % key, b"")
    return lane_of("shard_0", change, partition_key(change))


def until(moment: float) -> Iterator[None]:
    """Each half second until a moment of the monotonic clock."""
    while time.monotonic() < moment:
        yield
        time.sleep(0.5)


def write(shard: Shard, *statements: str) -> None:
    with connect(shard, database="flickr") as cursor:
        for statement in statements:
            cursor.execute(statement)


def dump_state(shard: Shard) -> str:
    """What the server says of its sending to capture, "" when nobody reads its binlog."""
    with server.connect(shard) as connection:
        rows = server.ask_all(connection, "SHOW PROCESSLIST")
    return next((str(row["State"]) for row in rows if row["Command"] == "Binlog Dump"), "")


def read(settings: Settings, client: Any, claims: Claims) -> dict[int, list[int]]:
    """The counts of each album that are on the stream now, in its order, each once."""
    reader = Reader(client, settings.stream.name, claims)
    seen: dict[int, list[int]] = {}
    batch = reader.read(None, max_seconds=1)
    while True:
        for record in batch.records:
            envelope = orjson.loads(record.data)
            if envelope["topic"].endswith(".albums"):
                after = envelope["value"]["after"]
                seen.setdefault(after["id"], []).append(after["photo_count"])
        if batch.at_tip:
            return {key: list(dict.fromkeys(counts)) for key, counts in seen.items()}
        batch = reader.read(batch.positions, max_seconds=1)
