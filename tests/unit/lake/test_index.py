"""The index: it finds the newest place of every row, and heals whatever happens to its files."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog

from smug_platform.lake import index as indexes
from smug_platform.lake import runs
from smug_platform.lake.compact import compact
from smug_platform.lake.index import INDEX, Index, index_of
from smug_platform.lake.keys import Keys, keys, positions
from smug_platform.lake.merge import merge
from smug_platform.lake.runs import Entries, Run, fold, newest, open_run, write_run
from smug_platform.lake.target import Target
from smug_platform.tables.table import Table
from tests.history import Shard, column
from tests.unit.lake.test_merge import COLUMNS, PHOTOS, land, live, rows

TARGET = Target(PHOTOS)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    folder = {INDEX: str(tmp_path / "index")}
    made = SqlCatalog("t", uri="sqlite:///:memory:", warehouse=f"file://{tmp_path}", **folder)
    made.create_namespace("raw")
    made.create_namespace("lake")
    return made


def entries(*found: tuple[int, int, int, int, int, int]) -> Entries:
    columns = zip(*found, strict=True)
    return Entries(*(np.array(c, kind) for c, kind in zip(columns, runs.KINDS, strict=True)))


def as_tuples(found: Entries) -> list[tuple[int, ...]]:
    return [tuple(map(int, each)) for each in zip(*found.arrays(), strict=True)]


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), max_size=9), min_size=1))
def test_the_newest_entry_of_a_row_wins(batches: list[list[tuple[int, int]]]) -> None:
    expected: dict[tuple[int, int], int] = {}
    parts = []
    for number, batch in enumerate(batches):
        once = sorted(set(batch))
        expected |= dict.fromkeys(once, number)
        arrays = zip(*[(g, c, 0, 0, number, 0) for g, c in once], strict=True) if once else [()] * 6
        parts.append(Entries(*(np.array(a, k) for a, k in zip(arrays, runs.KINDS, strict=True))))
    found = newest(parts)
    assert {(g, c): file for g, c, _, _, file, _ in as_tuples(found)} == expected
    assert list(found.group) == sorted(found.group)


@pytest.mark.parametrize("part", [1, 3, 1000])
def test_folding_in_parts_is_folding_at_once(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_PART", part)
    random = np.random.default_rng(1)
    parts = []
    for number in range(3):
        groups = np.sort(random.choice(20, 12, replace=False))
        parts.append(entries(*[(int(g), 0, 0, 0, number, i) for i, g in enumerate(groups)]))
    made = fold([write_run(each, tmp_path) for each in parts], tmp_path)
    assert as_tuples(made.entries) == as_tuples(newest(parts))
    assert made.path is not None
    assert as_tuples(open_run(made.path).entries) == as_tuples(newest(parts))
    assert as_tuples(fold([Run(each) for each in parts], None).entries) == as_tuples(made.entries)


def test_a_torn_run_is_refused(tmp_path: Path) -> None:
    path = write_run(entries((1, 2, 3, 4, 5, 6)), tmp_path).path
    assert path is not None
    whole = path.read_bytes()
    for torn in (whole[:-1], whole[:8], b"x" + whole[1:]):
        path.write_bytes(torn)
        with pytest.raises(ValueError, match=path.name):
            open_run(path)


def photo_rows(ids: list[Any], kind: pa.DataType, shard: str = "shard_0") -> pa.Table:
    return pa.table({"_shard": [shard] * len(ids), "id": pa.array(ids, kind)})


@pytest.mark.parametrize("scope", ["global", "shard"])
def test_keys_that_are_numbers_are_exact(scope: Any) -> None:
    target = Target(Table(name="t", domain="d", owner="team:t", key_scope=scope))
    values = [0, 1, 2**63, 2**64 - 1]
    wide = keys(target, photo_rows([Decimal(v) for v in values], pa.decimal128(20, 0)), {})
    assert len(set(zip(wide.group.tolist(), wide.check.tolist(), strict=True))) == 4
    narrow = keys(target, photo_rows([0, 1], pa.int32()), {})
    assert narrow.group.tolist() == wide.group.tolist()[:2], "a widened key stays the same"
    other = keys(target, photo_rows([0, 1], pa.int32(), "shard_1"), {})
    assert (other.group == narrow.group).all() == (scope == "global"), "copies are one group"
    assert (other.check != narrow.check).all()


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_keys_of_text_are_told_apart(names: tuple[str, ...]) -> None:
    table = Table(name="t", domain="d", owner="team:t", key=names, key_scope="shard")
    texts = [("1:a", "b"), ("1", "a1:b"), ("", "x"), ("é", ""), ("e\u0301", "")]
    columns = {name: [text[i] for text in texts] for i, name in enumerate(names)}
    rows = pa.table({"_shard": ["shard_0"] * len(texts), **columns})
    found = keys(Target(table), rows, dict.fromkeys(names, pa.string()))
    assert len(set(zip(found.group.tolist(), found.check.tolist(), strict=True))) == len(texts)


def lose(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


def tear(folder: Path) -> None:
    for path in folder.rglob("*.run"):
        path.write_bytes(path.read_bytes()[:-7])


def garble(folder: Path) -> None:
    for path in folder.rglob("index.json"):
        path.write_bytes(b"{")


def make_older(folder: Path) -> None:
    """As if another version had made it."""
    for path in folder.rglob("index.json"):
        path.write_text(path.read_text().replace("[1,", "[0,", 1))


@pytest.mark.parametrize("harm", [lose, tear, garble, make_older])
def test_what_is_harmed_heals(
    catalog: Catalog, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert(*({"id": i, "title": "a", "n": i} for i in range(20)))
    land(catalog, shard.deltas)
    merge(catalog, TARGET)
    done = len(shard.deltas)
    shard.update({"id": 3}, title="b")
    shard.delete({"id": 4})
    land(catalog, shard.deltas[done:])
    indexes._OPEN.__dict__.clear()
    harm(tmp_path / "index")
    assert merge(catalog, TARGET).written == 2
    found = live(rows(catalog, TARGET), ["id", "title"])
    assert found == [(i, "b" if i == 3 else "a") for i in range(20) if i != 4]
    land(catalog, shard.deltas)
    assert merge(catalog, TARGET).written == 0, "and nothing older gets through"


def test_what_others_committed_is_read(catalog: Catalog) -> None:
    """Another process merged and compacted: this one's open index lacks their files."""
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert(*({"id": i, "title": "a", "n": i} for i in range(9)))
    land(catalog, shard.deltas)
    merge(catalog, TARGET)
    mine = dict(indexes._OPEN.__dict__)
    indexes._OPEN.__dict__.clear()
    done = len(shard.deltas)
    shard.update({"id": 1}, title="b")
    land(catalog, shard.deltas[done:])
    merge(catalog, TARGET)
    assert compact(catalog, TARGET)
    indexes._OPEN.__dict__.update(mine)
    land(catalog, shard.deltas)
    assert merge(catalog, TARGET).written == 0
    done = len(shard.deltas)
    shard.update({"id": 1}, title="c")
    land(catalog, shard.deltas[done:])
    assert merge(catalog, TARGET).written == 1
    assert live(rows(catalog, TARGET), ["id", "title"])[1] == (1, "c")


