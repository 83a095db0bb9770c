"""A stream in memory: a reader's interface over a list of envelopes, and a sink that fills it."""

import json
import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from smug_platform.capture.change import Change, encode
from smug_platform.capture.sink import AtOnce
from smug_platform.settings import Settings
from smug_platform.stream.reader import Batch, Poison, StreamPositions
from smug_platform.stream.records import Record, Records
from smug_platform.stream.resources import Stream
from tests.history import compact

_SHARD = "shardId-000000000000"


@dataclass
class Recorded(AtOnce):
    """Envelopes in the order of one stream shard. most: what one read brings at most."""

    envelopes: list[bytes] = field(default_factory=list)
    incarnation: str = "recorded"
    most: int = 100_000
    poison: list[Poison] = field(default_factory=list)

    def put(self, change: Change, epoch: int = 1) -> None:
        self.envelopes.append(encode(change, epoch))

    def put_deltas(self, deltas: Iterable[Mapping[str, Any]]) -> None:
        """The deltas of a shard of tests.history, as Debezium would have put them."""
        for delta in deltas:
            self.put(change_of(delta), delta["epoch"])

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """As capture's sink."""
        del shard
        for change in changes:
            self.put(change, epoch)

    def tips(self, shard: str) -> Mapping[str, str]:
        del shard
        return {_SHARD: str(len(self.envelopes))}

    def heat(self) -> None:
        """Nothing is measured."""

    def close(self) -> None:
        pass

    def has_arrivals(self, after: StreamPositions | None) -> bool:
        return self._start(after) < len(self.envelopes)

    def read(
        self, after: StreamPositions | None, *, max_records: int = 100_000, max_seconds: float = 5.0
    ) -> Batch:
        del max_seconds
        start = self._start(after)
        end = min(start + max_records, start + self.most, len(self.envelopes))
        found = [
            Record(self.envelopes[number], _SHARD, str(number + 1), 0)
            for number in range(start, end)
        ]
        positions = StreamPositions(self.incarnation, {_SHARD: str(end)})
        poison = [each for each in self.poison if start < int(each.sequence_number) <= end]
        return Batch(
            Records.of(found), poison, positions, timedelta(seconds=len(self.envelopes) - end)
        )

    def save(self, path: Path) -> Path:
        path.write_bytes(pickle.dumps(self.envelopes))
        return path

    def _start(self, after: StreamPositions | None) -> int:
        if after is None or after.incarnation != self.incarnation:
            return 0
        return int(after.sequences[_SHARD])


class RecordedStream(Stream):
    """The resource that hands out a recorded stream."""

    def __init__(self, settings: Settings, recorded: Recorded) -> None:
        super().__init__(settings)
        self.reader = recorded  # type: ignore[assignment]


def load_recorded(path: Path) -> Recorded:
    return Recorded(pickle.loads(path.read_bytes()))


def change_of(delta: Mapping[str, Any]) -> Change:
    """The change that lands as this delta."""
    payload = json.loads(delta["payload"])
    payload["source"] |= {
        "pos": delta["binlog_offset"],
        "row": delta["row_number"],
        "ts_us": int(delta["committed_at"].timestamp() * 1_000_000),
    }
    payload["ts_ms"] = int(delta["captured_at"].timestamp() * 1_000)
    is_ddl = delta["op"] == "ddl"
    topic = delta["shard"] if is_ddl else f"{delta['shard']}.flickr.{delta['table_name']}"
    number = delta["row_number"] if delta["op"] == "r" and not delta["key"] else 0
    key = delta["key"] and delta["key"].encode()
    return Change(topic, key, compact(payload).encode(), number)
