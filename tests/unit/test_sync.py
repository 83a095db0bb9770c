"""The first half of a pass: landing goes on while what has landed is merged."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from smug_platform.errors import SmugError, StreamError
from smug_platform.lake.merged import Merged
from smug_platform.loop import ToTheLake
from smug_platform.raw import backlog
from smug_platform.raw.backlog import ahead
from smug_platform.raw.land import Landed
from smug_platform.settings import Settings, load_settings
from smug_platform.stream.reader import Batch
from smug_platform.sync import Platform, ingest
from smug_platform.tables.table import Source, Table
from tests.history import Shard, column
from tests.recorded import Recorded, RecordedStream

PATIENCE = 30.0
SOURCE = Source(
    database="flickr",
    tables=(
        Table(name="photos", domain="photos", owner="team:photos"),
        Table(name="albums", domain="photos", owner="team:photos"),
    ),
)
COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})


@dataclass
class Waiting(Recorded):
    """A stream whose reads, but for the first, wait until something was merged."""

    merged: threading.Event = field(default_factory=threading.Event)
    waited: list[bool] = field(default_factory=list)

    def read(self, *given: Any, **options: Any) -> Batch:
        batch = super().read(*given, **options)
        if int(batch.positions.sequences["shardId-000000000000"]) > self.most:
            self.waited.append(self.merged.wait(PATIENCE))
        return batch


def filled(stream: Recorded, tables: tuple[str, ...] = ("photos",)) -> Recorded:
    """The stream with a schema change and six rows of each table."""
    for name in tables:
        shard = Shard("shard_0", name, COLUMNS)
        shard.snapshot()
        for number in range(6):
            shard.insert({"id": number, "title": "x"})
        stream.put_deltas(shard.deltas)
    return stream


def test_what_has_landed_is_merged_while_the_next_lands(settings: Settings) -> None:
    stream = filled(Waiting(most=3))
    platform = Platform(settings, SOURCE, stream=RecordedStream(settings, stream))

    def tell(result: object) -> None:
        if isinstance(result, Merged):
            stream.merged.set()

    done = ingest(platform, progress=tell)
    assert stream.waited == [True, True]
    assert sum(landed.deltas for landed in done.landed) == len(stream.envelopes)
    (merged,) = done.merged  # one table's, of all commits
    assert (merged.table, merged.written, merged.rows) == ("photos", 6, 6)
    assert merged.commits > 1
    assert set(done.seconds) == {"land", "merge"}


def test_a_table_that_fails_is_tried_once_in_a_pass_and_the_others_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = filled(Recorded(most=3), ("albums", "photos"))
    platform = Platform(settings, SOURCE, stream=RecordedStream(settings, stream))
    tried, merge = [], platform.merge

    def fail(target: Any) -> Merged:
        tried.append(target.name)
        if target.name == "albums":
            raise SmugError("no", remedy="wait")
        return merge(target)

    monkeypatch.setattr(platform, "merge", fail)
    done = ingest(platform)
    assert [str(problem) for problem in done.problems] == [str(SmugError("no", remedy="wait"))]
    assert tried.count("albums") == 1
    assert [(merged.table, merged.rows) for merged in done.merged] == [("photos", 6)]


def test_a_pass_of_the_lake_tends_between_its_merges(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = filled(Recorded(most=3))
    half = ToTheLake(Platform(settings, SOURCE, stream=RecordedStream(settings, stream)))
    tended: list[list[str]] = []
    monkeypatch.setattr(half, "_tend", lambda names: tended.append(list(names)))
    done = half()
    assert len(tended) == len(done.landed) == 3
    assert tended[0] == ["photos"]


def test_what_ends_the_landings_is_raised_after_those_that_went_well() -> None:
    def landings() -> Iterator[Landed]:
        yield Landed(deltas=1)
        raise StreamError("gone", remedy="wait")

    found = ahead(landings())
    assert next(found).deltas == 1
    with pytest.raises(StreamError, match="gone"):
        next(found)


def test_who_leaves_waits_for_the_landing_under_way_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, going, landed = threading.Event(), threading.Event(), []

    class Leaving(threading.Event):
        def set(self) -> None:
            super().set()
            going.set()

    monkeypatch.setattr(backlog, "Event", Leaving)

    def landings() -> Iterator[Landed]:
        for number in range(100):
            if number:
                begun.set()
                assert going.wait(PATIENCE)
            landed.append(number)
            yield Landed(deltas=number)

    found = ahead(landings())
    assert next(found).deltas == 0
    assert begun.wait(PATIENCE)
    found.close()
    assert landed == [0, 1]
