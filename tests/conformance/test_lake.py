"""Cases J and N that raw and lake decide by themselves: over a recorded stream, without servers.

The source's own rows are the oracle. Everything is landed, merged and compacted as in a run.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import EqualTo
from pyiceberg.io.pyarrow import schema_to_pyarrow

from smug_platform import iceberg
from smug_platform.errors import QueryError
from smug_platform.iceberg import LakeFiles, Table, remove_orphans
from smug_platform.iceberg.change import KEEP
from smug_platform.lake import query
from smug_platform.lake.compact import compact, debt
from smug_platform.lake.merge import merge, name_of
from smug_platform.lake.merged import Merged
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.land import land
from smug_platform.settings import load_settings
from smug_platform.tables.table import Table as Record
from tests.history import Shard, column
from tests.recorded import Recorded

PHOTOS = Target(Record(name="photos", domain="photos", owner="team:photos"))
LIVE = EqualTo("_is_deleted", False)  # type: ignore[arg-type]
COLUMNS = [
    column("id", "BIGINT UNSIGNED"),
    column("v", "VARCHAR"),
    column("wall", "DATETIME", length=6),
    column("moment", "TIMESTAMP", length=6),
]
Delta = dict[str, Any]
Live = dict[int, str | None]


class Way:
    """A shard, the stream, and the lake after it."""

    def __init__(self, home: Path) -> None:
        self.settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})
        self.catalog: Catalog = open_catalog(self.settings)
        self.shard = Shard("shard_0", "photos", COLUMNS)
        self.stream = Recorded()
        self.shard.snapshot()
        self._sent = 0

    def new(self) -> list[Delta]:
        """The deltas that the shard has made since the last time."""
        found, self._sent = self.shard.deltas[self._sent :], len(self.shard.deltas)
        return found

    def merge(self, deltas: Iterable[Delta] | None = None) -> Merged:
        """Land these deltas, in the order that they are given; those that are new unless given."""
        self.stream.put_deltas(self.new() if deltas is None else deltas)
        land(self.catalog, self.stream)
        return merge(self.catalog, PHOTOS)

    def table(self) -> Table:
        found = iceberg.load(self.catalog, name_of(PHOTOS))
        assert found is not None
        return found

    def live(self, snapshot_id: int | None = None) -> Live:
        """By pyiceberg's own reader, which fails on no key twice: this does."""
        rows = self.table().scan(LIVE, snapshot_id=snapshot_id).to_arrow().to_pylist()
        assert len({row["id"] for row in rows}) == len(rows)
        return {int(row["id"]): row["v"] for row in rows}

    @property
    def source(self) -> Live:
        return {row["id"]: row["v"] for row in self.shard.rows}

    def put(self, *ids: int, v: str = "first") -> None:
        self.shard.insert(*[{"id": id_, "v": v} for id_ in ids])


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(tmp_path)


def test_J01_insert_delete_insert_in_one_transaction(way: Way) -> None:
    """All at one time stamp: only the position tells them apart."""
    way.put(1, v="hello")
    way.shard.delete({"id": 1})
    way.put(1, v="hallo")
    deltas = way.new()
    for delta in deltas:
        delta["committed_at"] = delta["captured_at"] = deltas[0]["committed_at"]
    way.merge(deltas)
    assert way.live() == {1: "hallo"}


def test_J02_ten_updates_of_one_key_in_one_event(way: Way) -> None:
    way.put(1)
    for number in range(10):
        way.shard.update({"id": 1}, v=f"v{number}")
    deltas = way.new()
    for number, delta in enumerate(deltas[-10:]):
        delta["binlog_offset"], delta["row_number"] = deltas[-1]["binlog_offset"], number
    way.merge(deltas[:-10] + deltas[-10:][::-1])
    assert way.live() == {1: "v9"}


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param({"binlog_offset": 123}, {"binlog_offset": 1000}, id="J03-offset"),
        pytest.param({"binlog_file": 99}, {"binlog_file": 100}, id="J03-file"),
        pytest.param({"binlog_file": 999_999}, {"binlog_file": 1_000_000}, id="J03-seven-digits"),
        pytest.param({}, {}, id="J04"),
        pytest.param({"binlog_offset": 2**32 - 1}, {"binlog_offset": 2**32 + 7}, id="J05"),
        pytest.param({"epoch": 9}, {"epoch": 10, "binlog_file": 1}, id="J03-epoch"),
    ],
)
@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
def test_J18_the_position_decides_and_nothing_else(
    way: Way, first: Delta, last: Delta, apart: bool
) -> None:
    """Whatever the clock of the source says; here it goes back by an hour."""
    way.put(1)
    way.merge()
    way.shard.update({"id": 1}, v="older")
    way.shard.update({"id": 1}, v="newer")
    older, newer = way.new()
    older |= {"binlog_file": 50, **first}
    newer |= {"binlog_file": older["binlog_file"], **last}
    newer["committed_at"] = older["committed_at"] - timedelta(hours=1 if first else 0)
    for deltas in ([newer], [older]) if apart else ([newer, older],):
        way.merge(deltas)
    assert way.live() == {1: "newer"}


