"""A stream in memory with its lanes, and a shard of several tables that writes to it.

Records hold several changes of one lane, and each lane stands in one stream shard, as the
producer has it. What a producer in doubt does, and a capture that starts again, can be done here.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from smug_platform.capture.change import Change, encode
from smug_platform.stream.lanes import ALL, LANES, lane_of, partition_key
from smug_platform.stream.reader import Batch, Poison, StreamPositions
from smug_platform.stream.records import Record, Records
from tests.history import Shard
from tests.recorded import change_of


@dataclass
class LaneStream:
    """Records by stream shard: the lane's partition key, and the envelopes.

    most: envelopes a record. doubt: how often a record is sent twice.
    """

    shards: int = 2
    most: int = 3
    doubt: float = 0.0
    incarnation: str = "lanes"
    random: Random = field(default_factory=lambda: Random(1))
    records: dict[str, list[tuple[str, list[bytes]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.records = {f"shardId-{number}": [] for number in range(self.shards)}

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """As capture's sink."""
        lanes: list[deque[bytes]] = [deque() for _ in range(LANES)]
        for change in changes:
            lane = lane_of(shard, change, partition_key(change))
            for one in range(LANES) if lane == ALL else [lane]:
                lanes[one].append(encode(change, epoch))
        while waiting := [number for number, lane in enumerate(lanes) if lane]:
            lane = self.random.choice(waiting)
            size = min(self.random.randint(1, self.most), len(lanes[lane]))
            self.put(lane, [lanes[lane].popleft() for _ in range(size)])

    def put(self, lane: int, envelopes: list[bytes]) -> None:
        """One record; once more, when the producer is in doubt."""
        records = self.records[f"shardId-{lane * self.shards // LANES}"]
        records.append((f"lane-{lane:02d}", envelopes))
        while self.random.random() < self.doubt:
            records.append((f"lane-{lane:02d}", envelopes))

    def read(
        self, after: StreamPositions | None, *, max_records: int = 100_000, max_seconds: float = 5.0
    ) -> Batch:
        """As the reader of a stream."""
        del max_seconds
        is_same = after is not None and after.incarnation == self.incarnation
        sequences = dict(after.sequences) if after and is_same else {}
        found: list[Record] = []
        poison: list[Poison] = []
        for shard, records in self.records.items():
            for number in range(int(sequences.get(shard, "0")), len(records)):
                if len(found) >= max_records:
                    break
                partition, envelopes = records[number]
                sequences[shard] = str(number + 1)
                for sub, data in enumerate(envelopes):
                    if data.startswith(b"{"):
                        found.append(Record(data, shard, str(number + 1), sub, partition))
                    else:
                        poison.append(Poison(data, "no JSON object", shard, str(number + 1)))
        left = sum(len(r) - int(sequences.get(s, "0")) for s, r in self.records.items())
        positions = StreamPositions(self.incarnation, sequences)
        return Batch(Records.of(found), poison, positions, timedelta(seconds=left))


@dataclass
class Server:
    """A source shard: tables that share one binlog."""

    name: str
    tables: dict[str, Shard]
    offset: int = 4
    taken: dict[str, int] = field(default_factory=dict)

    def do(self, table: str, what: str, *arguments: Any, **more: Any) -> None:
        """Let a table do something, at the next place of the binlog."""
        one = self.tables[table]
        one.offset = self.offset
        getattr(one, what)(*arguments, **more)
        self.offset = one.offset

    def snapshot(self) -> list[dict[str, Any]]:
        """What a snapshot of all tables puts on the stream: at one place, schemas first."""
        self.offset += 100
        for one in self.tables.values():
            one.offset = self.offset - 100
            one.snapshot()
        self.offset += 100
        found = self.new()
        return sorted(found, key=lambda delta: str(delta["op"] == "r"))

    def new(self) -> list[dict[str, Any]]:
        """The deltas since the last call, in the binlog's order."""
        found = []
        for name, one in self.tables.items():
            found += one.deltas[self.taken.get(name, 0) :]
            self.taken[name] = len(one.deltas)
        return sorted(found, key=lambda delta: delta["binlog_offset"])


def changes_of(deltas: Iterable[Mapping[str, Any]]) -> list[Change]:
    """The deltas as capture would publish them."""
    return [change_of(delta) for delta in deltas]
