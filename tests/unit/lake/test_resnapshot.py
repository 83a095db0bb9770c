"""A table that is read anew, its schema changes and rows brought by one pass or by several."""

from pathlib import Path

import pytest

from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.raw.land import land
from tests.history import Shard
from tests.recorded import Recorded
from tests.unit.lake.test_merge import COLUMNS, PHOTOS, live, new_catalog, rows


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 12, 21])
def test_a_pass_that_ends_within_a_snapshot_loses_no_row(tmp_path: Path, cut: int) -> None:
    catalog, stream, target = new_catalog(tmp_path), Recorded(), Target(PHOTOS)
    photos = Shard("shard_0", "photos", COLUMNS)
    photos.snapshot()
    photos.insert(*[{"id": number, "title": "a"} for number in range(20)])
    before = len(photos.deltas)
    photos.rows.pop()  # goes without an event
    photos.snapshot()
    end = before + cut
    for part in (photos.deltas[:before], photos.deltas[before:end], photos.deltas[end:]):
        stream.put_deltas(part)
        land(catalog, stream)  # type: ignore[arg-type]
        merge(catalog, target)
    assert live(rows(catalog, target), ["id"]) == [(number,) for number in range(19)]
