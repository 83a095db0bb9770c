"""Two steps of a merge by themselves: decoding, and the net change with the gate."""

import time
from pathlib import Path

from bench.lake import Feed, catalog_in
from bench.shapes import Shape
from smug_platform import iceberg
from smug_platform.duck import in_memory
from smug_platform.iceberg import LakeFiles
from smug_platform.lake.columns import plan
from smug_platform.lake.decode import decode
from smug_platform.lake.gate import gate
from smug_platform.lake.index import index_of
from smug_platform.lake.merge import STATE, name_of
from smug_platform.lake.state import State


def steps(
    home: Path, shape: Shape, rows: int, size: int, runs: int
) -> tuple[list[float], list[float]]:
    """Seconds of each, of so many batches after a first one that is not counted."""
    catalog, target, feed = catalog_in(home), shape.target, Feed(home, shape, rows)
    table = iceberg.load(catalog, name_of(target))
    assert table is not None
    state = State.from_json(table.properties[STATE])
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    index = index_of(catalog, target, table, table.schema())
    index.sync(files)
    decoding, gating = [], []
    for _ in range(runs + 1):
        deltas = feed.next(size).deltas()
        started = time.perf_counter()
        with in_memory() as connection:
            events, _ = decode(connection, target, plan(target, state), deltas)
        decoded = time.perf_counter()
        passed = gate(target, index, files, events, state.floors)
        gating.append(time.perf_counter() - decoded)
        decoding.append(decoded - started)
        if passed.rows.num_rows != size:
            raise SystemExit(f"{passed.rows.num_rows} of {size} changes passed the gate")
    return decoding[1:], gating[1:]
