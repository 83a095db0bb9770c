"""The stream from given positions on: every record once, in the order of its stream shard.

A shard that was split or merged is read to its end before its children. A record that can't be
taken apart is set aside and stops nothing. Positions are handed back with the records; whoever
commits the one commits the other with it.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from smug_platform.errors import StreamError
from smug_platform.stream.aggregate import DamagedRecord, unpack
from smug_platform.stream.claims import BadClaim, Claims
from smug_platform.stream.client import describe, ensure_stream, kinesis_client
from smug_platform.stream.envelope import NotAnEnvelope, check_envelope
from smug_platform.stream.pages import (
    CAPTURE_ANEW,
    END,
    Page,
    Pages,
    StreamShard,
    check_known,
)
from smug_platform.stream.records import Gathered, Origin, Records

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import RecordTypeDef

__all__ = [
    "END",
    "READ_BYTES",
    "Batch",
    "Poison",
    "Reader",
    "StreamPositions",
    "ensure_stream",
    "kinesis_client",
]

READ_BYTES = 128 << 20
"""Bytes of records that one read brings at most, about; landing them takes some six times that."""
_SLACK_SECONDS = 60


@dataclass(frozen=True)
class Poison:
    """A stream record, or an envelope of one, that can't be read, with the reason."""

    data: bytes
    reason: str
    stream_shard: str
    sequence_number: str


@dataclass(frozen=True)
class StreamPositions:
    """Up to where a stream has been read.

    incarnation: which stream; one created anew is read from its start. sequences: the last
    sequence number read, by stream shard; `SHARD_END` for one that is read to its end.
    """

    incarnation: str
    sequences: Mapping[str, str]

    def covers(self, incarnation: str, sequences: Mapping[str, str]) -> bool:
        """Whether all up to these sequence numbers of a stream has been read.

        >>> StreamPositions("a", {"shardId-0": "12"}).covers("a", {"shardId-0": "9"})
        True
        """
        if not sequences:
            return True
        return self.incarnation == incarnation and all(
            self._reaches(shard, last) for shard, last in sequences.items()
        )

    def _reaches(self, shard: str, last: str) -> bool:
        read = self.sequences.get(shard, "-1")
        return read == END or int(last) <= int(read)


@dataclass(frozen=True)
class Batch:
    """What one read brought. behind: how old the oldest unread record is, at least; zero when
    everything was read.
    """

    records: Records
    poison: list[Poison]
    positions: StreamPositions
    behind: timedelta

    @property
    def at_tip(self) -> bool:
        """True when nothing was left to read."""
        return self.behind == timedelta(0)


@dataclass
class _Bounds:
    """How much a read may still take."""

    records: int
    bytes: int
    until: float

    @property
    def open(self) -> bool:
        return self.records > 0 and self.bytes > 0 and time.monotonic() < self.until


class Reader:
    """Reads one stream. Not for use by two threads at once.

    claims: where oversized records are. refresh: seconds for which a peek believes what it knows
    of the stream's shards. since: where a shard without a position is begun; its oldest record
    unless given.
    """

    def __init__(
        self,
        client: "KinesisClient",
        stream: str,
        claims: Claims,
        *,
        refresh: float = 5.0,
        since: datetime | None = None,
    ) -> None:
        self._client, self._stream, self._claims = client, stream, claims
        self._pages = Pages(client, stream, since)
        self._refresh = refresh
        self._incarnation = ""
        self._retention = 0
        self._shards: list[StreamShard] = []
        self._looked = float("-inf")

    def read(
        self,
        after: StreamPositions | None,
        *,
        max_records: int = 100_000,
        max_bytes: int = READ_BYTES,
        max_seconds: float = 5.0,
    ) -> Batch:
        """What follows `after`, until nothing is left or a bound is reached.

        A bound may be passed by what one stream record holds. Raises StreamError: no stream, no
        answer, or positions that the stream no longer has.
        """
        self._look()
        reading = _Reading(
            self._resume(after), _Bounds(max_records, max_bytes, time.monotonic() + max_seconds)
        )
        while reading.bounds.open and (ready := reading.ready(self._shards)):
            for shard in ready:
                last = reading.sequences.get(shard.id)
                page = self._pages.fetch(shard.id, last, until=reading.bounds.until)
                if page is None:
                    reading.behind = max(reading.behind, 1)
                    break
                self._check_retention(shard, last, page)
                if not reading.take(shard, page, self._claims):
                    self._pages.forget(shard.id)
                    break
        return reading.batch(self._incarnation, self._shards)

    def has_arrivals(self, after: StreamPositions | None) -> bool:
        """Whether a read would bring something: at most one record of each shard is fetched."""
        if time.monotonic() - self._looked > self._refresh:
            self._look()
        sequences = self._resume(after)
        until = time.monotonic() + 1.0
        for shard in self._shards:
            last = sequences.get(shard.id)
            if last == END:
                continue
            page = self._pages.fetch(shard.id, last, until=until, peek=True)
            if page is None or page.records:
                return True
        return False

    def _look(self) -> None:
        """Which stream it is, and its shards."""
        incarnation, self._retention = describe(self._client, self._stream)
        if incarnation != self._incarnation:
            self._pages.forget()
        self._incarnation = incarnation
        self._shards = self._pages.shards()
        self._looked = time.monotonic()

    def _resume(self, after: StreamPositions | None) -> dict[str, str]:
        """The positions that count for this stream."""
        if after is None or after.incarnation != self._incarnation:
            return {}
        check_known(self._stream, after.sequences, self._shards)
        return dict(after.sequences)

    def _check_retention(self, shard: StreamShard, last: str | None, page: Page) -> None:
        """What lies as far back as the stream reaches may have lost its predecessors."""
        if last is not None and page.behind > (self._retention - _SLACK_SECONDS) * 1000:
            raise StreamError(
                f"{shard.id} of stream {self._stream!r} was read last so long ago that records"
                " may have passed out of it unread",
                remedy=CAPTURE_ANEW,
            )


