"""What one commit of a lake table takes in: deltas that have landed, in parts that memory holds.

A batch is of whole commits of `raw.deltas`. What is more than one commit of them takes is left for
the next. A single one that is larger than memory allows is merged in parts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog

from smug_platform.iceberg import Table
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw

MEMORY = "smug.memory"
"""The catalog's property that says how many bytes a merge may take."""
_MEMORY = 2 << 30  # where it does not say
_TIMES = 8  # what a merge takes at most, of the bytes of its deltas in memory


@dataclass
class Batch:
    """Deltas of one table, up to a commit of `raw.deltas`.

    sequence: of the last commit that is merged with it. parts: in so many the rows come, and are
    merged one after another. control: schema changes and truncates, in no order. read_anew: shards
    of which all rows come anew, known once the control is followed. held: the rows, where they come
    in one part.
    """

    deltas: Table
    files: list[raw.DeltaFile]
    sequence: int
    parts: int = 1
    control: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0
    latest: datetime | None = None
    floor_times: dict[str, datetime] = field(default_factory=dict)
    read_anew: set[str] = field(default_factory=set)
    held: pa.Table = field(default_factory=raw.ARROW.empty_table)

    @property
    def raw_snapshot(self) -> int | None:
        """The snapshot of `raw.deltas` that it was read from."""
        snapshot = self.deltas.current_snapshot()
        return snapshot.snapshot_id if snapshot else None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing but control in it."""
        return self.size == len(self.control)

    def pieces(self) -> Iterator[pa.Table]:
        """The deltas of rows, some thousand at a time."""
        for piece in raw.pieces(self.deltas, self.files):
            yield piece.filter(pc.invert(raw.is_control(piece)))

    def without_rows(self, merged: int) -> "Batch":
        """What it says beside its rows, by itself. merged: the sequence that stays as it is."""
        return replace(self, sequence=merged, parts=1, size=0, held=raw.ARROW.empty_table())

    def look(self, pieces: Iterable[pa.Table]) -> None:
        """Note what the deltas say beside their rows; keep these when they come in one part."""
        held = []
        for piece in pieces:
            is_control = raw.is_control(piece)
            self.control += piece.filter(is_control).to_pylist()
            self.size += piece.num_rows
            latest = pc.max(piece["committed_at"]).as_py()
            self.latest = max(filter(None, (self.latest, latest)), default=None)
            if self.parts == 1:
                held.append(piece.filter(pc.invert(is_control)) if self.control else piece)
        if self.parts == 1:
            self.held = pa.concat_tables(held)


def allowed(catalog: Catalog) -> int:
    """Bytes that a merge may take."""
    return int(catalog.properties.get(MEMORY, _MEMORY))


def next_batch(
    deltas: Table, target: Target, after: int, *, most: int | None, memory: int
) -> Batch | None:
    """The deltas of the commits after sequence number `after`; None when there are none.

    most: about so many deltas, one commit at least; None for all there are. memory: bytes that
    merging them may take.
    Of commits that hold nothing but control the next one is part of it too: a table's DROP says
    nothing by itself, and what it waits for would never come.
    """
    left = [file for file in raw.delta_files(deltas, after) if file.table == target.table.name]
    batch, size = None, 0
    while left and (batch is None or batch.is_empty):
        sizes = _fitting(deltas, left, most, memory)
        chosen = [*(batch.files if batch else []), *left[: len(sizes)]]
        left, size = left[len(sizes) :], size + sum(sizes)
        parts = -(-size * _TIMES // memory)
        batch = Batch(deltas, chosen, chosen[-1].sequence, parts)
        batch.look([raw.read(deltas, chosen)] if parts == 1 else raw.pieces(deltas, chosen))
    return batch


def _fitting(deltas: Table, files: list[raw.DeltaFile], most: int | None, memory: int) -> list[int]:
    """Bytes of each of the first files, of as many whole commits as fit; of one at least."""
    sizes: list[int] = []
    rows = size = 0
    for number, file in enumerate(files):
        more = raw.memory_of(deltas, file)
        # Half, for what has landed after it is in memory too.
        is_full = most is not None and (rows >= most or size + more > memory // 2 // _TIMES)
        if is_full and number and files[number - 1].sequence != file.sequence:
            break
        sizes.append(more)
        rows, size = rows + file.rows, size + more
    return sizes
