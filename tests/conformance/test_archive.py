"""Cases Q, and those of J and N that the archive decides, over a recorded stream."""

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from smug_platform import iceberg
from smug_platform.archive.compare import compare
from smug_platform.archive.erase import Beside, Certificate, Copy, erase, hold, release
from smug_platform.archive.moment import Moment
from smug_platform.archive.replay import replay, replay_over
from smug_platform.archive.verify import verify
from smug_platform.capture.position import Position
from smug_platform.errors import ArchiveError, QueryError
from smug_platform.lake import query
from smug_platform.lake.merge import merge, name_of
from smug_platform.lake.target import Target, targets
from smug_platform.raw import deltas as raw
from smug_platform.warehouse.connect import connect
from smug_platform.warehouse.refresh import refresh
from smug_platform.warehouse.rewrite import rewrite
from tests.unit.archive.archives import SOURCE, World, change, fill, make_world, readable

TARGETS = targets(SOURCE)
PHOTOS = Target(SOURCE.table("photos"))
SHARDS = ("shard_0", "shard_1")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    fill(made)
    made.land()
    return made


def live(world: World, target: Target) -> Counter[tuple[Any, ...]]:
    """The live rows of a lake table, by pyiceberg's own reader."""
    rows = world.catalog.load_table(name_of(target)).scan("_is_deleted = false").to_arrow()
    names = sorted(name for name in rows.column_names if not name.startswith("_"))
    return Counter(tuple(map(str, row.values())) for row in rows.select(names).to_pylist())


def source(world: World, table: str) -> Counter[tuple[Any, ...]]:
    """The rows that the shards hold: the oracle."""
    return Counter(
        tuple(str(row.get(name)) for name in sorted(one["name"] for one in shard.columns))
        for name in SHARDS
        for shard in [world.of(table, name)]
        for row in shard.rows
    )


def held(world: World) -> Counter[tuple[str, str, str, Any]]:
    """Every archived change, by table, shard, operation and position."""
    from smug_platform.archive.read import Reading

    found: Counter[tuple[str, str, str, Any]] = Counter()
    for table in SOURCE.tables:
        reading = Reading(world.archive, table, Moment())
        rows = [*reading.control, *(r for part in reading.all_changes() for r in part.to_pylist())]
        found.update(
            (table.name, row["shard"], row["op"], (row["binlog_offset"], row["row_number"] or 0))
            for row in rows
        )
    return found


def test_Q01_every_accepted_event_once(world: World) -> None:
    for hours in (0, 1, 1, 3):
        change(world, *{0: (1, 2), 3: (7, 8)}.get(hours, ()))
        world.of("photos").update({"id": 1010}, n=hours + 100 * len(world.of("photos").deltas))
        world.land(hours=hours)
        world.write()
    sent = Counter(
        (one.table, one.name, delta["op"], (delta["binlog_offset"], delta["row_number"]))
        for one in world.shards.values()
        for delta in one.deltas
    )
    assert held(world) == sent
    assert compare(world.catalog, world.archive).differences == ()


def test_Q02_what_is_changed_missing_or_added_is_found(world: World) -> None:
    world.write()
    first, second, third, *_ = sorted((world.settings.home / "archive").rglob("*.parquet"))
    data = bytearray(first.read_bytes())
    data[100] ^= 4
    first.chmod(0o644)
    first.write_bytes(bytes(data))
    second.unlink()
    third.with_name("added.parquet").write_bytes(third.read_bytes())
    found = {Path(one.place).name: one.problem for p in verify(world.archive) for one in p.breaks}
    assert found == {
        first.name: "its bytes are not those that were sealed",
        second.name: "it is gone",
        "added.parquet": "no manifest names it",
    }


def test_Q03_lake_and_warehouse_from_the_archive_alone(world: World) -> None:
    """Source, stream and raw are gone; the oracle is what the shards held at the position."""
    expected = {table.name: source(world, table.name) for table in SOURCE.tables}
    place = {
        name: Position(1, 1, max(world.of(table.name, name).offset for table in SOURCE.tables))
        for name in SHARDS
    }
    world.write()
    for shard in world.shards.values():  # after the position, of each table
        shard.file += 1
    change(world, 1, 2, 3)
    world.land(hours=1)
    world.write()
    world.catalog.drop_table(raw.NAME)
    world.stream.envelopes.clear()
    for target in TARGETS:
        replay(world.catalog, world.archive, target, Moment(positions=place))
    with duckdb.connect() as warehouse:
        for target in TARGETS:
            loaded = refresh(world.catalog, warehouse, target)
            assert loaded is not None
            if not target.history:
                assert live(world, target) == expected[target.name]
                rows = warehouse.execute(
                    f"select count(*) from warehouse.{target.name} where not _is_deleted"
                ).fetchall()
                assert rows == [(expected[target.name].total(),)]


def test_J11_the_same_change_again_and_again_through_the_archive(world: World) -> None:
    """Raw accepts each copy, the archive holds each, the row is one."""
    change(world, 1)
    found = world.land()
    for _ in range(3):
        world.stream.put_deltas(found)
        merged = world.of("photos", "shard_1")
        merged.insert({"id": 5000 + len(merged.deltas), "account_id": 1, "n": 0})
        world.land()
    world.write()
    replay(world.catalog, world.archive, PHOTOS, Moment())
    assert live(world, PHOTOS) == source(world, "photos")
    assert held(world).total() > sum(len(one.deltas) for one in world.shards.values())
    assert compare(world.catalog, world.archive).differences == ()


