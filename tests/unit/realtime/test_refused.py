"""What can't be read: named, counted for nothing, as the lake has it, and stopping nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog

from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.land import land
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.run import lake_of
from smug_platform.settings import Settings, load_settings
from smug_platform.tables.flickr import FLICKR
from tests.history import column
from tests.lanes import changes_of
from tests.unit.realtime.conftest import Live, at
from tests.unit.realtime.flickr import COLUMNS, server

PHOTOS = Target(FLICKR.table("photos"))
POISON = "not a time"


def insert(live: Live, number: int, uploaded_at: Any) -> None:
    live.do("photos", "insert", {"id": number, "title": "t", "uploaded_at": uploaded_at})


def update(live: Live, number: int, uploaded_at: Any) -> None:
    live.do("photos", "update", {"id": number}, uploaded_at=uploaded_at)


def delete(live: Live, number: int) -> None:
    live.do("photos", "delete", {"id": number})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path / "home")})


@pytest.fixture
def catalog(settings: Settings) -> Catalog:
    return open_catalog(settings)


def in_the_lake(live: Live, catalog: Catalog) -> int:
    """Live photos of the lake, merged from the same stream."""
    land(catalog, live.stream)  # type: ignore[arg-type]
    merge(catalog, PHOTOS)
    table = catalog.load_table("lake.photos")
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    return files.read(["_is_deleted"])["_is_deleted"].to_pylist().count(False)


LIVES: dict[str, list[Callable[[Live], None]]] = {
    "it comes unread and is put right": [
        lambda live: insert(live, 1, POISON),
        lambda live: update(live, 1, at(2)),
        lambda live: delete(live, 1),
    ],
    "it becomes unread and is put right": [
        lambda live: insert(live, 1, at(1)),
        lambda live: update(live, 1, POISON),
        lambda live: update(live, 1, POISON + "!"),
        lambda live: update(live, 1, at(2)),
        lambda live: delete(live, 1),
    ],
    "it goes unread and another takes its key": [
        lambda live: insert(live, 1, at(1)),
        lambda live: update(live, 1, POISON),
        lambda live: delete(live, 1),
        lambda live: insert(live, 1, at(3)),
        lambda live: delete(live, 1),
    ],
    "it is gone with its table": [
        lambda live: insert(live, 1, at(1)),
        lambda live: update(live, 1, POISON),
        lambda live: live.do("photos", "truncate"),
        lambda live: insert(live, 1, at(3)),
        lambda live: update(live, 1, at(4)),
    ],
}


@pytest.mark.parametrize("name", LIVES)
def test_a_row_that_cannot_be_read_counts_as_the_lake_has_it(
    name: str, live: Live, catalog: Catalog
) -> None:
    insert(live, 7, at(1))
    for change in LIVES[name]:
        change(live)
        live.step()
        assert live.total("uploads") == in_the_lake(live, catalog), name
    assert live.rows("select distinct stage, table_name, shard, reason from refused") == [
        ("lake", "photos", "shard_0", "uploaded_at is not of type timestamp")
    ]


def test_all_of_it_in_one_step_comes_to_the_same(live: Live, catalog: Catalog) -> None:
    for name in LIVES:
        for change in LIVES[name]:
            change(live)
        live.do("photos", "truncate")
    insert(live, 7, at(1))
    live.step()
    assert live.total("uploads") == in_the_lake(live, catalog) == 1


def test_what_is_no_change_is_named_once_and_stops_nothing(live: Live) -> None:
    live.stream.put(3, [b"garbage", b'{"epoch":1}'])
    live.stream.put(3, [b"garbage"])
    insert(live, 1, at(1))
    assert live.step().refused == 3  # at three places
    assert live.total("uploads") == 1
    reasons = dict(live.rows("select stage, reason from refused"))
    assert reasons == {
        "stream": "no JSON object",
        "raw": "not an envelope: head, key and value on three lines are expected",
    }


def test_changes_without_a_schema_are_named_and_the_other_tables_go_on(live: Live) -> None:
    with live.store.writing() as connection:
        connection.execute("delete from states where table_name = 'photos'")
    live.consumer = type(live.consumer)(live.store, live.stream, FLICKR, clock=lambda: live.now)  # type: ignore[arg-type]
    insert(live, 1, at(1))
    live.do("comments", "insert", {"id": 1, "body": "b", "created_at": at(1)})
    live.step()
    ((table, reason),) = live.rows("select table_name, reason from refused")
    assert table == "photos"
    assert "without its schema" in reason
    assert live.total("comments") == 1


def test_a_table_that_loses_what_is_counted_by_is_named(live: Live) -> None:
    insert(live, 1, at(1))
    photos = live.shard.tables["photos"]
    rows = [{"id": row["id"], "title": row["title"]} for row in photos.rows]
    gone = [c for c in photos.columns if c["name"] != "uploaded_at"]
    live.do("photos", "alter", gone, "ALTER TABLE photos DROP COLUMN uploaded_at", rows)
    live.do("photos", "insert", {"id": 2, "title": "t"})
    live.step()
    ((place, reason),) = live.rows("select place, reason from refused")
    assert place == "uploads"
    assert "photos has not all of the columns uploaded_at" in reason


def test_a_column_that_is_renamed_counts_on(live: Live) -> None:
    insert(live, 1, at(1))
    photos = live.shard.tables["photos"]
    columns = [*photos.columns, column("stars", "INT")]
    rows = [row | {"stars": 5} for row in photos.rows]
    live.do("photos", "alter", columns, "ALTER TABLE photos ADD COLUMN stars INT", rows)
    live.do("photos", "update", {"id": 1}, stars=4, uploaded_at=at(2))
    live.step()
    assert live.total("uploads") == 1
    assert live.rows("select count(*) from refused") == [(0,)]


def test_tables_that_nobody_counts_or_has_declared_are_left_alone(live: Live) -> None:
    albums = live.shard.tables["photos"]
    payload = json.loads(albums.deltas[-1]["payload"])
    assert payload
    for name in ("albums", "not_declared"):
        live.shard.tables[name] = type(albums)("shard_0", name, albums.columns)
        live.do(name, "insert", {"id": 1, "title": "t", "uploaded_at": at(1)})
    step = live.step()
    assert (step.changes, step.refused) == (2, 0)
    assert live.total("uploads") == 0


def test_O05_a_shard_in_conflict_is_held_back_and_the_others_count_on(
    live: Live, catalog: Catalog
) -> None:
    shards = [live.shard, server("shard_1"), server("shard_2")]
    for shard in shards[1:]:
        live.stream.publish(shard.name, 1, changes_of(shard.snapshot()))
    for number, shard in enumerate(shards):
        for id_ in (10 * number, 10 * number + 1):
            row = {"id": id_, "title": "t", "uploaded_at": at(1)}
            shard.do("photos", "insert", row)
        live.stream.publish(shard.name, 1, changes_of(shard.new()))
    live.step()
    assert live.total("uploads") == in_the_lake(live, catalog) == 6
    columns = [column("id", "VARCHAR", length=20), *COLUMNS["photos"][1:]]
    live.do("photos", "alter", columns, "ALTER TABLE photos MODIFY id VARCHAR(20)")
    insert(live, 5, at(1))
    delete(live, 0)
    for number, shard in enumerate(shards[1:], start=1):
        for id_ in (10 * number + 2, 10 * number + 3):
            shard.do("photos", "insert", {"id": id_, "title": "t", "uploaded_at": at(1)})
        shard.do("photos", "delete", {"id": 10 * number})
        live.stream.publish(shard.name, 1, changes_of(shard.new()))
    live.step()
    told = live.rows("select distinct stage, shard, reason from refused")
    assert [(stage, shard) for stage, shard, _ in told] == [("lake", "shard_0")]
    assert "shard_0 alone: photos.id changed from" in told[0][2]
    assert live.total("uploads") == in_the_lake(live, catalog) == 8
    assert live.rows("select count(*) from refused") == [(2,)]
    live.do("photos", "alter", list(COLUMNS["photos"]), "ALTER TABLE photos MODIFY id BIGINT")
    insert(live, 0, at(2))  # the lake holds the row still: its delete was refused
    insert(live, 6, at(1))
    live.step()
    assert live.total("uploads") == in_the_lake(live, catalog) == 9


def test_O05_of_two_shards_the_one_that_the_lake_refuses_is_in_conflict(
    live: Live, settings: Settings, catalog: Catalog
) -> None:
    """The other's schema is the later one by its position, which two servers do not share."""
    clock, lake = lambda: live.now, lake_of(settings)
    live.consumer = Consumer(live.store, live.stream, FLICKR, clock=clock, lake=lake)  # type: ignore[arg-type]
    other = server("shard_1")
    for table in other.tables.values():
        table.file = 9
    live.stream.publish("shard_1", 1, changes_of(other.snapshot()))
    insert(live, 1, at(1))
    live.step()
    assert live.total("uploads") == in_the_lake(live, catalog) == 1
    columns = [column("id", "VARCHAR", length=20), *COLUMNS["photos"][1:]]
    live.do("photos", "alter", columns, "ALTER TABLE photos MODIFY id VARCHAR(20)")
    insert(live, 2, at(1))
    for id_ in (11, 12):
        other.do("photos", "insert", {"id": id_, "title": "t", "uploaded_at": at(1)})
    live.stream.publish("shard_1", 1, changes_of(other.new()))
    live.step()
    assert live.rows("select stage, shard from refused") == [("lake", "shard_0")]
    assert live.total("uploads") == in_the_lake(live, catalog) == 3


def test_a_lake_that_cannot_be_asked_is_done_without(settings: Settings) -> None:
    settings.home.parent.mkdir(parents=True, exist_ok=True)
    settings.home.write_text("no folder")
    assert lake_of(settings)(PHOTOS) is None
