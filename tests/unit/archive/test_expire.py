"""The end of an object's life, and the lock that comes before it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smug_platform.archive import expire as expiring
from smug_platform.archive.expire import expire
from smug_platform.archive.resources import open_archive
from smug_platform.archive.verify import verify
from smug_platform.errors import ArchiveError, SettingsError
from smug_platform.settings import load_settings
from tests.unit.archive.archives import World, fill, make_world

DAY = 86_400


@pytest.fixture
def world(tmp_path: Path) -> World:
    rules = {"SMUG_ARCHIVE_RETENTION_DAYS": "30", "SMUG_ARCHIVE_EXPIRE_DAYS": "40"}
    made = make_world(tmp_path, **rules)
    fill(made)
    made.land()
    made.write()
    return made


def objects(world: World) -> list[Path]:
    return list((world.settings.home / "archive" / "deltas").rglob("*.parquet"))


@pytest.fixture
def later(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The archive as it is in 41 days: that old are its files, and its manifests say so."""
    from smug_platform.archive import verify as verifying

    class Later(expiring.datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Later":
            return super().now(tz) + expiring.timedelta(days=41)  # type: ignore[arg-type, return-value]

    for path in objects(world):
        then = time.time() - 41 * DAY
        os.utime(path, (then, then))
    for module in (expiring, verifying):
        monkeypatch.setattr(module, "datetime", Later)
    return


def test_Q08_a_lock_blocks_an_early_delete(world: World) -> None:
    (name, *_) = [str(p.relative_to(world.settings.home / "archive")) for p in objects(world)]
    with pytest.raises(ArchiveError, match="is locked until"):
        world.archive.store.remove(name)
    assert expire(world.archive, world.settings.archive) == 0
    assert world.archive.store.read(name)


def test_Q08_expiry_deletes_and_the_chain_stays(world: World, later: None) -> None:
    del later
    count = len(objects(world))
    assert expire(world.archive, world.settings.archive) == count
    assert objects(world) == []
    proofs = verify(world.archive, expire_days=40)
    assert [one for proof in proofs for one in proof.breaks] == []
    assert sum(proof.expired for proof in proofs) == count


def test_what_goes_before_its_day_is_missing(world: World) -> None:
    objects(world)[0].unlink()
    breaks = [one for proof in verify(world.archive, expire_days=40) for one in proof.breaks]
    assert [one.problem for one in breaks] == ["it is gone"]


def test_without_an_end_nothing_expires(world: World, later: None, tmp_path: Path) -> None:
    del later
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)}).archive
    assert expire(open_archive(settings), settings) == 0
    assert objects(world)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SMUG_ARCHIVE_STORAGE_CLASS", "COLD", "set it to one of STANDARD"),
        ("SMUG_ARCHIVE_RETENTION_DAYS", "-1", "a number of days"),
        ("SMUG_ARCHIVE_EXPIRE_DAYS", "5", "objects are locked for 2556 days"),
    ],
)
def test_settings_that_can_not_be(name: str, value: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        load_settings({"SMUG_ENV": "prod", name: value})


def test_settings_of_aws() -> None:
    found = load_settings({"SMUG_ENV": "prod", "SMUG_ARCHIVE_STORAGE_CLASS": "DEEP_ARCHIVE"})
    assert found.archive.uri == "s3://smug-prod-archive/deltas"
    assert (found.archive.storage_class, found.archive.retention_days) == ("DEEP_ARCHIVE", 2556)
