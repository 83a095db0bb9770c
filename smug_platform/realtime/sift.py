"""Which changes count: each once, however often the stream delivers it.

A lane of the stream has one record under way at a time, so it holds the changes of its keys in
source order, and a redelivery takes up an earlier place of it and goes on from there. What is not
after the highest place that a lane has reached is a copy. Two kinds of change share one place with
others of their lane: the schema changes and the rows of a snapshot. Of those a copy is told by its
text: a schema change by its own, rows by that of all rows in the same record of the stream, which
the producer sends again as it was. So what is kept is small, however large a snapshot is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.raw.views import Array

Key = tuple[str, str]
"""A source shard, and the partition key that all records of one lane of the stream have."""
Place = tuple[int, int, int, int]
"""Epoch and binlog file in one, offset, row, and 1 for a row that comes: an update that changes a
row's key is a delete and an insert at one position.
"""
START: Place = (0, 0, 0, 0)
_FILES = 10**10
_DIGEST_BYTES = 16
_SOME = '"snapshot":"incremental"'


@dataclass(frozen=True)
class Lane:
    """How far a lane has come. seen: of what shares the place, the texts that have counted."""

    mark: Place = START
    seen: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Rows:
    """Changes in the order that they came.

    changes: rows as `raw.envelopes.read` gives them. lane: the number of each one's lane in
    `lanes`; record: the number of the stream record that it came in.
    """

    changes: pa.Table
    lanes: Sequence[Key]
    lane: Array
    record: Array

    def take(self, chosen: Array) -> "Rows":
        """Some of them, by number, in that order; all numbers are all of them."""
        if len(chosen) == len(self.lane):
            return self
        return Rows(
            self.changes.take(pa.array(chosen)), self.lanes, self.lane[chosen], self.record[chosen]
        )


def sift(rows: Rows, known: Mapping[Key, Lane]) -> tuple[Array, dict[Key, Lane]]:
    """The numbers of the changes that count, in order, and how far their lanes have come."""
    places = _places(rows.changes)
    op = rows.changes["op"]
    shares = pc.is_in(op, value_set=pa.array(["r", "ddl"], op.type)).to_numpy()
    counts = np.zeros(len(rows.lane), dtype=bool)
    order = np.argsort(rows.lane, kind="stable")
    starts = np.flatnonzero(np.diff(rows.lane[order], prepend=-1))
    reached = {}
    for chosen in np.split(order, starts[1:]) if len(order) else []:
        key = rows.lanes[rows.lane[chosen[0]]]
        lane = known.get(key, Lane())
        ranks, shared = _ranks(places[chosen], lane.mark)
        before, shared_before = (np.maximum.accumulate(each)[:-1] for each in (ranks, shared))
        mine = shares[chosen]
        counts[chosen] = ~mine & (ranks[1:] > before)
        candidates = chosen[mine & (shared[1:] >= shared_before)]
        seen = _unseen(rows, candidates, places, lane, counts)
        mark: Place = max(lane.mark, *map(tuple, places[chosen][[np.argmax(ranks[1:])]].tolist()))
        reached[key] = Lane(mark, seen.get(mark[:2], frozenset()))
    return np.flatnonzero(counts), reached


def are_some(changes: pa.Table) -> Array:
    """Which are rows that were read by a condition. Nobody knows what they were before, so there is
    nothing to take back for what they would add: they do not count.
    """
    found: Array = pc.fill_null(pc.match_substring(changes["payload"], _SOME), False).to_numpy()
    for number in np.flatnonzero(found).tolist():  # a row may hold those words too
        event = orjson.loads(changes["payload"][number].as_py())
        found[number] = (event.get("source") or {}).get("snapshot") == "incremental"
    return found


def _places(changes: pa.Table) -> Array:
    """The place of each change, a row of four numbers."""
    file = changes["epoch"].to_numpy().astype(np.int64) * _FILES + changes["binlog_file"].to_numpy()
    row = pc.fill_null(changes["row_number"], 0).to_numpy()
    comes = pc.equal(changes["op"], "c").to_numpy()
    return np.stack([file, changes["binlog_offset"].to_numpy(), row, comes], axis=1)


def _ranks(places: Array, mark: Place) -> tuple[Array, Array]:
    """The rank of the mark and of each place among them all; and that of file and offset alone."""
    whole = np.concatenate([np.array([mark], np.int64), places])
    order = np.lexsort(whole.T[::-1])
    steps = np.diff(whole[order], axis=0, prepend=whole[order][:1]) != 0
    found = np.empty((2, len(whole)), np.int64)
    found[0, order] = np.cumsum(steps.any(axis=1))
    found[1, order] = np.cumsum(steps[:, :2].any(axis=1))
    return found[0], found[1]


def _unseen(
    rows: Rows, candidates: Array, places: Array, lane: Lane, counts: Array
) -> dict[tuple[int, int], frozenset[bytes]]:
    """Let those count whose text is new at its place; the texts by place."""
    seen = {lane.mark[:2]: set(lane.seen)}
    if len(candidates):
        is_ddl = pc.equal(rows.changes["op"].take(pa.array(candidates)), "ddl").to_numpy()
        record = rows.record[candidates]
        cuts = (np.diff(record) != 0) | is_ddl[1:] | is_ddl[:-1]
        for part in np.split(candidates, np.flatnonzero(cuts) + 1):
            texts = rows.changes["payload"].take(pa.array(part)).to_pylist()
            digest = hashlib.blake2b("\n".join(texts).encode(), digest_size=_DIGEST_BYTES).digest()
            here = seen.setdefault(tuple(places[part[-1], :2].tolist()), set())
            counts[part] = digest not in here
            here.add(digest)
    return {place: frozenset(texts) for place, texts in seen.items()}
