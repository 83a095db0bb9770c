"""Writing the archive: everything that raw has accepted, once, however a writing ends."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from smug_platform.archive import archive as archives
from smug_platform.archive import write as writing
from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import all_manifests
from smug_platform.archive.resources import open_archive
from smug_platform.archive.seal import COLUMNS, unseal
from smug_platform.archive.store import FolderStore
from smug_platform.archive.verify import verify
from smug_platform.errors import ArchiveError
from smug_platform.raw import deltas as raw
from tests.unit.archive.archives import SOURCE, World, change, fill, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def bag(rows: pa.Table) -> Counter[tuple[Any, ...]]:
    names = [name for name in raw.ARROW.names if name != "landed_at"]
    return Counter(tuple(row.values()) for row in rows.select(names).to_pylist())


def archived(world: World) -> pa.Table:
    """All rows of the archive, opened."""
    found = []
    for manifest in all_manifests(world.archive.store):
        for one in manifest.objects:
            data = world.archive.store.read(one.name)
            assert data is not None
            rows = pq.ParquetFile(pa.BufferReader(data)).read()
            rows = unseal(rows, SOURCE.table(one.table), world.archive.keys)
            found.append(rows.select(raw.ARROW.names).cast(raw.ARROW))
    return pa.concat_tables(found)


def landed(world: World) -> pa.Table:
    table = raw.open_deltas(world.catalog)
    return raw.read(table, list(raw.delta_files(table)))


def is_whole(world: World) -> bool:
    proofs = verify(world.archive)
    assert [one for proof in proofs for one in proof.breaks] == []
    return bag(archived(world)) == bag(landed(world))


def test_all_that_landed_is_there_once_and_sealed(world: World) -> None:
    fill(world)
    world.land()
    change(world, 1, 2, 3)
    world.land(hours=1)
    written = world.write()
    assert is_whole(world)
    assert sum(one.rows for one in written.manifests) == landed(world).num_rows
    assert {one.hour for one in written.manifests} == {"2026-01-01T00", "2026-01-01T01"}
    held = b"".join(path.read_bytes() for path in (world.settings.home / "archive").rglob("*.*"))
    assert b"PAR1" in held
    opened = [
        pq.ParquetFile(path).read() for path in (world.settings.home / "archive").rglob("*.parquet")
    ]
    assert not any("@example.org" in str(rows.to_pylist()) for rows in opened)
    assert all(set(COLUMNS) <= set(rows.column_names) for rows in opened)


def test_nothing_new_writes_nothing(world: World) -> None:
    fill(world)
    world.land()
    assert world.write().manifests
    assert world.write().manifests == ()


def test_late_changes_of_an_hour_are_a_further_part_of_it(world: World) -> None:
    fill(world)
    world.land()
    world.write()
    change(world, 1, 2)
    world.land(hours=1)
    world.write()
    change(world, 4, 5)
    world.land(hours=0)
    (late, *_) = world.write().manifests
    assert late.hour == "2026-01-01T00"
    assert late.number == 3
    assert is_whole(world)


def test_a_shard_without_changes_says_so(world: World) -> None:
    fill(world)
    world.land()
    world.write()
    world.of("photos", "shard_0").insert({"id": 1, "account_id": 2, "n": 1})
    world.land()
    busy, quiet = world.write().manifests
    assert (busy.shard, busy.rows, quiet.shard, quiet.rows) == ("shard_0", 1, "shard_1", 0)
    assert quiet.raw.complete
    assert is_whole(world)


def test_many_commits_are_written_some_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_ROWS", 40)
    for first in (1, 21, 41):
        fill(world, first=first)
        world.land()
    assert len(world.write().manifests) > 4
    assert is_whole(world)


class _Ended(BaseException):
    """As a kill: nothing in the platform catches it."""


@pytest.mark.parametrize("moment", range(1, 20))
def test_ended_anywhere_the_next_writing_makes_it_whole(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """At each step that leaves something behind; more has landed when it goes on."""
    fill(world)
    world.land()
    world.write()
    fill(world, first=21)
    world.land(hours=1)
    change(world, 1, 2, 3, 4)
    world.land(hours=2)
    calls = [0]

    def counted(patched: pytest.MonkeyPatch, owner: type, name: str) -> None:
        inner = getattr(owner, name)

        def call(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] == moment:
                raise _Ended
            return inner(*arguments)

        patched.setattr(owner, name, call)

    with monkeypatch.context() as patched:
        for owner, name in (
            (FolderStore, "write"), (FolderStore, "create"),
            (Archive, "advance"), (Archive, "announce"), (Archive, "finished"),
        ):  # fmt: skip
            counted(patched, owner, name)
        with pytest.raises(_Ended):
            world.write()
    change(world, 6, 7)
    world.land(hours=1)
    world.archive = open_archive(world.settings.archive)
    world.write()
    assert is_whole(world)
    monkeypatch.setattr(archives, "LONGEST_S", -1.0)
    world.archive.settle()
    assert world.archive.announced() == set()
    assert is_whole(world)


def test_two_that_write_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is told; what it has left is taken away, and nothing is there twice."""
    fill(world)
    world.land()
    inner, others = FolderStore.create, list[int]()

    def create(self: FolderStore, name: str, data: bytes) -> None:
        if not others:
            others.append(1)
            world.write()
        inner(self, name, data)

    monkeypatch.setattr(FolderStore, "create", create)
    with pytest.raises(ArchiveError, match="another has written manifest 1 of shard_0"):
        writing.write(world.catalog, open_archive(world.settings.archive), SOURCE)
    world.write()
    assert is_whole(world)


def test_raw_made_anew_is_archived_from_its_start(world: World, tmp_path: Path) -> None:
    fill(world)
    world.land()
    world.write()
    world.catalog.drop_table(raw.NAME)
    world.stream.envelopes.clear()
    fill(world, first=21)
    world.land()
    world.write()
    rows = archived(world).num_rows
    assert [one for proof in verify(world.archive) for one in proof.breaks] == []
    assert rows == sum(len(one.deltas) for one in world.shards.values())
    del tmp_path


def test_files_can_not_be_written_to(world: World) -> None:
    fill(world)
    world.land()
    world.write()
    files = [one for one in (world.settings.home / "archive").rglob("*") if one.is_file()]
    assert files
    assert {one.stat().st_mode & 0o777 for one in files} == {0o444}
