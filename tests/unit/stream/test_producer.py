"""The producer against the service's rules: partial failure, throttling, limits, order."""

import itertools
import logging
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

from smug_platform.capture.change import Change
from smug_platform.errors import StreamError
from smug_platform.stream.aggregate import unpack
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import MISSING
from smug_platform.stream.lanes import LANES, hash_key, lane_of, partition_key
from smug_platform.stream.producer import Producer, PublishStopped, StreamLost
from tests.unit.stream.service import KinesisInMemory, error

SHARD = "shard_0"


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self, service: KinesisInMemory, stop_after: float = float("inf")) -> None:
        self._service, self._stop_after = service, stop_after
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self._service.now += seconds
        return self._service.now > self._stop_after


def producer(service: Any, tmp_path: Path, **options: Any) -> Producer:
    options = {"wait": Clock(service).wait, "clock": lambda: service.now} | options
    return Producer(service, "changes", Claims(f"file://{tmp_path}/claims"), **options)


def row(key: int, number: int, text: str = "") -> Change:
    value = f'{{"n":{number},"t":"{text}"}}'
    return Change(f"{SHARD}.flickr.photos", b'{"id":%d}' % key, value.encode())


def arrived(service: KinesisInMemory) -> list[dict[str, Any]]:
    """All envelopes, in the order of each shard."""
    return [
        orjson.loads(envelope)
        for part in service.parts
        for record in part.records
        for envelope in unpack(record.data)
    ]


def by_key(envelopes: list[dict[str, Any]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for envelope in envelopes:
        found.setdefault(envelope["key"]["id"], []).append(envelope["value"]["n"])
    return found


def test_M01_partial_failure_keeps_key_order(tmp_path: Path):
    """M01: of each request a third of the records is refused."""
    service = KinesisInMemory(shards=4)
    chance = random.Random(1)
    service.refuse = lambda _call, _record: chance.random() < 0.3
    sent = producer(service, tmp_path)
    changes = [row(n % 97, n, "x" * 2000) for n in range(5000)]
    for first in range(0, len(changes), 700):
        sent.publish(SHARD, 1, changes[first : first + 700])
    expected: dict[int, list[int]] = {}
    for n in range(5000):
        expected.setdefault(n % 97, []).append(n)
    assert by_key(arrived(service)) == expected


@settings(deadline=None, max_examples=60)
@given(
    keys=st.lists(st.integers(0, 5), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 10), min_size=1, max_size=8),
    refusals=st.lists(st.booleans(), max_size=40),
    shards=st.integers(1, 4),
)
def test_M01_whatever_fails_each_key_is_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    keys: list[int],
    cuts: list[int],
    refusals: list[bool],
    shards: int,
):
    """M01: any pattern of refusals, any batches."""
    service = KinesisInMemory(shards)
    plan = iter(refusals)
    service.refuse = lambda _call, _record: next(plan, False)
    sent = producer(service, tmp_path_factory.getbasetemp())
    changes = [row(key, n) for n, key in enumerate(keys)]
    rest = iter(changes)
    for size in itertools.cycle(cuts):
        batch = list(itertools.islice(rest, size))
        if not batch:
            break
        sent.publish(SHARD, 1, batch)
    expected: dict[int, list[int]] = {}
    for n, key in enumerate(keys):
        expected.setdefault(key, []).append(n)
    assert by_key(arrived(service)) == expected


def test_M02_five_minutes_of_throttling_lose_nothing_and_do_not_hammer(tmp_path: Path):
    """M02: the whole request is refused for five minutes."""
    service = KinesisInMemory()
    calls = 0

    def throttle(operation: str) -> None:
        nonlocal calls
        if operation == "PutRecords":
            calls += 1
            if service.now < 300:
                raise error("ProvisionedThroughputExceededException")

    service.fail = throttle
    clock = Clock(service)
    producer(service, tmp_path, wait=clock.wait).publish(SHARD, 1, [row(n, n) for n in range(50)])
    assert len(arrived(service)) == 50
    assert calls < 150
    assert max(clock.pauses) <= 10


