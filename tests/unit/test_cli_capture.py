"""What `smug capture` asks of the raw table, over a real one, and what `smug snapshot` refuses."""

from pathlib import Path

import pytest

from smug_platform.capture.position import Position
from smug_platform.capture.sink import Published
from smug_platform.cli.capture import Raw
from smug_platform.cli.snapshot import snapshot
from smug_platform.errors import LakeError, SourceError
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.land import land
from tests.conftest import local_settings
from tests.unit.raw.test_land import RecordedStream, row


def test_raw_is_asked_for_a_shards_epoch_and_for_what_has_landed(tmp_path: Path) -> None:
    settings = local_settings(tmp_path)
    raw, stream = Raw(settings), RecordedStream()
    published = Published(Position(3, 3, 10), "i", {"s": "1"})
    assert (raw.epoch("shard_0"), raw.covers("shard_0", published)) == (0, False)
    stream.put(row("c", 10, {"id": 1}), epoch=3)
    land(open_catalog(settings), stream)  # type: ignore[arg-type]
    assert (raw.epoch("shard_0"), raw.covers("shard_0", published)) == (3, True)
    assert raw.epoch("shard_1") == 0
    assert not raw.covers("shard_0", Published(Position(3, 3, 11), "i", {"s": "2"}))


def test_a_catalog_that_does_not_answer_may_pass(tmp_path: Path) -> None:
    (tmp_path / "lake" / "catalog.db").mkdir(parents=True)
    with pytest.raises(LakeError, match="catalog") as told:
        Raw(local_settings(tmp_path)).epoch("shard_0")
    assert told.value.passes


@pytest.mark.parametrize(
    ("tables", "where", "told"),
    [
        (["photos"], "", "--where is empty: write what stands behind WHERE"),
        (["photos", "albums"], " ", "--where is empty: write what stands behind WHERE"),
        (["photos", "albums"], "id = 1", "--where is one condition, for one table"),
    ],
)
def test_K07_a_condition_that_may_be_none_is_no_whole_table(
    tables: list[str], where: str, told: str
) -> None:
    with pytest.raises(SourceError, match=told):
        snapshot(tables, where=where)