def test_J12_an_older_update_that_landed_hours_later(world: World) -> None:
    """Archived after the newer one, in a part of its own, it does not come to count."""
    photos = world.of("photos")
    photos.update({"id": 1002}, n=100)
    (older,) = photos.deltas[-1:]
    photos.update({"id": 1002}, n=200)
    photos.deltas.remove(older)
    world.land(hours=1)
    world.write()
    photos.deltas.append(older)
    world.land(hours=0)
    world.write()
    replay(world.catalog, world.archive, PHOTOS, Moment())
    assert live(world, PHOTOS) == source(world, "photos")


def test_J17_a_replay_over_a_live_table_changes_nothing(world: World) -> None:
    change(world, 1, 2, 3)
    world.land()
    world.write()
    world.merge()
    for target in TARGETS:
        before = live(world, target)
        done = replay_over(world.catalog, world.archive, target, Moment())
        assert (done.written, done.changes > 0, live(world, target)) == (0, True, before)


def test_N12_as_of_a_source_position(world: World) -> None:
    """As it was when the shards stood there: read through a snapshot, where one holds it."""
    world.merge()
    then = {name: Position(1, 1, world.of("photos", name).offset) for name in SHARDS}
    expected = source(world, "photos")
    change(world, 1, 2, 3)
    between = {"shard_1": Position(1, 1, world.of("photos", "shard_1").offset - 150)}
    world.land()
    world.merge()
    with query.open_lake(world.settings, as_of=then, sql="from lake.photos") as lake:
        rows = lake.ask("select account_id, description, id, n from lake.photos"
                        " where not _is_deleted").fetchall()  # fmt: skip
    assert Counter(tuple(map(str, row)) for row in rows) == expected
    with (
        pytest.raises(QueryError, match=r"lake\.photos never stood at .*: smug replay --table"),
        query.open_lake(world.settings, as_of=between, sql="from lake.photos"),
    ):
        pass


def test_N12_a_position_whose_snapshots_have_expired(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.merge()
    then = {name: Position(1, 1, world.of("photos", name).offset) for name in SHARDS}
    expected = source(world, "photos")
    monkeypatch.setattr(iceberg.change, "_KEEP", 1)
    monkeypatch.setattr(iceberg.change, "hold", lambda *_: ())
    for number in range(3):
        world.of("photos").update({"id": 1002}, n=300 + number)
        world.land()
        merge(world.catalog, PHOTOS)
    with (
        pytest.raises(QueryError, match="has expired: smug replay --table photos"),
        query.open_lake(world.settings, as_of=then, sql="from lake.photos"),
    ):
        pass
    world.write()
    built = Target(PHOTOS.table, alias="photos_then")
    replay(world.catalog, world.archive, built, Moment(positions=then))
    assert live(world, built) == expected


def erased(world: World, account: str) -> Certificate:
    """The account erased, with a warehouse that follows the lake."""

    def publish() -> list[Copy]:
        with connect(world.settings) as warehouse:
            loaded = [refresh(world.catalog, warehouse, target) for target in TARGETS]
        rewrite(world.settings)
        return [Copy("warehouse", "follows the lake", sum(one.replaced for one in loaded if one))]

    beside = Beside(world.settings.claims, publish, "2026-01-08T00:00:00Z")
    return erase(world.catalog, world.archive, SOURCE, account, beside)


def test_Q04_one_person_is_erased_from_every_copy(world: World) -> None:
    world.merge()
    with connect(world.settings) as warehouse:
        for target in TARGETS:
            refresh(world.catalog, warehouse, target)
        warehouse.execute("create view warehouse.mine as select id, email from warehouse.accounts")
    world.write()
    certificate = erased(world, "7")
    with connect(world.settings) as warehouse:
        people = warehouse.execute("select email from warehouse.mine where email is not null")
        assert len(people.fetchall()) == 19
        photos = "select count(*) from warehouse.photos where account_id = 7 and not _is_deleted"
        assert warehouse.execute(photos).fetchall() == [(0,)]
    assert b"m7@example" not in world.settings.warehouse_path.read_bytes()
    assert "m7@example" not in readable(world)
    assert certificate.is_clear
    copies = {copy.copy: copy for copy in certificate.copies}
    assert set(copies) == {
        "archive", "lake.accounts", "lake.accounts_history", "lake.photos", "raw.deltas",
        "raw.quarantine", "records too large for the stream", "warehouse", "stream",
    }  # fmt: skip
    assert copies["stream"].gone_by == "2026-01-08T00:00:00Z"
    assert (copies["warehouse"].rows, copies["lake.photos"].left) == (3, 0)


def test_Q05_a_replay_does_not_bring_the_person_back(world: World) -> None:
    world.merge()
    world.write()
    erased(world, "7")
    for target in TARGETS:
        replay_over(world.catalog, world.archive, target, Moment())
        built = Target(target.table, target.history, alias=f"{target.name}_again")
        replay(world.catalog, world.archive, built, Moment())
        for one in (target, built):
            assert not any(("7" in row[:2]) for row in live(world, one) if target.table.account)
    assert "m7@example" not in readable(world)


def test_Q06_a_legal_hold_refuses_until_it_is_released(world: World) -> None:
    world.merge()
    world.write()
    hold(world.archive, "7", "case 12")
    with pytest.raises(ArchiveError, match=r"legal hold since .*: case 12: have it released"):
        erased(world, "7")
    assert "m7@example" in readable(world)
    release(world.archive, "7")
    assert erased(world, "7").is_clear
    assert "m7@example" not in readable(world)
