"""Changes to the stream: packed, bounded, sent in waves, in order whatever fails.

PutRecords accepts some records of a request and refuses others, and keeps no order between those
of one request and those of its retry. Hence the rule of order: a key's changes are all in one lane,
a wave holds at most one record of each lane, and a lane's next record goes only after its last was
accepted. What was sent but not answered is sent again: readers drop the copy by its position.
A lane that is refused holds up no other: what the caller offers goes on in the rest, until so much
waits that the caller has to wait too, and in the end the source.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from smug_platform.capture.change import Change, encode
from smug_platform.capture.sink import Heat, StreamRestarted
from smug_platform.capture.written import Written
from smug_platform.errors import StreamError
from smug_platform.stream.aggregate import KEY_OVERHEAD, PACK_OVERHEAD, RECORD_OVERHEAD, pack
from smug_platform.stream.backlog import Backlog, Packed
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import (
    LOST_CONNECTION,
    StreamMissing,
    Unreachable,
    describe,
    passes,
    refusal,
)
from smug_platform.stream.heat import Thermometer, sample
from smug_platform.stream.lanes import ALL, LANES, hash_key, lane_of, partition_key
from smug_platform.stream.rows import packed_rows

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef

_log = logging.getLogger(__name__)

# What the service takes: 1 MiB a record with its partition key, 5 MiB and 500 records a request.
MAX_REQUEST_BYTES = 5 * 1024 * 1024
MAX_REQUEST_RECORDS = 500
# An aggregated record stays below the limit with its overhead; a larger user record is claimed.
_PACK_BYTES = 1_000_000
_PACK_RECORDS = 10_000
_MAX_USER_RECORD = _PACK_BYTES - PACK_OVERHEAD - RECORD_OVERHEAD - KEY_OVERHEAD - 32

# What may wait in lanes that are refused while the others go on.
MOST_WAITING = 32 * 1024 * 1024
_WARN_SECONDS = 30.0
_MISSING_SECONDS = 30.0


class PublishStopped(StreamError):
    """Publishing was asked to stop while records were still refused."""


class StreamLost(StreamRestarted):
    """The stream is not the one that publishing began with: what it held is gone."""


class Producer:
    """Publishes changes; the `Sink` of capture.

    stop: ends waiting for a stream that refuses records. wait: sleeps that many seconds and
    returns whether to stop; clock: of the same seconds. One thread publishes at a time.
    """

    def __init__(
        self,
        client: "KinesisClient",
        stream: str,
        claims: Claims,
        *,
        stop: threading.Event | None = None,
        wait: Callable[[float], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
        threads: int = 2,
    ) -> None:
        self._client, self._stream, self._claims = client, stream, claims
        self._wait, self._clock = wait or (stop or threading.Event()).wait, clock
        self._backlog, self._calls = Backlog(LANES), 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="kinesis")
        self._tips: dict[str, dict[str, str]] = {}
        self._thermometer = Thermometer()
        self._warned = float("-inf")
        self._in_doubt = False
        self._missing_since: float | None = None
        self._incarnation, _ = describe(client, stream)

    @property
    def incarnation(self) -> str:
        """What tells this stream from another of its name."""
        return self._incarnation

    def tips(self, shard: str) -> Mapping[str, str]:
        """The last sequence number for a source shard's changes, by stream shard."""
        return self._tips.get(shard, {})

    def heat(self) -> Heat | None:
        """What of the last minutes' bytes went to one lane, and to one key."""
        return self._thermometer.read()

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """Put changes on the stream; returns when it has all of them, and all that was offered.

        Raises StreamError: no such stream, no right to it, another stream under its name
        (`StreamLost`), or `PublishStopped`. What was sent by then is sent again by the next call.
        """
        self.offer(shard, epoch, changes)
        self._send_down_to(shard, 0)

    def offer(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """Put changes on the stream, after those before; returns when it has all but those of lanes
        that it refuses, of which at most `MOST_WAITING` bytes wait. Raises as `publish`.
        """
        self._warm(shard, changes)
        self._calls += 1
        self._backlog.add(self._packed(shard, epoch, changes))
        self._send_down_to(shard, MOST_WAITING)

    def unsent(self, shard: str) -> int:
        """Of so many of the last calls the stream lacks something; first sends what may be sent."""
        self._send_what_is_due(shard)
        oldest = self._backlog.oldest
        return 0 if oldest is None else self._calls - oldest + 1

    def _send_down_to(self, shard: str, most: int) -> None:
        """Send until no more than so many bytes wait, and those in lanes that rest."""
        while self._send_what_is_due(shard) > most:
            self._pause(shard, self._backlog.rest(self._clock()))

    def _send_what_is_due(self, shard: str) -> int:
        """Send wave after wave until all lanes that have something rest; the bytes that wait."""
        while wave := self._backlog.wave(self._clock()):
            self._backlog.answer(wave, self._send_wave(shard, wave), self._clock())
        return self._backlog.size

    def close(self) -> None:
        """Give back the threads."""
        self._pool.shutdown()

    def _packed(self, shard: str, epoch: int, changes: Sequence[Change]) -> Iterator[Packed]:
        """What is to be sent, lane by lane."""
        if isinstance(changes, Written):
            packs: Sequence[Iterable[bytes]] = packed_rows(changes, epoch, _PACK_BYTES)
        else:
            lanes = self._by_lane(shard, epoch, changes)
            packs = [_packs(lane, records) for lane, records in enumerate(lanes)]
        for lane, of_lane in enumerate(packs):
            for data in of_lane:
                yield Packed(lane, data, self._calls)

    def _by_lane(
        self, shard: str, epoch: int, changes: Sequence[Change]
    ) -> list[list[tuple[str, bytes]]]:
        """(partition key, data) pairs of each lane."""
        lanes: list[list[tuple[str, bytes]]] = [[] for _ in range(LANES)]
        for change in changes:
            data = encode(change, epoch)
            if len(data) > _MAX_USER_RECORD:
                data = self._claims.store(data)
            key = partition_key(change)
            lane = lane_of(shard, change, key)
            if lane == ALL:
                for records in lanes:
                    records.append((key, data))
            else:
                lanes[lane].append((key, data))
        return lanes

    def _warm(self, shard: str, changes: Sequence[Change]) -> None:
        """Count what goes to one lane, and to one key."""
        for change, times in sample(changes):
            lane = lane_of(shard, change, partition_key(change))
            if lane != ALL:
                self._thermometer.count(change, lane, len(change.value), times)

    def _send_wave(self, shard: str, wave: Sequence[Packed]) -> list[Packed]:
        """Send at most one record a lane; those that the stream took."""
        if self._in_doubt and not self._is_same_stream():
            return []
        answers = list(chain.from_iterable(self._pool.map(self._send, _requests(wave))))
        tips = self._tips.setdefault(shard, {})
        before = dict(tips)
        for _, place, sequence in answers:
            if int(sequence) <= int(before.get(place, -1)):
                raise self._lost(f"{place} went back from {before[place]} to {sequence}")
            tips[place] = str(max(int(tips.get(place, -1)), int(sequence)))
        return [packed for packed, _, _ in answers]

    def _send(self, request: Sequence[Packed]) -> list[tuple[Packed, str, str]]:
        """One PutRecords; the records it took, with stream shard and sequence number."""
        entries: list[PutRecordsRequestEntryTypeDef] = [
            {
                "Data": packed.data,
                "PartitionKey": packed.label,
                "ExplicitHashKey": hash_key(packed.lane),
            }
            for packed in request
        ]
        try:
            answer = self._client.put_records(StreamName=self._stream, Records=entries)
        except ClientError as error:
            if not passes(error):
                raise refusal(error, self._stream) from None
            self._warn(str(error))
            return []
        except LOST_CONNECTION as error:
            self._in_doubt = True
            self._warn(f"Kinesis can't be reached ({error})")
            return []
        if answer["FailedRecordCount"]:
            codes = {record["ErrorCode"] for record in answer["Records"] if "ErrorCode" in record}
            self._warn(f"refused {answer['FailedRecordCount']} records: {', '.join(sorted(codes))}")
        return [
            (packed, record["ShardId"], record["SequenceNumber"])
            for packed, record in zip(request, answer["Records"], strict=True)
            if "ErrorCode" not in record
        ]

    def _is_same_stream(self) -> bool:
        """After a lost connection: False while there is no answer; raises StreamLost."""
        try:
            found, _ = describe(self._client, self._stream)
        except Unreachable as error:
            self._warn(str(error))
            return False
        except StreamMissing:  # an endpoint that comes back empty gets its stream a moment later
            self._missing_since = self._missing_since or time.monotonic()
            if time.monotonic() - self._missing_since > _MISSING_SECONDS:
                raise
            return False
        if found != self._incarnation:
            raise self._lost(f"it was created anew ({found})")
        self._in_doubt = False
        return True

    def _lost(self, how: str) -> StreamLost:
        return StreamLost(
            f"stream {self._stream!r} is not the one that held the last changes: {how}",
            remedy="nothing to do: capture starts again, with a new snapshot where one is needed",
        )

    def _pause(self, shard: str, seconds: float) -> None:
        if self._wait(seconds):
            raise PublishStopped(
                f"{shard}: stopped before the stream took all changes",
                remedy="nothing to do: they are sent again at the next start",
            )

    def _warn(self, problem: str) -> None:
        """One line an outage, then one every half minute."""
        now = time.monotonic()
        if now - self._warned >= _WARN_SECONDS:
            self._warned = now
            _log.warning("stream %s: %s; trying again, nothing is lost", self._stream, problem)


def _packs(lane: int, records: Sequence[tuple[str, bytes]]) -> Iterator[bytes]:
    """The records of a lane in aggregated records below the limits, in order."""
    taken: list[tuple[str, bytes]] = []
    size = PACK_OVERHEAD
    for key, data in records:
        cost = len(data) + len(key) + RECORD_OVERHEAD + KEY_OVERHEAD
        if taken and (size + cost > _PACK_BYTES or len(taken) == _PACK_RECORDS):
            yield pack(taken, hash_key(lane))
            taken, size = [], PACK_OVERHEAD
        taken.append((key, data))
        size += cost
    if taken:
        yield pack(taken, hash_key(lane))


def _requests(wave: Sequence[Packed]) -> Iterator[list[Packed]]:
    """A wave cut into requests that the service takes."""
    request: list[Packed] = []
    size = 0
    for packed in wave:
        full = size + packed.size > MAX_REQUEST_BYTES or len(request) == MAX_REQUEST_RECORDS
        if request and full:
            yield request
            request, size = [], 0
        request.append(packed)
        size += packed.size
    if request:
        yield request
