"""Replay: the table that comes of the archive is the one that merging has made."""

from pathlib import Path
from typing import Any

import pytest

from smug_platform import iceberg
from smug_platform.archive import objects
from smug_platform.archive import read as reading
from smug_platform.archive.moment import Moment, parse_moment
from smug_platform.archive.replay import replay, replay_over, swap
from smug_platform.capture.position import Position
from smug_platform.errors import ArchiveError
from smug_platform.iceberg import LakeFiles
from smug_platform.lake.feed import feed
from smug_platform.lake.merge import merge, name_of, pending
from smug_platform.lake.target import Target, targets
from smug_platform.raw import deltas as raw
from smug_platform.raw.catalog import open_catalog
from tests.history import column
from tests.unit.archive.archives import SOURCE, World, change, fill, make_world

TARGETS = targets(SOURCE)
PHOTOS = Target(SOURCE.table("photos"))
each = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_story(tmp_path_factory.mktemp("replay"))


def make_story(home: Path) -> World:
    """Snapshot, updates that change nothing, deletes, a new column, a truncate, a moved row, a late
    hour; archived as it goes and merged all along.
    """
    made = make_world(home)
    fill(made, 30)
    step(made, 0)
    change(made, 1, 2, 3, 4, 5, 6)
    photos = made.of("photos", "shard_1")
    photos.update({"id": 1007}, n=7)  # as it was
    photos.update({"id": 1007}, n=7)
    step(made, 1)
    added = [*photos.columns, column("stars", "INT", optional=False, defaultValueExpression="3")]
    photos.alter(added, "ALTER TABLE photos ADD COLUMN stars INT NOT NULL DEFAULT 3",
                 [row | {"stars": 3} for row in photos.rows])  # fmt: skip
    photos.update({"id": 1009}, stars=5)
    made.of("views", "shard_0").delete({"n": 1})
    step(made, 3)
    made.of("views", "shard_1").truncate()
    moved = dict(made.of("photos").rows[0])
    made.of("photos").delete({"id": moved["id"]})
    photos.insert({name: moved[name] for name in ("id", "account_id", "n")} | {"stars": 1})
    change(made, 11, 12, 13)
    step(made, 2)
    return made


def step(world: World, hours: int) -> None:
    world.land(hours=hours)
    world.write()
    world.merge()


def rows(world: World, target: Target) -> list[dict[str, Any]]:
    table = iceberg.load(world.catalog, name_of(target))
    assert table is not None
    names = [field.name for field in table.schema().fields]
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    found = files.read(names).select(sorted(names)).to_pylist()
    return sorted(found, key=lambda row: str([row[name] for name in target.identity]))


def named(target: Target, alias: str) -> Target:
    return Target(target.table, target.history, alias=f"{target.name}_{alias}")


@each
def test_it_is_the_table_that_merging_has_made(world: World, target: Target) -> None:
    built = named(target, "again")
    done = replay(world.catalog, world.archive, built, Moment())
    live = rows(world, target)
    if target.table.key:
        assert rows(world, built) == live
    else:  # of equal rows it is one or another that goes
        assert contents(world, built) == contents(world, target)
    assert done.refused == 0
    assert any(row["_is_deleted"] for row in live) == (target.table.name != "accounts")


def contents(world: World, target: Target) -> list[tuple[Any, ...]]:
    alive = [row for row in rows(world, target) if not row["_is_deleted"]]
    return sorted((row["_shard"], row["photo_id"], row["n"]) for row in alive)


def test_only_the_last_change_of_a_row_is_decoded(world: World) -> None:
    built = named(PHOTOS, "few")
    done = replay(world.catalog, world.archive, built, Moment())
    assert done.applied < done.changes
    assert done.written <= done.applied


@pytest.mark.parametrize("part", [1, 7])
def test_in_small_parts_it_is_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(reading, "_PART", part)
    built = named(PHOTOS, f"by_{part}")
    replay(world.catalog, world.archive, built, Moment())
    assert rows(world, built) == rows(world, PHOTOS)


def test_of_an_object_of_many_row_groups_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_GROUP", 2)
    world, built = make_story(tmp_path), named(PHOTOS, "again")
    replay(world.catalog, world.archive, built, Moment())
    assert rows(world, built) == rows(world, PHOTOS)