def test_an_entry_of_a_file_that_is_gone_makes_it_build_anew(catalog: Catalog) -> None:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1})
    land(catalog, shard.deltas)
    merge(catalog, TARGET)
    table = catalog.load_table("lake.photos")
    index = index_of(catalog, TARGET, table, table.schema())
    table_rows = rows(catalog, TARGET)
    moved = pa.Table.from_pylist(table_rows, schema=table.scan().to_arrow().schema)
    index.add("file:///nowhere.parquet", index.keys(moved), positions(moved))
    done = len(shard.deltas)
    shard.update({"id": 1}, title="b")
    land(catalog, shard.deltas[done:])
    assert merge(catalog, TARGET).written == 1
    assert live(rows(catalog, TARGET), ["id", "title"]) == [(1, "b")]


def test_many_small_runs_are_folded(tmp_path: Path) -> None:
    index = Index(tmp_path, TARGET, {"id": pa.int64()})
    position = (np.zeros(2, np.uint64), np.arange(2, dtype=np.uint64))
    for number in range(100):
        words = np.array([number, 1000], np.uint64)
        index.add(f"file-{number}", Keys(words, words), position)
    assert len(list(tmp_path.glob("*.run"))) < 16
    found = Index(tmp_path, TARGET, {"id": pa.int64()}).find(np.array([5, 1000], np.uint64))
    assert as_tuples(found.entries)[1][4] == 99, "the newest file"
    assert len(Index(tmp_path, TARGET, {"id": pa.int32()})) == 0


