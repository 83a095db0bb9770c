"""No gap, nothing backwards: what the commits of `raw.deltas` say about the positions they reached.

Each commit's summary holds where it left the stream and each source shard. Read in order, none of
these may go back, and the stream must stay the one it was: one that was created anew may have lost
what had not landed, which capture then has to notice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import orjson
from pyiceberg.table import Table as Iceberg

from smug_platform.capture.position import Position
from smug_platform.stream.pages import END
from smug_platform.stream.reader import StreamPositions


@dataclass(frozen=True)
class Reached:
    """Where one commit left the stream and the source shards. at: seconds since 1970."""

    snapshot_id: int
    at: float
    stream: StreamPositions
    sources: Mapping[str, Position]


def reached(deltas: Iceberg) -> list[Reached]:
    """What the kept commits of the table reached, oldest first."""
    found = []
    for snapshot in sorted(deltas.metadata.snapshots, key=lambda one: one.sequence_number or 0):
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        if "smug.stream" in summary:
            told = orjson.loads(summary["smug.stream"])
            stream = StreamPositions(told["incarnation"], told["sequences"])
            texts = orjson.loads(summary.get("smug.sources", "{}"))
            sources = {shard: Position.parse(text) for shard, text in texts.items()}
            at = snapshot.timestamp_ms / 1000
            found.append(Reached(snapshot.snapshot_id, at, stream, sources))
    return found


def steps_back(commits: list[Reached]) -> Iterator[str]:
    """What went back from one commit to the next, in words; nothing when all is well.

    >>> there = Reached(1, 0.0, StreamPositions("a", {"s": "7"}), {"shard_0": Position(1, 2, 3)})
    >>> back = Reached(2, 1.0, StreamPositions("a", {"s": "6"}), {"shard_0": Position(1, 2, 2)})
    >>> list(steps_back([there, there])), list(steps_back([there, back]))
    ([], ['shard_0 went back from 1/2:3#0 to 1/2:2#0', 's went back from 7 to 6'])
    """
    for before, after in pairwise(commits):
        for shard, position in before.sources.items():
            now = after.sources.get(shard)
            if now is None or now < position:
                yield f"{shard} went back from {position} to {now or 'nothing'}"
        if before.stream.incarnation != after.stream.incarnation:
            continue
        for shard, last in before.stream.sequences.items():
            next_one = after.stream.sequences.get(shard)
            if next_one is not None and _number(next_one) < _number(last):
                yield f"{shard} went back from {last} to {next_one}"


def new_streams(commits: list[Reached], *, since: float) -> list[str]:
    """The incarnations that took the place of another after `since` (seconds since 1970)."""
    return [
        after.stream.incarnation
        for before, after in pairwise(commits)
        if before.stream.incarnation != after.stream.incarnation and after.at >= since
    ]


def _number(sequence: str) -> float:
    """Sequence numbers do not fit 64 bits, and Python's numbers hold them; the end is the last."""
    return float("inf") if sequence == END else int(sequence)
