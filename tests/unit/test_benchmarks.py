"""The tables that the benchmarks measure are those that the platform makes."""

import importlib
from pathlib import Path

import pytest

from smug_platform.lake.merge import name_of
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.store import Store
from smug_platform.tables.flickr import FLICKR

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("name", ["narrow", "text", "wide"])
def test_a_base_is_made_and_takes_changes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    lake, shapes = importlib.import_module("bench.lake"), importlib.import_module("bench.shapes")
    shape = shapes.SHAPES[name]
    lake.make_base(tmp_path, shape, 200)
    lake.make_index(tmp_path, shape, 200)
    rows = lake.catalog_in(tmp_path).load_table(name_of(shape.target)).scan().to_arrow()
    made = set(lake.base_rows(shape, 0, 200)["_position"].to_pylist())
    changed = [at for at in rows["_position"].to_pylist() if at not in made]
    assert len(changed) == 100
    assert 200 <= rows.num_rows < 300, "some are new"


def test_the_live_stream_is_counted_as_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    live = importlib.import_module("bench.live")
    day = live.Day(rate=200, seconds=1.0)
    with Store(tmp_path / "live.db") as store:
        consumer = Consumer(store, day, FLICKR, clock=lambda: day.now)
        for _ in range(2):
            day.prepare()
            consumer.step()
        found = {name: sum(sums_at(store, name).values()) for name in live.expected(1)}
    assert found == live.expected(2 * day.made)