def test_M02_throttling_record_by_record_is_waited_out(tmp_path: Path):
    """M02: requests are accepted and every record in them is refused, for five minutes."""
    service = KinesisInMemory()
    service.refuse = lambda _call, _record: service.now < 300
    producer(service, tmp_path).publish(SHARD, 1, [row(n, n) for n in range(50)])
    assert by_key(arrived(service)) == {n: [n] for n in range(50)}


def of_others(service: KinesisInMemory) -> list[int]:
    return [envelope["value"]["n"] for envelope in arrived(service) if envelope["key"]["id"] != 1]


def test_M06_a_stream_shard_that_refuses_makes_no_other_wait(tmp_path: Path):
    """M06: a hot key has 60 % of the changes, and its stream shard takes nothing for an hour."""
    service = KinesisInMemory(shards=LANES)
    hot = lane_of(SHARD, row(1, 0), partition_key(row(1, 0)))
    others = [n for n in range(2, 60) if lane_of(SHARD, row(n, 0), partition_key(row(n, 0))) != hot]
    service.refuse = lambda _call, record: (
        service.now < 3600 and record["ExplicitHashKey"] == hash_key(hot)
    )
    sent = producer(service, tmp_path)
    for n in range(200):
        batch = [row(1, 3 * n + i) for i in range(3)] + [row(others[n % len(others)], n)] * 2
        sent.offer(SHARD, 1, batch)
        assert sent.unsent(SHARD) == n + 1
        assert sorted(of_others(service)) == [each for each in range(n + 1) for _ in range(2)]
        assert service.now == 0, "nobody waited"
    asked = sum(
        record["ExplicitHashKey"] == hash_key(hot) for r in service.requests for record in r
    )
    assert asked < 10, "the lane rests"
    sent.publish(SHARD, 1, [row(1, 600)])
    assert sent.unsent(SHARD) == 0
    assert by_key(arrived(service))[1] == list(range(601))


def test_M06_what_waits_in_a_lane_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    service = KinesisInMemory()
    service.refuse = lambda _call, _record: service.now < 600
    monkeypatch.setattr("smug_platform.stream.producer.MOST_WAITING", 10_000)
    sent = producer(service, tmp_path)
    sent.offer(SHARD, 1, [row(1, 0, "x" * 8_000)])
    assert (service.now, arrived(service)) == (0.0, [])
    sent.offer(SHARD, 1, [row(1, 1, "x" * 8_000)])
    assert service.now >= 600
    assert by_key(arrived(service)) == {1: [0, 1]}


def test_a_stop_ends_the_waiting(tmp_path: Path):
    service = KinesisInMemory()
    service.refuse = lambda _call, _record: True
    sent = producer(service, tmp_path, wait=Clock(service, stop_after=60).wait)
    with pytest.raises(PublishStopped):
        sent.publish(SHARD, 1, [row(1, 1)])


def test_an_endpoint_that_was_away_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    service = KinesisInMemory()

    def away(_operation: str) -> None:
        if 0 < service.now < 60:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    sent = producer(service, tmp_path)
    service.fail, service.now = away, 1.0
    with caplog.at_level(logging.WARNING):
        sent.publish(SHARD, 1, [row(1, 1)])
    assert by_key(arrived(service)) == {1: [1]}
    assert len(caplog.records) == 1
    assert "nothing is lost" in caplog.text


def test_an_endpoint_that_comes_back_as_another_stream_is_told(tmp_path: Path):
    service = KinesisInMemory()
    sent = producer(service, tmp_path)
    sent.publish(SHARD, 1, [row(1, 1)])

    def away(_operation: str) -> None:
        if service.now < 5:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    service.restart()
    service.fail = away
    with pytest.raises(StreamLost):
        sent.publish(SHARD, 1, [row(1, 2)])


