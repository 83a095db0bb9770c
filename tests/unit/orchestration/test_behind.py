"""What is behind what: from positions alone, at each stage, and what is asked for next."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from smug_platform.orchestration.behind import (
    Asked,
    Behind,
    Plan,
    arriving,
    behind,
    has_arrivals,
    plan,
)
from smug_platform.settings import load_settings
from smug_platform.sync import Platform, ingest
from smug_platform.tables.table import Source, Table
from smug_platform.warehouse.builds import record
from smug_platform.warehouse.models import Graph
from smug_platform.warehouse.open import loaded, open_warehouse
from tests.history import Shard
from tests.recorded import Recorded, RecordedStream
from tests.unit.orchestration.conftest import COLUMNS

SOURCE = Source(
    database="flickr",
    tables=(
        Table(name="photos", domain="photos", owner="team:photos"),
        Table(name="albums", domain="photos", owner="team:photos", history=True),
    ),
)
NO_MODELS = Graph({}, (), (), {"source.smug.warehouse.photos": "photos"})


@pytest.fixture
def platform(tmp_path: Path, stream: Recorded) -> Platform:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    return Platform(settings, SOURCE, stream=RecordedStream(settings, stream))


def test_each_stage_is_behind_until_it_has_committed(platform: Platform) -> None:
    assert has_arrivals(platform)
    assert behind(platform) == Behind()
    list(platform.land())
    assert not has_arrivals(platform)
    assert behind(platform) == Behind(merge={"photos": "None"})
    (target,) = platform.unmerged()
    merged = platform.merge(target)
    assert behind(platform) == Behind(load={"photos": "None"})
    list(platform.load())
    assert behind(platform) == Behind(build={"photos": "None"})
    with open_warehouse(platform.settings) as warehouse:
        record(warehouse, NO_MODELS, frozenset(), loaded(warehouse))
    assert behind(platform) == Behind()
    assert merged.snapshot_id is not None


def test_a_mark_is_where_the_follower_stands(
    platform: Platform, photos: Shard, stream: Recorded
) -> None:
    first = ingest(platform).merged[0].snapshot_id
    list(platform.load())
    photos.update({"id": 1}, title="b")
    stream.put_deltas(photos.deltas[-1:])
    list(platform.land())
    assert behind(platform).merge == {"photos": str(first)}
    second = ingest(platform).merged[0].snapshot_id
    assert behind(platform).load == {"photos": str(first)}
    assert first != second


def test_a_held_warehouse_leaves_its_stages_out(platform: Platform) -> None:
    ingest(platform)
    list(platform.load())
    list(platform.land())
    platform.settings.warehouse_path.write_text("not a warehouse")
    found = behind(platform, wait=0.0)
    assert (found.load, found.build) == ({}, {})
    assert "can't open" in found.note


def test_a_redshift_that_is_not_named_is_told_of(platform: Platform) -> None:
    ingest(platform)
    named = load_settings({"SMUG_ENV": "prod", "SMUG_HOME": str(platform.settings.home)})
    platform.settings = replace(platform.settings, redshift=named.redshift)
    found = behind(platform)
    assert (found.load, found.build) == ({}, {})
    assert "set SMUG_REDSHIFT_HOST" in found.note


def test_the_page_is_behind_after_a_build(platform: Platform) -> None:
    page = platform.settings.home / "dashboard" / "index.html"
    graph = replace(NO_MODELS, models={"model.smug.m": _model()})
    with open_warehouse(platform.settings) as warehouse:
        record(warehouse, graph, frozenset({"model.smug.m"}), {})
    assert behind(platform).page == {"dashboard": "0.0"}
    page.parent.mkdir()
    page.write_text("just now")
    assert behind(platform).page == {}


def _model() -> object:
    from smug_platform.warehouse.models import Model

    return Model("model.smug.m", "m", "marts", "", "table", "", "", "v1", (), (), ())


def test_a_peek_tells_which_tables_come(platform: Platform, stream: Recorded) -> None:
    everything = frozenset({"photos", "albums"})
    assert arriving(platform) == everything, "a schema change may concern any table"
    list(platform.land())
    assert arriving(platform) == frozenset()
    more = Shard("shard_0", "albums", COLUMNS)
    more.offset = 10_000
    more.insert({"id": 1, "title": "x"})
    stream.put_deltas(more.deltas)
    assert arriving(platform) == {"albums"}
    stream.most = 0
    assert arriving(platform) == everything, "more than a peek shows"


def test_what_follows_is_asked_for_with_it() -> None:
    waiting = Behind(merge={"a": "1"}, load={"b": "1"}, build={"c": "1"})
    new, again = plan(waiting, Asked(), now=0.0)
    assert new == Plan(
        merge=frozenset("a"), load=frozenset("ab"), build=frozenset("abc"), land=False
    )
    assert not again


def test_what_does_not_move_waits_and_stops_nothing_else() -> None:
    waiting = Behind(merge={"bad": "1", "good": "1"})
    asked = Asked().after(waiting.items, waiting.items, now=0.0)
    waiting = Behind(merge={"bad": "1", "good": "2"})
    new, again = plan(waiting, asked, arrivals=["bad", "good"], land=True, now=1.0)
    assert new.merge == {"good"}
    assert not again
    new, again = plan(waiting, asked, now=11.0)
    assert (new.merge, again.merge) == ({"good"}, {"bad"})


def test_a_stuck_load_does_not_stop_the_merge() -> None:
    waiting = Behind(load={"photos": "7"})
    asked = Asked().after(waiting.items, waiting.items, now=0.0)
    new, _ = plan(waiting, asked, arrivals=["photos"], land=True, now=1.0)
    assert new == Plan(land=True, merge=frozenset({"photos"}))


def test_pauses_double_up_to_a_bound_and_end_with_a_success() -> None:
    items, asked, now, pauses = {"merge:a": "1"}, Asked(), 0.0, []
    for _ in range(9):
        asked = asked.after(items, items, now)
        pauses.append(asked.items["merge:a"][2] - now)
        now = asked.items["merge:a"][2]
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    moved = {"merge:a": "2"}
    assert asked.fresh(moved) == {"merge:a"}
    assert asked.after(moved, moved, now).items["merge:a"][1] == 1
    assert asked.after({}, [], now).items == {}


def test_asked_survives_as_text() -> None:
    asked = Asked().after({"merge:a": "1"}, ["merge:a"], 5.0)
    assert Asked.from_json(asked.to_json()) == asked
    assert Asked.from_json(None) == Asked()


def test_a_killed_writer_leaves_nothing_that_a_look_trips_over(platform: Platform) -> None:
    """A write-ahead log that was left behind can be read."""
    ingest(platform)
    list(platform.load())
    with duckdb.connect(str(platform.settings.warehouse_path)) as connection:
        connection.execute("pragma disable_checkpoint_on_shutdown")
        connection.execute("create table left_behind (a int)")
    assert behind(platform).build == {"photos": "None"}
