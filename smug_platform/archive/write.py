"""Writing the archive: what raw has accepted since the last time becomes objects and manifests.

Commit after commit of `raw.deltas`, some at a time. Objects are written first and count for nothing
until a manifest names them; a manifest is made in one step, and only if its number is free. So a
writing that is ended anywhere, or meets another, neither loses nor doubles a change.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from operator import attrgetter

import numpy as np
from pyiceberg.catalog import Catalog

from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import Chain, Manifest, Sealed, Taken, manifest_name
from smug_platform.archive.objects import Piece, encode, pieces
from smug_platform.archive.store import Exists
from smug_platform.capture.position import Position
from smug_platform.errors import ArchiveError
from smug_platform.iceberg import Table
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Source

_ROWS, _BYTES = 500_000, 256 << 20  # of the deltas that are archived at once
_THREADS = 2


@dataclass(frozen=True)
class Written:
    """What one writing did."""

    manifests: tuple[Manifest, ...]
    seconds: float


@dataclass(frozen=True)
class _Reach:
    """Up to which raw commit a writing goes. start: what a shard that is new there goes on from."""

    raw: str
    start: int
    through: int


def write(catalog: Catalog, archive: Archive, source: Source) -> Written:
    """Archive all that has landed and is not there yet. Raises ArchiveError."""
    started = time.perf_counter()
    made = tuple(_write(catalog, archive, source))
    return Written(made, time.perf_counter() - started)


def _write(catalog: Catalog, archive: Archive, source: Source) -> Iterator[Manifest]:
    archive.settle()
    deltas = raw.open_deltas(catalog)
    table = str(deltas.metadata.table_uuid)
    known = {shard: chain.of(table) for shard, chain in archive.chains().items()}
    start = min((chain.complete for chain in known.values()), default=0)
    last = start
    for files in _some(deltas, start):
        last = files[-1].sequence
        found = _pieces(deltas, files, known)
        known |= {
            shard: archive.chains([shard])[shard].of(table)
            for shard in {piece.shard for piece in found} - set(known)
        }
        yield from _chunk(archive, source, known, found, _Reach(table, start, last))
    behind = [chain for chain in known.values() if chain.complete < last]
    for chain in behind:  # where nothing happened, that is written down
        known[chain.shard], manifest = _seal_hour(
            archive, chain, f"{datetime.now(UTC):%Y-%m-%dT%H}", [], _Reach(table, start, last), True
        )
        yield manifest


def _some(deltas: Table, after: int) -> Iterator[list[raw.DeltaFile]]:
    """The files of whole commits, as many as are archived at once."""
    chosen: list[raw.DeltaFile] = []
    rows = size = 0
    for _, commit in groupby(raw.delta_files(deltas, after), attrgetter("sequence")):
        files = list(commit)
        more = sum(raw.memory_of(deltas, file) for file in files)
        count = sum(file.rows for file in files)
        if chosen and (rows + count > _ROWS or size + more > _BYTES):
            yield chosen
            chosen, rows, size = [], 0, 0
        chosen, rows, size = chosen + files, rows + count, size + more
    if chosen:
        yield chosen


def _pieces(
    deltas: Table, files: Sequence[raw.DeltaFile], known: Mapping[str, Chain]
) -> list[Piece]:
    by_table: dict[str, list[raw.DeltaFile]] = {}
    for file in files:
        by_table.setdefault(file.table, []).append(file)
    found: list[Piece] = []
    for table, own in by_table.items():
        sequences = np.repeat([file.sequence for file in own], [file.rows for file in own])
        found += pieces(raw.read(deltas, own), sequences, known, table)
    return sorted(found, key=lambda piece: (piece.shard, piece.hour, piece.table))


def _chunk(
    archive: Archive,
    source: Source,
    known: dict[str, Chain],
    found: list[Piece],
    reach: _Reach,
) -> Iterator[Manifest]:
    """Write the pieces of some commits, hour after hour of each shard, new shards first."""
    hours = [
        (known[shard], hour, list(group))
        for (shard, hour), group in groupby(found, key=attrgetter("shard", "hour"))
    ]
    hours.sort(key=lambda one: one[0].number > 0)
    numbers = {shard: chain.number for shard, chain in known.items()}
    waiting = []
    for chain, _, group in hours:
        numbers[chain.shard] += 1
        number = numbers[chain.shard]
        waiting.append(
            [_writers().submit(encode, piece, number, source, archive.keys) for piece in group]
        )
    encoded = [[one.result() for one in group] for group in waiting]
    token = archive.announce([entry.name for made in encoded for entry, _ in made])
    for at, ((chain, hour, _), made) in enumerate(zip(hours, encoded, strict=True)):
        list(_writers().map(lambda one: _put(archive, *one), made))
        is_last = at + 1 == len(hours) or hours[at + 1][0].shard != chain.shard
        entries = [entry for entry, _ in made]
        known[chain.shard], manifest = _seal_hour(
            archive, known[chain.shard], hour, entries, reach, is_last
        )
        yield manifest
    archive.finished(token)


def _put(archive: Archive, entry: Sealed, data: bytes) -> None:
    archive.store.write(entry.name, data, bytes.fromhex(entry.sha256))


def _seal_hour(
    archive: Archive, chain: Chain, hour: str, entries: list[Sealed], reach: _Reach, is_last: bool
) -> tuple[Chain, Manifest]:
    """Add a manifest to a chain; the chain with it. Raises ArchiveError when another was first."""
    positions = [Position.parse(text) for one in entries for text in (one.first, one.last)]
    manifest = Manifest(
        shard=chain.shard,
        number=chain.number + 1,
        hour=hour,
        previous=chain.hash,
        raw=Taken(
            table=reach.raw,
            after=chain.through(hour) if chain.number else reach.start,
            through=reach.through,
            complete=is_last,
        ),
        rows_before=chain.rows,
        rows=sum(one.rows for one in entries),
        first=str(min(positions)) if positions else None,
        last=str(max(positions)) if positions else None,
        objects=tuple(entries),
        sealed_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z",
    )
    data = manifest.to_bytes()
    try:
        archive.store.create(manifest_name(chain.shard, manifest.number), data)
    except Exists:
        raise ArchiveError(
            f"another has written manifest {manifest.number} of {chain.shard}",
            remedy="let only one write the archive at a time",
            passes=True,
        ) from None
    chain = chain.after(manifest, data)
    archive.advance(chain)
    return chain, manifest


@cache
def _writers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="archive")
