"""Steps of a merge by themselves: decoding, the net change, and the gate around it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from bench.lake import Feed, catalog_in
from bench.shapes import Shape
from smug_platform import iceberg
from smug_platform.duck import in_memory
from smug_platform.iceberg import LakeFiles
from smug_platform.lake import gate as gating
from smug_platform.lake.columns import plan
from smug_platform.lake.decode import decode
from smug_platform.lake.index import Index, index_of
from smug_platform.lake.merge import STATE, name_of
from smug_platform.lake.state import State


def steps(
    home: Path, shape: Shape, rows: int, size: int, runs: int
) -> tuple[list[float], list[float], list[float]]:
    """Seconds of decoding, of the net change and of the whole gate, of so many batches after a
    first one that is not counted. The gate also looks rows up in the index and takes them out.
    """
    catalog, target, feed = catalog_in(home), shape.target, Feed(home, shape, rows)
    table = iceberg.load(catalog, name_of(target))
    assert table is not None
    state = State.from_json(table.properties[STATE])
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    index = index_of(catalog, target, table, table.schema())
    index.sync(files)
    decoding, netting, whole = [], [], []
    for _ in range(runs + 1):
        deltas = feed.next(size).deltas()
        started = time.perf_counter()
        with in_memory() as connection:
            events, _ = decode(connection, target, plan(target, state), deltas)
        decoded = time.perf_counter()
        with _spent() as rest:
            passed = gating.gate(target, index, files, events, state.floors)
        whole.append(time.perf_counter() - decoded)
        netting.append(whole[-1] - rest[0])
        decoding.append(decoded - started)
        if passed.rows.num_rows != size:
            raise SystemExit(f"{passed.rows.num_rows} of {size} changes passed the gate")
    return decoding[1:], netting[1:], whole[1:]


@contextmanager
def _spent() -> Iterator[list[float]]:
    """Seconds that the gate spends in the index and in taking rows out."""
    spent = [0.0]

    def clocked(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*given)
            finally:
                spent[0] += time.perf_counter() - started

        return run

    with (
        patch.object(Index, "find", clocked(Index.find)),
        patch.object(gating, "_rows", clocked(vars(gating)["_rows"])),
    ):
        yield spent