@pytest.mark.parametrize("copies", [2, 3, 100])
def test_J11_the_same_change_again_and_again(way: Way, copies: int) -> None:
    way.put(1, 2)
    way.shard.update({"id": 1}, v="second")
    deltas = way.new()
    changes = [delta for delta in deltas if delta["op"] != "ddl"]
    merged = way.merge(deltas + changes * (copies - 1))
    assert merged.duplicates == len(changes) * (copies - 1)
    assert (merged.written, way.live()) == (2, {1: "second", 2: "first"})
    again = way.merge(changes)
    assert again.written == 0
    assert again.stale + again.duplicates + again.merged_away == len(changes)


def test_J12_an_older_update_after_a_newer_one_was_merged(way: Way) -> None:
    way.put(1)
    way.shard.update({"id": 1}, v="older")
    *before, older = way.new()
    way.shard.update({"id": 1}, v="newer")
    way.merge([*before, *way.new()])
    merged = way.merge([older])
    assert (merged.stale, merged.written) == (1, 0)
    assert way.live() == {1: "newer"}


def test_J13_an_update_after_the_delete(way: Way) -> None:
    way.put(1, 2)
    way.shard.update({"id": 1}, v="late")
    *before, late = way.new()
    way.shard.delete({"id": 1})
    way.merge([*before, *way.new()])
    assert compact(way.catalog, PHOTOS) in (True, False)  # which keeps the tombstone
    way.merge([late])
    assert way.live() == way.source == {2: "first"}


def test_J14_the_delete_before_its_insert(way: Way) -> None:
    way.put(2)
    way.merge()
    way.put(1)
    inserted = way.new()
    way.shard.delete({"id": 1})
    way.merge()
    way.merge(inserted)
    assert way.live() == way.source == {2: "first"}


def test_J15_an_update_that_changes_nothing(way: Way) -> None:
    way.put(1)
    way.merge()
    before = way.table().current_snapshot()
    way.shard.update({"id": 1}, v="first")
    merged = way.merge()
    assert (merged.identical, merged.written) == (1, 0)
    assert before is not None
    assert way.live(before.snapshot_id) == way.live() == {1: "first"}


def test_J16_a_thousand_changes_to_one_row(way: Way) -> None:
    way.put(1)
    for number in range(1000):
        way.shard.update({"id": 1}, v=str(number))
    merged = way.merge()
    assert (merged.written, merged.merged_away) == (1, 1000)
    assert way.live() == {1: "999"}
    kept = raw.open_deltas(way.catalog).scan("op = 'u'").count()
    assert kept == 1000  # each change is in raw, for good


def test_J17_a_replay_of_everything_over_a_live_table(way: Way) -> None:
    way.put(*range(50))
    for number in range(0, 50, 2):
        way.shard.update({"id": number}, v="second")
    for number in range(0, 50, 5):
        way.shard.delete({"id": number})
    deltas = way.new()
    way.merge(deltas)
    before = way.table().scan().to_arrow().sort_by("id").to_pylist()
    replayed = [delta for delta in deltas if delta["op"] != "ddl"]
    merged = way.merge(replayed[::-1])
    assert (merged.written, merged.deltas) == (0, len(replayed))
    assert way.table().scan().to_arrow().sort_by("id").to_pylist() == before


