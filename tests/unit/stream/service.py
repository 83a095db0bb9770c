"""Kinesis in memory: limits, shards by hash key, partial refusal, iterators, split and merge.

It answers as the service does, so that producer and reader are tested against its rules. Failures
are injected by `refuse`, which says of each record of a request whether it is refused.
"""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

SPACE = 2**128
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Stored:
    data: bytes
    key: str
    hash_key: int
    sequence: int
    at: float = 0.0


@dataclass
class Part:
    """One shard."""

    id: str
    start: int
    end: int
    parents: tuple[str, ...] = ()
    closed: bool = False
    records: list[Stored] = field(default_factory=list)


def error(code: str, status: int = 400, call: str = "PutRecords") -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, call)


class KinesisInMemory:
    """One stream."""

    def __init__(self, shards: int = 2, *, created: datetime = _EPOCH, retention_hours: int = 24):
        step = SPACE // shards
        self.parts = [
            Part(f"shardId-{i:012d}", i * step, (i + 1) * step - 1 if i < shards - 1 else SPACE - 1)
            for i in range(shards)
        ]
        self.created, self.retention_hours = created, retention_hours
        self.refuse: Callable[[int, dict[str, Any]], bool] = lambda _call, _record: False
        self.fail: Callable[[str], None] = lambda _operation: None
        self.now = 0.0
        self.calls = 0
        self.requests: list[list[dict[str, Any]]] = []
        self._sequence = itertools.count(49_590_000_000_000_000_000_000)

    # -- writing ---------------------------------------------------------------------------------

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002
        self.fail("PutRecords")
        sizes = [len(record["Data"]) + len(record["PartitionKey"]) for record in Records]
        if len(Records) > 500 or sum(sizes) > 5 * 1024**2 or max(sizes) > 1024**2:
            raise error("InvalidArgumentException")
        self.calls += 1
        self.requests.append(Records)
        answers: list[dict[str, Any]] = []
        for record in Records:
            if self.refuse(self.calls, record):
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException"})
            else:
                part, sequence = self._put(record)
                answers.append({"ShardId": part.id, "SequenceNumber": str(sequence)})
        failed = sum("ErrorCode" in answer for answer in answers)
        return {"FailedRecordCount": failed, "Records": answers}

    def _put(self, record: dict[str, Any]) -> tuple[Part, int]:
        digest = hashlib.md5(record["PartitionKey"].encode()).hexdigest()
        place = int(record.get("ExplicitHashKey") or int(digest, 16))
        part = next(p for p in self.parts if not p.closed and p.start <= place <= p.end)
        sequence = next(self._sequence)
        part.records.append(
            Stored(record["Data"], record["PartitionKey"], place, sequence, self.now)
        )
        return part, sequence

    # -- resharding ------------------------------------------------------------------------------

    def split(self, part: Part) -> None:
        part.closed = True
        middle = (part.start + part.end) // 2
        for start, end in ((part.start, middle), (middle + 1, part.end)):
            self.parts.append(Part(self._next_id(), start, end, (part.id,)))

    def merge(self, left: Part, right: Part) -> None:
        left.closed = right.closed = True
        self.parts.append(Part(self._next_id(), left.start, right.end, (left.id, right.id)))

    def _next_id(self) -> str:
        return f"shardId-{len(self.parts):012d}"

    # -- reading ---------------------------------------------------------------------------------

    def describe_stream_summary(self, *, StreamName: str) -> dict[str, Any]:
        self.fail("DescribeStreamSummary")
        return {
            "StreamDescriptionSummary": {
                "StreamARN": f"arn:aws:kinesis:us-east-1:1:stream/{StreamName}",
                "StreamCreationTimestamp": self.created,
                "RetentionPeriodHours": self.retention_hours,
            }
        }

    def list_shards(self, **_asked: Any) -> dict[str, Any]:
        self.fail("ListShards")
        shards = []
        for part in self.parts:
            shard: dict[str, Any] = {"ShardId": part.id, "SequenceNumberRange": {}}
            if part.closed:
                shard["SequenceNumberRange"]["EndingSequenceNumber"] = str(10**30)
            for name, parent in zip(
                ("ParentShardId", "AdjacentParentShardId"), part.parents, strict=False
            ):
                shard[name] = parent
            shards.append(shard)
        return {"Shards": shards}

    def get_shard_iterator(
        self,
        *,
        ShardId: str,
        ShardIteratorType: str,
        StartingSequenceNumber: str = "-1",
        **_asked: Any,
    ) -> dict[str, Any]:
        part = self._part(ShardId)
        after = int(StartingSequenceNumber)
        known = {record.sequence for record in part.records}
        if ShardIteratorType == "AFTER_SEQUENCE_NUMBER" and after not in known:
            raise error("InvalidArgumentException", call="GetShardIterator")
        return {"ShardIterator": f"{ShardId}|{after}"}

    def get_records(self, *, ShardIterator: str, Limit: int = 10_000) -> dict[str, Any]:
        self.fail("GetRecords")
        name, _, after = ShardIterator.partition("|")
        part = self._part(name)
        rest = [record for record in part.records if record.sequence > int(after)]
        page, left = rest[:Limit], rest[Limit:]
        last = page[-1].sequence if page else int(after)
        answer: dict[str, Any] = {
            "Records": [
                {"Data": r.data, "PartitionKey": r.key, "SequenceNumber": str(r.sequence)}
                for r in page
            ],
            "MillisBehindLatest": int((self.now - page[0].at) * 1000) + len(left) if page else 0,
        }
        if left or not part.closed:
            answer["NextShardIterator"] = f"{name}|{last}"
        return answer

    def _part(self, name: str) -> Part:
        return next(part for part in self.parts if part.id == name)

    def restart(self) -> None:
        """Forget all, as a new stream under the same name."""
        for part in self.parts:
            part.records.clear()
        self.created += timedelta(hours=1)
        self._sequence = itertools.count(1)