@each
def test_over_the_live_table_it_changes_nothing(tmp_path: Path, target: Target) -> None:
    world = make_story(tmp_path)
    before = rows(world, target)
    done = replay_over(world.catalog, world.archive, target, Moment())
    assert (done.written, done.changes > 0) == (0, True)
    assert rows(world, target) == before


def test_to_a_time_and_to_a_position(tmp_path: Path) -> None:
    """As the lake was then: an oracle is a world whose story ended there."""
    world, then = make_story(tmp_path / "a"), make_world(tmp_path / "b")
    fill(then, 30)
    step(then, 0)
    place = Position(1, 1, then.of("photos").offset)
    for number, moment in enumerate(
        (
            parse_moment("2026-01-01T00:59:59"),
            Moment(positions={
                "shard_0": place, "shard_1": Position(1, 1, then.of("photos", "shard_1").offset)
            }),
        )
    ):  # fmt: skip
        built = named(PHOTOS, f"then_{number}")
        replay(world.catalog, world.archive, built, moment)
        assert rows(world, built) == rows(then, PHOTOS)


def test_raw_and_source_are_not_needed(tmp_path: Path) -> None:
    world = make_story(tmp_path)
    expected = {target.name: rows(world, target) for target in TARGETS}
    for name in (raw.NAME, *(name_of(target) for target in TARGETS)):
        world.catalog.drop_table(name)
    world.stream.envelopes.clear()
    for target in TARGETS:
        built = Target(target.table, target.history)
        replay(world.catalog, world.archive, built, Moment())
        if target.table.key:
            assert rows(world, target) == expected[target.name]


def test_in_place_and_the_merge_goes_on_from_there(tmp_path: Path) -> None:
    """What came after the moment is brought again by the next merge."""
    world = make_story(tmp_path)
    expected = rows(world, PHOTOS)
    snapshot = live_snapshot(world)
    built = named(PHOTOS, "swap")
    replay(world.catalog, world.archive, built, parse_moment("2026-01-01T01:00:00"))
    past = rows(world, built)
    swap(world.catalog, built, PHOTOS)
    assert iceberg.load(world.catalog, name_of(built)) is None
    assert [strip(row) for row in rows(world, PHOTOS)] == [strip(row) for row in past]
    changed = feed(world.catalog, PHOTOS, snapshot)
    assert changed is not None
    assert changed.full
    merge(world.catalog, PHOTOS)
    assert rows(world, PHOTOS) == expected
    assert pending(world.catalog, (PHOTOS,)) == {}


def test_in_place_of_a_table_that_was_lost_with_raw(tmp_path: Path) -> None:
    world = make_story(tmp_path)
    expected = rows(world, PHOTOS)
    world.catalog.drop_table(raw.NAME)
    world.catalog.drop_table(name_of(PHOTOS))
    world.catalog = open_catalog(world.settings)
    built = named(PHOTOS, "swap")
    replay(world.catalog, world.archive, built, Moment())
    swap(world.catalog, built, PHOTOS)
    assert rows(world, PHOTOS) == expected
    fill(world, first=31)
    world.land()
    world.merge()
    assert len(rows(world, PHOTOS)) == len(expected) + 20


def strip(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "stars"}


def live_snapshot(world: World) -> int:
    table = iceberg.load(world.catalog, name_of(PHOTOS))
    assert table is not None
    assert table.current_snapshot() is not None
    return int(table.current_snapshot().snapshot_id)  # type: ignore[union-attr]


def test_what_can_not_be_read_gives_way_to_the_change_before(tmp_path: Path) -> None:
    """As in the lake: the change goes to quarantine, and the row is as it was."""
    world = make_world(tmp_path)
    fill(world, 4)
    world.of("photos").update({"id": 1002}, n="no number")
    step(world, 0)
    built = named(PHOTOS, "again")
    done = replay(world.catalog, world.archive, built, Moment())
    assert done.refused == 1
    assert rows(world, built) == rows(world, PHOTOS)


def test_what_is_there_is_not_overwritten(world: World) -> None:
    with pytest.raises(ArchiveError, match=r"there is a table lake\.photos already"):
        replay(world.catalog, world.archive, PHOTOS, Moment())


def test_before_the_first_change_there_is_nothing(world: World) -> None:
    with pytest.raises(ArchiveError, match="holds nothing of photos"):
        replay(world.catalog, world.archive, named(PHOTOS, "x"), parse_moment("2020-01-01"))


def test_no_moment() -> None:
    with pytest.raises(ArchiveError, match="is no moment"):
        parse_moment("yesterday")
