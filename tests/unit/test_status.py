"""Status: what waits, of which shard, and for how long."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smug_platform.capture.sink import Heat
from smug_platform.capture.status import Status
from smug_platform.cli.show import show_status
from smug_platform.settings import Settings, load_settings
from smug_platform.status import TableStatus, platform_status
from smug_platform.sync import Platform
from smug_platform.tables.flickr import FLICKR
from tests.history import Shard, column
from tests.recorded import Recorded, RecordedStream
from tests.states import hold_of

COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})


@pytest.fixture
def shards() -> Mapping[str, Shard]:
    made = {name: Shard(name, "photos", COLUMNS) for name in ("shard_0", "shard_1")}
    for number, shard in enumerate(made.values()):
        shard.snapshot()
        shard.insert({"id": 10 * number + 1, "title": "a"}, {"id": 10 * number + 2, "title": "b"})
    return made


@pytest.fixture
def stream(shards: Mapping[str, Shard]) -> Recorded:
    recorded = Recorded()
    for shard in shards.values():
        recorded.put_deltas(shard.deltas)
    return recorded


@pytest.fixture
def platform(settings: Settings, stream: Recorded) -> Platform:
    return Platform(settings, FLICKR, stream=RecordedStream(settings, stream))


def photos(settings: Settings) -> dict[str, TableStatus]:
    found = platform_status(settings, FLICKR).tables
    return {row.shard: row for row in found if row.table == "photos"}


def test_each_shard_says_what_waits_of_it_and_since_when(
    platform: Platform, settings: Settings, shards: Mapping[str, Shard], stream: Recorded
) -> None:
    list(platform.land())
    first = photos(settings)
    assert [(row.raw, row.behind, row.lake, row.warehouse) for row in first.values()] == [
        (4, 4, None, None)  # of the schema, and two rows
    ] * 2
    (target,) = platform.unmerged()
    platform.merge(target)
    list(platform.load())
    second = photos(settings)
    assert [(row.behind, row.lake, row.warehouse, row.lag) for row in second.values()] == [
        (0, 2, 2, 0.0)
    ] * 2
    shards["shard_1"].update({"id": 11}, title="c")
    change = shards["shard_1"].deltas[-1]
    stream.put_deltas([change])
    list(platform.land())
    age = (datetime.now(UTC) - change["committed_at"]).total_seconds()
    for _ in range(2):  # it waits for its merge, then for its load
        third = photos(settings)
        assert (third["shard_0"].behind, third["shard_0"].lag) == (0, 0.0)
        assert third["shard_1"].lag == pytest.approx(age, abs=30.0)
        for target in platform.unmerged():
            assert third["shard_1"].behind == 1
            platform.merge(target)
    assert third["shard_1"].behind == 0
    list(platform.load())
    assert photos(settings)["shard_1"].lag == 0.0


def test_what_never_landed_has_no_lag(platform: Platform, settings: Settings) -> None:
    list(platform.land())
    (albums, *_) = [t for t in platform_status(settings, FLICKR).tables if t.table == "albums"]
    assert (albums.raw, albums.behind, albums.lag) == (0, 0, None)


def test_the_lag_is_shown_in_each_row(
    platform: Platform, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    list(platform.land())
    for target in platform.unmerged():
        platform.merge(target)
    list(platform.load())
    show_status(settings)
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split() for line in lines if " photos " in line]
    assert [(row[0], row[-3:]) for row in shown] == [
        ("shard_0", ["0", "0.0", "s"]),
        ("shard_1", ["0", "0.0", "s"]),
    ]


def test_a_shard_that_an_alter_has_not_reached_is_named(
    platform: Platform,
    settings: Settings,
    shards: Mapping[str, Shard],
    stream: Recorded,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ahead, late = shards.values()
    for shard, columns in ((ahead, [*COLUMNS, column("mood", "INT")]), (late, COLUMNS)):
        shard.alter(columns, "ALTER TABLE photos ADD COLUMN mood INT")
        stream.put_deltas(shard.deltas[-1:])
    list(platform.land())
    for target in platform.unmerged():
        platform.merge(target)
    show_status(settings)
    assert "schema: photos of shard_1 differs from the other shards in mood for" in (
        capsys.readouterr().out
    )
    late.alter([*COLUMNS, column("mood", "INT")], "ALTER TABLE photos ADD COLUMN mood INT")
    stream.put_deltas(late.deltas[-1:])
    list(platform.land())
    for target in platform.unmerged():
        platform.merge(target)
    show_status(settings)
    assert "schema:" not in capsys.readouterr().out


def test_a_hot_key_is_named_over_the_share_that_the_settings_give(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    heat = Heat(5_000, 10**6, 3, 0.6, 'photos {"id":7}', 0.55)
    hold = hold_of(settings)
    hold.renew(Status("shard_0", "streaming", updated_at=time.time(), heat=heat))
    show_status(settings)
    shown = capsys.readouterr().out
    assert "60%" in shown
    assert "hot: 60% of what shard_0 sends goes to lane 3" in shown
    assert 'photos {"id":7} alone' in shown
    show_status(replace(settings, stream=replace(settings.stream, hot_share=0.7)))
    assert "hot:" not in capsys.readouterr().out
