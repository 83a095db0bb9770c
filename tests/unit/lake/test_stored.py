"""Schema changes and TRUNCATEs of a table whose rows memory does not hold: piece after piece."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from smug_platform.lake import apply as applying
from smug_platform.lake import multiset
from smug_platform.lake.batch import MEMORY
from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from tests.history import Shard, column
from tests.unit.lake.histories import check_rows
from tests.unit.lake.test_merge import COLUMNS, PHOTOS, land, live, new_catalog, rows

ROWS = 300
LITTLE = 60_000  # bytes: some hundred rows at once
LITTLE_KEYLESS = 200_000  # each piece goes through all rows
TARGET = Target(PHOTOS)
KEYLESS = Target(replace(PHOTOS, key=(), key_scope="shard"))


class Source:
    """Two shards, the second with copies of some of the first's rows: the last 20, unless more."""

    def __init__(self, catalog: Catalog, target: Target = TARGET, copies: int = 20) -> None:
        self.catalog = catalog
        self.target = target
        key = target.table.key
        self.shards = [Shard(f"shard_{number}", "photos", COLUMNS, key) for number in (0, 1)]
        self._landed = [0, 0]
        of_each = zip(self.shards, (0, ROWS - copies), (ROWS, copies + 40), strict=True)
        for shard, first, count in of_each:
            shard.snapshot()
            found = range(first, first + count)
            for start in range(0, count, 100):  # in several files of the lake
                shard.insert(
                    *[{"id": n, "title": f"{shard.name} {n}", "n": n} for n in found[start:][:100]]
                )
                self.merge()

    def merge(self) -> None:
        new = [shard.deltas[done:] for shard, done in zip(self.shards, self._landed, strict=True)]
        land(self.catalog, [delta for deltas in new for delta in deltas])
        self._landed = [len(shard.deltas) for shard in self.shards]
        merge(self.catalog, self.target)


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of the table in each of the pieces that are decided."""
    found: list[int] = []
    as_it_is = applying.in_pieces

    def noted(*given: object) -> Iterator[pa.Table]:
        for piece in as_it_is(*given):  # type: ignore[arg-type]
            found.append(piece.num_rows)
            yield piece

    monkeypatch.setattr(applying, "in_pieces", noted)
    return found


def truncate(first: Shard, _: Shard) -> None:
    first.truncate()
    first.insert({"id": 5, "title": "after", "n": 0}, {"id": ROWS - 1, "title": "after", "n": 1})


def read_anew(first: Shard, _: Shard) -> None:
    del first.rows[::7]  # without an event
    first.snapshot()


def add_column(first: Shard, _: Shard) -> None:
    columns = [*COLUMNS, column("x", "INT", defaultValueExpression="7")]
    filled = [row | {"x": 7} for row in first.rows]
    first.alter(columns, "ALTER TABLE photos ADD COLUMN x INT DEFAULT 7", filled)
    first.update({"id": 3}, x=8)


def truncate_both(first: Shard, second: Shard) -> None:
    truncate(first, second)
    second.truncate()


def add_and_truncate(first: Shard, second: Shard) -> None:
    add_column(first, second)
    second.truncate()


@pytest.mark.parametrize(
    "change", [truncate, read_anew, add_column, truncate_both, add_and_truncate]
)
def test_all_rows_follow_whatever_memory_holds(
    tmp_path: Path, pieces: list[int], change: Callable[[Shard, Shard], None]
) -> None:
    found = {}
    for memory in (LITTLE, 2 << 30):
        source = Source(new_catalog(tmp_path / str(memory)))
        pieces.clear()
        source.catalog.properties[MEMORY] = str(memory)
        change(*source.shards)
        source.merge()
        held = rows(source.catalog, TARGET)
        check_rows(source, held)
        names = [field for field in held[0] if field != "_committed_at"]
        found[memory] = sorted(tuple(row[name] for name in names) for row in held), list(pieces)
    (little, several), (much, one) = found[LITTLE], found[2 << 30]
    assert repr(little) == repr(much)
    assert len(several) > 3
    assert max(several) < ROWS / 2
    assert len(one) == 1


def test_a_copy_on_another_shard_is_the_live_one_when_the_other_goes(
    tmp_path: Path, pieces: list[int]
) -> None:
    source = Source(new_catalog(tmp_path))
    source.catalog.properties[MEMORY] = str(LITTLE)
    source.shards[1].truncate()
    source.merge()
    assert len(pieces) > 3
    found = live(rows(source.catalog, TARGET), ["id", "_shard"])
    assert found == [(number, "shard_0") for number in range(ROWS)]


def test_rows_that_stand_on_both_shards_come_in_pieces_too(
    tmp_path: Path, pieces: list[int]
) -> None:
    source = Source(new_catalog(tmp_path), copies=ROWS)
    pieces.clear()
    source.catalog.properties[MEMORY] = str(LITTLE)
    truncate(*source.shards)
    source.merge()
    check_rows(source, rows(source.catalog, TARGET))
    assert len(pieces) > 6
    assert max(pieces) < ROWS / 2


@pytest.mark.parametrize("change", [read_anew, add_and_truncate])
def test_all_rows_of_a_table_without_a_key_follow_whatever_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Shard, Shard], None]
) -> None:
    held: list[int] = []  # rows that go or come in each piece
    as_it_is = multiset._hold

    def noted(connection: duckdb.DuckDBPyConnection, *given: object) -> None:
        as_it_is(connection, *given)  # type: ignore[arg-type]
        held.extend(*connection.execute("select count(*) from events").fetchall())

    monkeypatch.setattr(multiset, "_hold", noted)
    pieces = {}
    for memory in (LITTLE_KEYLESS, 2 << 30):
        source = Source(new_catalog(tmp_path / str(memory)), KEYLESS)
        twice = [{"id": n, "title": f"shard_0 {n}", "n": n} for n in range(0, ROWS, 9)]
        source.shards[0].insert(*twice)
        source.merge()
        held.clear()
        source.catalog.properties[MEMORY] = str(memory)
        change(*source.shards)
        source.merge()
        check_rows(source, rows(source.catalog, KEYLESS))
        pieces[memory] = list(held)
    assert len(pieces[2 << 30]) == 1
    assert len(pieces[LITTLE_KEYLESS]) > 3
    assert max(pieces[LITTLE_KEYLESS]) < max(pieces[2 << 30]) / 2