@dataclass
class _Reading:
    """One read under way."""

    sequences: dict[str, str]
    bounds: _Bounds
    records: Gathered = field(default_factory=Gathered)
    poison: list[Poison] = field(default_factory=list)
    drained: set[str] = field(default_factory=set)
    behind: int = 0

    def ready(self, shards: Iterable[StreamShard]) -> list[StreamShard]:
        """The shards to read next: not at their tip yet, and with their parents read out."""
        done = {shard.id for shard in shards if self._is_read_out(shard)}
        listed = {shard.id for shard in shards}
        return [
            shard
            for shard in shards
            if shard.id not in self.drained
            and not self._ended(shard.id)
            and all(parent in done or parent not in listed for parent in shard.parents)
        ]

    def take(self, shard: StreamShard, page: Page, claims: Claims) -> bool:
        """Take a page's records; False when a bound left some of them."""
        for record in page.records:
            if not self.bounds.open:
                self.behind = max(self.behind, page.behind, 1)
                return False
            self._take(shard.id, record, claims)
        if page.ended:
            self.sequences[shard.id] = END
        if page.ended or (not page.records and page.behind == 0):
            self.drained.add(shard.id)
        self.behind = max(self.behind, page.behind)
        return True

    def batch(self, incarnation: str, shards: Iterable[StreamShard]) -> Batch:
        """What was read; it is behind by a millisecond at least unless all was read."""
        rest = any(shard.id not in self.drained and not self._ended(shard.id) for shard in shards)
        behind = max(self.behind, 1) if rest else 0
        return Batch(
            self.records.records(),
            self.poison,
            StreamPositions(incarnation, self.sequences),
            timedelta(milliseconds=behind),
        )

    def _take(self, shard: str, record: "RecordTypeDef", claims: Claims) -> None:
        sequence, data = record["SequenceNumber"], bytes(record["Data"])
        self.sequences[shard] = sequence
        try:
            found = unpack(data)
        except DamagedRecord as error:
            self.poison.append(Poison(data, str(error), shard, sequence))
            return
        envelopes, subs, size = [], [], self.records.size
        for sub, envelope in enumerate(found):
            try:
                whole = claims.resolve(envelope)
                check_envelope(whole, plain=whole is data)
            except (BadClaim, NotAnEnvelope) as error:
                self.poison.append(Poison(envelope, str(error), shard, sequence))
                continue
            envelopes.append(whole)
            subs.append(sub)
        if envelopes:
            self.records.add(Origin(shard, sequence, record["PartitionKey"]), envelopes, subs)
            self.bounds.records -= len(envelopes)
            self.bounds.bytes -= self.records.size - size

    def _is_read_out(self, shard: StreamShard) -> bool:
        """Nothing of it is left, and nothing will follow."""
        return self._ended(shard.id) or (shard.closed and shard.id in self.drained)

    def _ended(self, shard: str) -> bool:
        return self.sequences.get(shard) == END