def test_sequence_numbers_that_go_back_tell_of_another_stream(tmp_path: Path):
    service = KinesisInMemory()
    sent = producer(service, tmp_path)
    sent.publish(SHARD, 1, [row(1, 1)])
    service.restart()
    with pytest.raises(StreamLost, match="went back"):
        sent.publish(SHARD, 1, [row(1, 2)])


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (MISSING, "does not exist"),
        ("AccessDeniedException", "check the credentials"),
        ("KMSAccessDeniedException", "check the credentials"),
    ],
    ids=["M12-deleted", "M12-denied", "M12-kms"],
)
def test_what_no_retry_helps_is_an_error_at_once(tmp_path: Path, code: str, says: str):
    service = KinesisInMemory()
    sent = producer(service, tmp_path, wait=lambda _seconds: pytest.fail("waited"))

    def refuse(_operation: str) -> None:
        raise error(code)

    service.fail = refuse
    with pytest.raises(StreamError, match=says):
        sent.publish(SHARD, 1, [row(1, 1)])


def test_M04_requests_and_records_stay_below_the_limits(tmp_path: Path):
    """M04: the service refuses what is larger; here all of it is taken, and packed well."""
    service = KinesisInMemory()
    changes = [row(n, n, "x" * 900) for n in range(30_000)]
    producer(service, tmp_path).publish(SHARD, 1, changes)
    assert len(arrived(service)) == 30_000
    assert sum(len(part.records) for part in service.parts) < 60


@pytest.mark.parametrize(
    "size",
    [2**20 - 1, 2**20, 2**20 + 1, 10 * 2**20, 100 * 2**20],
    ids=["M03-1MiB-1", "M03-1MiB", "M03-1MiB+1", "M03-10MiB", "M03-100MiB"],
)
def test_a_record_over_the_limit_is_claimed(tmp_path: Path, size: int):
    service = KinesisInMemory()
    change = row(1, 1, "x" * (size - 100))
    producer(service, tmp_path).publish(SHARD, 1, [row(1, 0), change, row(1, 2)])
    first, claim, last = arrived(service)
    assert (first["value"]["n"], last["value"]["n"]) == (0, 2)
    whole = Claims(f"file://{tmp_path}/claims").resolve(orjson.dumps(claim))
    assert orjson.loads(whole)["value"]["n"] == 1


def test_M08_schema_changes_reach_every_lane_before_the_rows_that_need_them(tmp_path: Path):
    """M08: whatever lane is read, the change of the schema comes first."""
    service = KinesisInMemory()
    ddl = Change(SHARD, b'{"databaseName":"flickr"}', b'{"ddl":"ALTER"}')
    rows = [row(n, n) for n in range(200)]
    producer(service, tmp_path).publish(SHARD, 1, [*rows[:100], ddl, *rows[100:]])
    lanes: dict[str, list[dict[str, Any]]] = {}
    for part in service.parts:
        for record in part.records:
            envelopes = [orjson.loads(data) for data in unpack(record.data)]
            lanes.setdefault(record.key, []).extend(envelopes)
    assert len(lanes) == LANES
    for envelopes in lanes.values():
        place = [envelope["topic"] for envelope in envelopes].index(SHARD)
        assert all(envelope["value"]["n"] < 100 for envelope in envelopes[:place])
        assert all(envelope["value"]["n"] >= 100 for envelope in envelopes[place + 1 :])


def test_tips_tell_how_far_the_stream_holds_a_shard(tmp_path: Path):
    service = KinesisInMemory()
    sent = producer(service, tmp_path)
    sent.publish(SHARD, 1, [row(n, n) for n in range(100)])
    assert sent.tips(SHARD) == {part.id: str(part.records[-1].sequence) for part in service.parts}
    assert sent.tips("shard_1") == {}


def test_the_heat_is_of_what_was_published_each_change_once(tmp_path: Path):
    service = KinesisInMemory()
    chance = random.Random(1)
    service.refuse = lambda _call, _record: chance.random() < 0.5
    sent = producer(service, tmp_path)
    ddl = Change(SHARD, b'{"databaseName":"flickr"}', b'{"ddl":"ALTER"}')
    sent.publish(SHARD, 1, [ddl, *(row(1, n, "x" * 100) for n in range(50))])
    found = sent.heat()
    assert found is not None
    assert (found.records, found.lane_share, found.key) == (50, 1.0, 'photos {"id":1}')
