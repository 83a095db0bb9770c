"""Pages of stream records: iterators, limits and back-off of one stream's shards.

An iterator is kept with the sequence number it stands after, so that the next read or peek goes on
without asking for a new one. What Kinesis refuses for the moment is asked again with jitter until
the caller's time is up.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from smug_platform.aws import code
from smug_platform.errors import StreamError
from smug_platform.stream.client import (
    EXPIRED_ITERATOR,
    LOST_CONNECTION,
    passes,
    refusal,
    unreachable,
)

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import RecordTypeDef, ShardTypeDef

END = "SHARD_END"
"""In place of a sequence number: the shard was read to its end."""

# An aggregated record has up to 1 MiB, and an endpoint without the service's 10 MB bound would
# send all it has. So a page is asked for small first and grows while its records are small.
_FIRST_LIMIT, _HIGHEST_LIMIT = 64, 1000
_PAGE_BYTES = 8 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

CAPTURE_ANEW = "capture the shards anew: stop capture, remove the capture folder, start it again"


@dataclass(frozen=True)
class StreamShard:
    """One shard. closed: it was split or merged and takes no more records."""

    id: str
    parents: tuple[str, ...]
    closed: bool


@dataclass(frozen=True)
class Page:
    """Records of one shard. behind: milliseconds; ended: nothing will ever follow."""

    records: Sequence["RecordTypeDef"]
    behind: int
    ended: bool


class Pages:
    """Reads one stream. Not for use by two threads at once.

    since: where a shard is begun that nothing was read of; its oldest record unless given.
    """

    def __init__(self, client: "KinesisClient", stream: str, since: datetime | None = None) -> None:
        self._client, self._stream, self._since = client, stream, since
        self._iterators: dict[str, tuple[str | None, str]] = {}
        self._limits: dict[str, int] = {}

    def shards(self) -> list[StreamShard]:
        """All shards that still hold records, or may get some."""
        try:
            answer = self._client.list_shards(StreamName=self._stream)
            found = answer["Shards"]
            while token := answer.get("NextToken"):
                answer = self._client.list_shards(NextToken=token)
                found += answer["Shards"]
        except ClientError as error:
            raise refusal(error, self._stream) from None
        except LOST_CONNECTION as error:
            raise unreachable(error, self._stream) from None
        return [_stream_shard(shard) for shard in found]

    def forget(self, shard: str | None = None) -> None:
        """Drop the iterator of a shard, or of all."""
        if shard is None:
            self._iterators.clear()
        else:
            self._iterators.pop(shard, None)

    def fetch(
        self, shard: str, after: str | None, *, until: float, peek: bool = False
    ) -> Page | None:
        """The records after a sequence number, None when Kinesis gave none before `until`.

        after: None for the shard's oldest, or the first since the moment that was asked for.
        until: a moment of time.monotonic. peek: only one record, and stay before it. Raises
        StreamError.
        """
        refusals = 0
        while True:
            try:
                return self._fetch(shard, after, peek=peek)
            except ClientError as error:
                if code(error) == EXPIRED_ITERATOR:
                    self.forget(shard)
                elif not passes(error):
                    raise self._refused(error, shard, after) from None
            except LOST_CONNECTION as error:
                raise unreachable(error, self._stream) from None
            refusals += 1
            pause = random.uniform(0, min(_FIRST_PAUSE * 2 ** min(refusals, 16), _LONGEST_PAUSE))
            if time.monotonic() + pause >= until:
                return None
            time.sleep(pause)

    def _fetch(self, shard: str, after: str | None, *, peek: bool) -> Page:
        limit = 1 if peek else self._limits.get(shard, _FIRST_LIMIT)
        answer = self._client.get_records(ShardIterator=self._iterator(shard, after), Limit=limit)
        records, following = answer["Records"], answer.get("NextShardIterator")
        if following and not (peek and records):
            last = records[-1]["SequenceNumber"] if records else after
            self._iterators[shard] = (last, following)
        if records and not peek:
            self._limits[shard] = _next_limit(limit, records)
        return Page(records, answer.get("MillisBehindLatest", 0), ended=following is None)

    def _iterator(self, shard: str, after: str | None) -> str:
        kept = self._iterators.get(shard)
        if kept and kept[0] == after:
            return kept[1]
        if after is None and self._since is not None:
            answer = self._client.get_shard_iterator(
                StreamName=self._stream,
                ShardId=shard,
                ShardIteratorType="AT_TIMESTAMP",
                Timestamp=self._since,
            )
        elif after is None:
            answer = self._client.get_shard_iterator(
                StreamName=self._stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )
        else:
            answer = self._client.get_shard_iterator(
                StreamName=self._stream,
                ShardId=shard,
                ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                StartingSequenceNumber=after,
            )
        self._iterators[shard] = (after, answer["ShardIterator"])
        return answer["ShardIterator"]

    def _refused(self, error: ClientError, shard: str, after: str | None) -> StreamError:
        if code(error) == "InvalidArgumentException" and after is not None:
            return StreamError(
                f"{shard} of stream {self._stream!r} does not know position {after} any more",
                remedy=CAPTURE_ANEW,
            )
        return refusal(error, self._stream)


def check_known(stream: str, sequences: Mapping[str, str], shards: Sequence[StreamShard]) -> None:
    """Raise StreamError when a shard is gone that was not read to its end."""
    listed = {shard.id for shard in shards}
    lost = sorted(name for name, last in sequences.items() if name not in listed and last != END)
    if lost:
        raise StreamError(
            f"{lost[0]} of stream {stream!r} is gone and was not read to its end",
            remedy=CAPTURE_ANEW,
        )


def _stream_shard(shard: "ShardTypeDef") -> StreamShard:
    parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    return StreamShard(
        shard["ShardId"],
        tuple(parent for parent in parents if parent),
        "EndingSequenceNumber" in shard["SequenceNumberRange"],
    )


def _next_limit(limit: int, records: Sequence["RecordTypeDef"]) -> int:
    average = sum(len(record["Data"]) for record in records) / len(records) + 1
    return max(1, min(2 * limit, _HIGHEST_LIMIT, int(_PAGE_BYTES / average)))