def put(index: Index, number: int, count: int = 50) -> None:
    """A file whose rows have random ones of a thousand keys, all at that position."""
    words = np.random.default_rng(number).choice(1000, count, replace=False).astype(np.uint64)
    position = (np.zeros(count, np.uint64), np.full(count, number, np.uint64))
    index.add(f"file-{number}", Keys(words, words), position)


def newest_files(files: int) -> dict[int, int]:
    """What `put` says of each key last."""
    found = {}
    for number in range(files):
        keys = np.random.default_rng(number).choice(1000, 50, replace=False)
        found |= dict.fromkeys(map(int, keys), number)
    return found


@pytest.mark.parametrize("opened_anew", [1000, 7, 1], ids=["never", "now and then", "each time"])
def test_folding_little_at_a_time_is_folding_at_once(
    opened_anew: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where processes end before a fold is through."""
    monkeypatch.setattr(indexes, "_AT_ONCE", 60)
    monkeypatch.setattr(indexes, "_SHARE", 1)
    monkeypatch.setattr(runs, "_PART", 20)
    at_work = 0
    index = Index(tmp_path, TARGET, {"id": pa.int64()})
    for number in range(100):
        if number % opened_anew == opened_anew - 1:
            index = Index(tmp_path, TARGET, {"id": pa.int64()})
        put(index, number)
        at_work += any(tmp_path.glob("*.tmp"))
        assert len(index._runs) < 4 * indexes._TIER
        if number % 10 == 9:
            found = index.find(np.arange(1000, dtype=np.uint64))
            assert {int(e[0]): e[4] for e in as_tuples(found.entries)} == newest_files(number + 1)
    assert (at_work > 5) == (opened_anew > 1)


def test_what_a_process_left_half_folded_goes_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [tmp_path / "killed.tmp", tmp_path / "killed.run"]
    for path in left:
        path.write_bytes(b"half")
    put(Index(tmp_path, TARGET, {"id": pa.int64()}), 0)
    assert all(path.exists() for path in left), "another may be writing it"
    monkeypatch.setattr(indexes, "_LEFT_S", -1.0)
    index = Index(tmp_path, TARGET, {"id": pa.int64()})
    assert not any(path.exists() for path in left)
    assert len(index.find(np.arange(1000, dtype=np.uint64)).entries) == 50


def test_a_key_of_any_type_is_found_when_the_index_is_lost(catalog: Catalog) -> None:
    """A change and a file hold the same value in types that print differently."""
    names = ("at", "weight", "amount", "raw")
    target = Target(Table(name="t", domain="d", owner="team:t", key=names, key_scope="shard"))
    kinds = ["TIMESTAMP", "FLOAT", "DECIMAL", "BINARY", "VARCHAR"]
    columns = [
        column(name, kind, length=9, scale=2 if kind == "DECIMAL" else None)
        for name, kind in zip((*names, "title"), kinds, strict=True)
    ]
    shard = Shard("shard_0", "t", columns, names)
    key = {"at": "2026-01-01T12:00:00.5Z", "weight": 0.5, "amount": "1.50", "raw": "AAE="}
    shard.snapshot()
    shard.insert(key | {"title": "a"})
    land(catalog, shard.deltas)
    merge(catalog, target)
    wider = [{**c, "typeName": "DOUBLE"} if c["name"] == "weight" else c for c in columns]
    done = len(shard.deltas)
    shard.alter(wider, "ALTER TABLE t MODIFY weight DOUBLE")
    shard.update(key, title="b")
    indexes._OPEN.__dict__.clear()
    land(catalog, shard.deltas[done:])
    merge(catalog, target)
    found = rows(catalog, target)
    assert [row["title"] for row in found] == ["b"]