def test_J20_two_writers_by_mistake(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another merge commits while this one does: this one's fails and is planned anew."""
    way.put(1)
    way.merge()
    way.put(2)
    way.stream.put_deltas(way.new())
    land(way.catalog, way.stream)
    inner, others = way.catalog.commit_table, [Merged("photos")]

    def commit(*arguments: Any) -> Any:
        if len(others) == 1:
            others.append(Merged("photos"))
            others[1] = merge(open_catalog(way.settings), PHOTOS)
        return inner(*arguments)

    monkeypatch.setattr(way.catalog, "commit_table", commit)
    mine = merge(way.catalog, PHOTOS)
    assert (others[1].commits, others[1].written, mine.commits) == (1, 1, 0)
    assert way.live() == way.source


def test_N01_update_and_delete_of_one_key_in_one_commit(way: Way) -> None:
    way.put(1, 2)
    way.merge()
    way.shard.update({"id": 1}, v="changed")
    way.shard.delete({"id": 1})
    way.shard.delete({"id": 2})
    way.put(2, v="back")
    assert way.merge().commits == 1
    assert way.live() == way.source == {2: "back"}


def test_N02_a_delete_that_carries_the_key_only(way: Way) -> None:
    way.put(1, 2)
    way.merge()
    way.shard.rows[0].update(v=None, wall=None, moment=None)
    way.shard.delete({"id": 1})
    way.merge()
    assert way.live() == {2: "first"}


def test_N03_a_row_never_moves_partition(way: Way) -> None:
    """No lake table has any: a row that changes whatever column leaves one copy."""
    way.put(1)
    way.merge()
    way.shard.update({"id": 1}, v="second", moment="2024-03-01T02:30:00.000001Z")
    way.merge()
    assert way.table().spec().is_unpartitioned()
    assert way.live() == way.source == {1: "second"}


def test_N04_a_schema_change_inside_one_commit(way: Way) -> None:
    way.put(1, 2)
    way.shard.alter([*COLUMNS, column("more", "INT")], "ALTER TABLE photos ADD COLUMN more INT")
    way.shard.rows[0]["more"] = way.shard.rows[1]["more"] = None
    way.shard.update({"id": 1}, v="second", more=7)
    assert way.merge().commits == 1
    assert way.live() == way.source == {1: "second", 2: "first"}
    rows = way.table().scan().to_arrow().to_pylist()
    assert sorted((int(row["id"]), row["more"]) for row in rows) == [(1, 7), (2, None)]


@pytest.mark.parametrize("landed", [True, False], ids=["it-landed", "it-did-not"])
def test_N05_the_answer_of_a_commit_is_lost(
    way: Way, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    way.put(1)
    way.merge()
    way.shard.update({"id": 1}, v="second")
    way.stream.put_deltas(way.new())
    land(way.catalog, way.stream)
    inner, calls = way.catalog.commit_table, [0]

    def commit(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] > 1 or landed:
            answer = inner(*arguments)
        if calls[0] == 1:
            raise ConnectionError("504") if landed else CommitFailedException("504")
        return answer

    monkeypatch.setattr(way.catalog, "commit_table", commit)
    merge(way.catalog, PHOTOS)
    assert calls == [1 if landed else 2]
    remove_orphans(way.table(), timedelta(seconds=-60))
    assert way.live() == way.source == {1: "second"}
    assert len(way.table().metadata.snapshots) == 2


def test_N06_many_small_commits_leave_a_bounded_debt(way: Way) -> None:
    """As a run does it: a merge, then compaction where it is due."""
    way.put(*range(10))
    way.merge()
    worst = 0
    for number in range(52):
        way.shard.update({"id": number % 10}, v=str(number))
        way.merge()
        found = debt(way.catalog, PHOTOS)
        worst = max(worst, found.data_files, found.delete_files)
        if found.due:
            assert compact(way.catalog, PHOTOS)
    assert worst < 55
    assert debt(way.catalog, PHOTOS).data_files < 52
    assert len(way.table().inspect.manifests()) < 20
    assert way.live() == way.source


def test_N07_compaction_while_upserts_land(way: Way) -> None:
    way.put(*range(200))
    way.merge()
    done, seen, failed = threading.Event(), [0], list[BaseException]()

    def compacting() -> None:
        try:
            catalog = open_catalog(way.settings)
            while not done.is_set():
                seen[0] += compact(catalog, PHOTOS)
        except BaseException as error:  # noqa: BLE001  told by the test's thread
            failed.append(error)

    thread = threading.Thread(target=compacting)
    thread.start()
    try:
        for number in range(12):
            way.shard.update({"id": number}, v="during")
            way.shard.delete({"id": 100 + number})
            way.merge()
    finally:
        done.set()
        thread.join()
    assert not failed
    assert seen[0] or compact(way.catalog, PHOTOS)
    assert way.live() == way.source


def test_N08_a_reader_of_an_old_snapshot(way: Way) -> None:
    """It reads what it began with, over merges and compaction; once that is gone it says so."""
    way.put(*range(19))
    way.merge()
    held = way.table().current_snapshot()  # for an hour, and not the one after it
    assert held is not None
    way.put(19)
    way.merge()
    with way.table().transaction() as transaction:
        transaction.set_properties({KEEP: "5"})
    old = way.table().current_snapshot()
    assert old is not None
    with query.open_lake(way.settings, at=str(old.snapshot_id)) as lake:
        rows = "select id, v from lake.photos order by id"
        before = lake.ask(rows).fetchall()
        for number in range(3):
            way.shard.update({"id": number}, v="later")
            way.merge()
        assert compact(way.catalog, PHOTOS)
        assert lake.ask(rows).fetchall() == before
        for number in range(12):
            way.shard.update({"id": 0}, v=str(number))
            way.merge()
        assert way.table().snapshot_by_id(old.snapshot_id) is None
        assert remove_orphans(way.table(), timedelta(seconds=-60))
        with pytest.raises(QueryError, match="can't answer that: IO Error"), lake.explained():
            lake.ask(rows).fetchall()
    with (
        pytest.raises(QueryError, match="no table has a snapshot"),
        query.open_lake(way.settings, at=str(old.snapshot_id)),
    ):
        pass
    assert way.live() == way.source
    assert way.live(held.snapshot_id) == dict.fromkeys(range(19), "first")


def test_N10_a_time_without_a_zone_is_marked_as_one(way: Way) -> None:
    way.put(1)
    way.merge()
    table = way.table()
    (file,) = LakeFiles(table.io, table.schema(), table.current_snapshot()).data
    stored = iceberg.project(table.io, file, schema_to_pyarrow(table.schema())).schema
    assert (stored.field("wall").type.tz, stored.field("moment").type.tz) == (None, "UTC")
    adjusted = parquet_kinds(table, file.file_path)
    assert "isAdjustedToUTC=false" in adjusted("wall")
    assert "isAdjustedToUTC=true" in adjusted("moment")


def parquet_kinds(table: Table, path: str) -> Callable[[str], str]:
    import pyarrow.parquet as pq

    with table.io.new_input(path).open() as stream:
        columns = pq.ParquetFile(stream).schema
    found = {columns.column(i).name: str(columns.column(i).logical_type) for i in range(7)}
    return lambda name: found[name]


def test_N12_time_travel_to_a_source_position(way: Way) -> None:
    """The lake as of the snapshot that reached P is the source as it was at P."""
    oracle: dict[int, Live] = {}
    for number in range(12):
        way.put(number)
        if number:
            way.shard.update({"id": number - 1}, v=f"step {number}")
        if number % 3 == 2:
            way.shard.delete({"id": number - 2})
        merged = way.merge()
        assert merged.snapshot_id is not None
        oracle[merged.snapshot_id] = way.source
    for snapshot_id, rows in oracle.items():
        assert way.live(snapshot_id) == rows
        with query.open_lake(way.settings, at=str(snapshot_id)) as lake:
            found = lake.ask("select id, v from lake.photos where not _is_deleted").fetchall()
        assert {int(id_): v for id_, v in found} == rows


def test_O08_of_a_row_that_every_shard_holds_the_copy_written_last_is_live(way: Way) -> None:
    other = Shard("shard_1", "photos", COLUMNS)
    other.snapshot()
    way.put(1, 2, 3)
    other.insert(*[{"id": id_, "v": "copy"} for id_ in (1, 2, 3)])
    way.merge([*way.new(), *other.deltas])
    assert way.live() == {1: "copy", 2: "copy", 3: "copy"}
    seen = len(other.deltas)
    way.shard.update({"id": 2}, v="second")
    other.delete({"id": 3})
    way.merge([*other.deltas[seen:], *way.new()])
    assert way.live() == {1: "copy", 2: "second", 3: "first"}
    assert way.table().scan().count() == 6  # each shard's copy is kept, with what it says
