"""This project's merge and landing, run on a lake that is there, and what each of them took."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog

from bench.lake import Feed, Written, catalog_in, land, settings_in
from bench.shapes import Shape
from smug_platform.lake import merge as merging
from smug_platform.raw.backlog import land_backlog
from smug_platform.settings import Settings
from smug_platform.stream.reader import READ_BYTES, Batch, StreamPositions
from smug_platform.stream.records import Origin, Records
from smug_platform.stream.resources import Stream
from smug_platform.sync import Platform, ingest
from smug_platform.tables.table import Source

_GIVEN = "given-"
_SHARD = "shardId-000000000000"
_PACKED = 100  # changes in a record of the stream


@dataclass(frozen=True)
class Took:
    """Seconds of one merge, in all and without the reading and the decoding of raw; seconds of the
    cores for all of it; bytes of the data files (one for the rows, one for the rows they replace),
    and of all files but the index's.
    """

    seconds: float
    cpu: float
    decoded: float
    rows: int
    net_bytes: int
    bytes: int


def median(values: Iterable[float]) -> float:
    """The median; of two the lower one, for the other has waited for something."""
    return statistics.median_low(values)


def prepare(
    home: Path, shape: Shape, rows: int, size: int, runs: int, keys: str = "distinct"
) -> None:
    """Put so many batches of changes into files, to be mapped by who merges them."""
    feed = Feed(home, shape, rows)
    for number in range(runs):
        changes = feed.next(size, keys)
        found = changes.deltas() if keys == "distinct" else changes.envelopes()
        path = home / f"{_GIVEN}{number:03}.{changes.before}.arrow"
        with pa.ipc.new_file(path, found.schema) as file:
            file.write_table(found.combine_chunks())


def prepared(home: Path) -> Iterator[tuple[int, pa.Table]]:
    """The batches and how many changes came before each; their files go as one gets on."""
    for path in sorted(home.glob(f"{_GIVEN}*.arrow")):
        with pa.memory_map(str(path)) as source:
            yield int(path.suffixes[0][1:]), pa.ipc.open_file(source).read_all()
        path.unlink()


def merges(home: Path, shape: Shape) -> list[Took]:
    """Merge the batches that are prepared, each of them landed before the clock starts.

    The first is not counted: it maps the index, which then stays in memory.
    """
    catalog = catalog_in(home)
    return [merge_once(catalog, home, shape, batch) for _, batch in prepared(home)][1:]


def merge_once(catalog: Catalog, home: Path, shape: Shape, batch: pa.Table) -> Took:
    """Land rows of `raw.deltas` and merge them; raises SystemExit when not all come through."""
    land(catalog, batch)
    written = Written(home / "lake" / "lake")
    started, cpu = time.perf_counter(), time.process_time()
    with _timed() as spent:
        merged = merging.merge(catalog, shape.target, max_deltas=batch.num_rows)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    if merged.written != batch.num_rows:
        raise SystemExit(f"merged {merged.written} rows of {batch.num_rows}")
    new = written.files()
    net = sum(size for path, size in new.items() if path.suffix == ".parquet")
    return Took(seconds, cpu, seconds - spent[0], merged.written, net, sum(new.values()))


@contextmanager
def _timed() -> Iterator[list[float]]:
    """Seconds that a merge spends in reading and in decoding raw."""
    spent = [0.0]
    next_batch, decoded = merging.next_batch, merging.decoded

    def clocked(call: Callable[..., Any], *given: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*given, **options)
        finally:
            spent[0] += time.perf_counter() - started

    def parts(*given: Any) -> Iterator[Any]:
        found = decoded(*given)
        while (part := clocked(next, found, None)) is not None:
            yield part

    with (
        patch.object(merging, "next_batch", partial(clocked, next_batch)),
        patch.object(merging, "decoded", parts),
    ):
        yield spent


class Recorded:
    """A stream in a file that is mapped: a reader that hands out envelopes, from first to last.

    What is measured begins where a reader ends: the seconds, and those of the cores, that making
    the records takes are in `spent`, to be left out, and a record is in memory from being read.
    """

    def __init__(self, first: int, envelopes: pa.Table) -> None:
        self.bytes = pc.sum(pc.binary_length(envelopes["data"])).as_py()
        self.spent = [0.0, 0.0]
        self._data, self._first, self._read = envelopes["data"], first, 0

    def read(
        self, after: StreamPositions | None, *, max_records: int, max_bytes: int = READ_BYTES
    ) -> Batch:
        """The next ones, up to what a landing takes."""
        del after
        started, cpu = time.perf_counter(), time.process_time()
        part = self._data.slice(self._read, max_records)
        fits = np.cumsum(pc.binary_length(part).to_numpy()) <= max_bytes
        part = part.slice(0, max(int(fits.sum()), 1))
        numbers = np.arange(len(part))
        lengths = pc.binary_length(part).to_numpy()
        first = self._first + self._read
        records = Records(
            b"".join(part.to_pylist()),
            np.concatenate([[0], lengths.cumsum(dtype=np.int64)]),
            tuple(Origin(_SHARD, str(first + n)) for n in range(0, len(part), _PACKED)),
            numbers // _PACKED,
            numbers % _PACKED,
        )
        self._read += len(part)
        end = StreamPositions("recorded", {_SHARD: str(self._first + self._read)})
        left = timedelta(seconds=len(self._data) - self._read)
        self.spent[0] += time.perf_counter() - started
        self.spent[1] += time.process_time() - cpu
        return Batch(records, [], end, left)

    def batches(self) -> Iterator[Batch]:
        """All of them."""
        batch = None
        while batch is None or batch.behind:
            batch = self.read(None, max_records=100_000)
            yield batch


class Backlog(Stream):
    """A stream of which all batches are in memory: that of a reader which is ahead."""

    def __init__(self, settings: Settings, batches: Iterable[Batch]) -> None:
        super().__init__(settings)
        self._batches = deque(batches)
        self.reader = self  # type: ignore[assignment]

    def read(self, after: StreamPositions | None, **_bounds: Any) -> Batch:
        """The next one."""
        del after
        batch = self._batches.popleft()
        return replace(batch, behind=timedelta(seconds=len(self._batches)))


@dataclass(frozen=True)
class Ingested:
    """Seconds from envelopes to committed raw, and from there to the committed lake; seconds of the
    cores for both; changes; bytes of the envelopes, and of all files but the index's.
    """

    land: float
    merge: float
    cpu: float
    changes: int
    json: int
    bytes: int

    @property
    def seconds(self) -> float:
        """From the envelopes to the committed lake."""
        return self.land + self.merge


def catches_up(home: Path, shape: Shape) -> tuple[int, float, float]:
    """Bring the prepared batches in as one backlog, the first of which is not counted: changes,
    seconds, and seconds of the cores.
    """
    catalog, settings = catalog_in(home), settings_in(home)
    given = prepared(home)
    ingest_once(catalog, home, shape, *next(given))
    batches = [batch for first, table in given for batch in Recorded(first, table).batches()]
    count = sum(len(batch.records) for batch in batches)
    source = Source(database="bench", tables=(shape.target.table,))
    platform = Platform(settings, source, stream=Backlog(settings, batches))
    number = len(batches)
    del batches
    started, cpu = time.perf_counter(), time.process_time()
    done = ingest(platform, batches=number)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    if sum(merged.deltas for merged in done.merged) != count:
        raise SystemExit(f"merged {done.merged} of {count} changes")
    return count, seconds, cpu


def ingests(home: Path, shape: Shape) -> list[Ingested]:
    """Bring the prepared batches into raw and the lake; the first is not counted."""
    catalog = catalog_in(home)
    return [ingest_once(catalog, home, shape, *batch) for batch in prepared(home)][1:]


def ingest_once(
    catalog: Catalog, home: Path, shape: Shape, first: int, envelopes: pa.Table
) -> Ingested:
    """Bring a batch of envelopes into raw and the lake."""
    stream, written = Recorded(first, envelopes), Written(home / "lake")
    count = envelopes.num_rows
    started, cpu = time.perf_counter(), time.process_time()
    deque(land_backlog(catalog, stream), maxlen=0)  # type: ignore[arg-type]
    landed = time.perf_counter()
    merged = merging.merge(catalog, shape.target, max_deltas=count)
    ended, cpu = time.perf_counter(), time.process_time() - cpu
    if merged.deltas != count:
        raise SystemExit(f"merged {merged.deltas} changes of {count}")
    total = sum(written.files().values())
    reading, reading_cpu = stream.spent
    return Ingested(
        land=landed - started - reading,
        merge=ended - landed,
        cpu=cpu - reading_cpu,
        changes=count,
        json=stream.bytes,
        bytes=total,
    )
