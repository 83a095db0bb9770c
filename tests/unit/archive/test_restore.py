"""Objects that have to be restored first: what it costs, the wait, and going on with it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import Sealed, all_manifests
from smug_platform.archive.restore import need, restore
from smug_platform.archive.store import FolderStore, Kept
from smug_platform.errors import ArchiveError
from tests.unit.archive.archives import World, fill, make_world


class ColdStore(FolderStore):
    """A folder whose objects are cold: one that is asked for can be read three looks later."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, 0)
        self.asked: list[str] = []
        self._left: dict[str, int] = {}

    def state(self, name: str) -> Kept | None:
        kept = super().state(name)
        if kept is None or not name.startswith("deltas/"):
            return kept
        left = self._left.get(name)
        if left:
            self._left[name] = left - 1
        return replace(kept, cold=left != 0, restoring=bool(left))

    def restore(self, name: str, days: int, tier: str) -> None:
        self.asked.append(f"{name} {days} {tier}")
        self._left[name] = 3

    def read(self, name: str) -> bytes | None:
        if name.startswith("deltas/") and self._left.get(name) != 0:
            raise ArchiveError(f"{name} is cold", remedy="restore it")
        return super().read(name)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    fill(made)
    made.land()
    made.write()
    root = Path(urlsplit(made.settings.archive.uri).path)
    made.archive = Archive(ColdStore(root), made.archive.records, made.archive.keys)
    return made


def objects(world: World) -> list[Sealed]:
    return [one for manifest in all_manifests(world.archive.store) for one in manifest.objects]


def store(world: World) -> ColdStore:
    assert isinstance(world.archive.store, ColdStore)
    return world.archive.store


def test_Q07_the_cost_is_known_before_anything_is_asked_for(world: World) -> None:
    big = [replace(one, bytes=10**12) for one in objects(world)]
    found = need(world.archive, big, "DEEP_ARCHIVE", "Standard")
    count = len(big)
    assert (found.objects, len(found.cold), found.takes) == (count, count, "12 hours")
    assert found.dollars == pytest.approx(count * 1000 * 0.02 + count / 1000 * 0.1)
    bulk = need(world.archive, big, "DEEP_ARCHIVE", "Bulk")
    assert bulk.dollars < found.dollars / 7
    assert store(world).asked == []


def test_Q07_it_waits_until_all_can_be_read(world: World) -> None:
    names = need(world.archive, objects(world), "DEEP_ARCHIVE", "Bulk").cold
    with pytest.raises(ArchiveError, match="is cold"):
        world.archive.store.read(names[0])
    left: list[int] = []
    restore(world.archive, names, tier="Bulk", days=3, pause=0, told=left.append)
    assert left[-1] == 0
    assert len(left) > 1
    assert sorted(store(world).asked) == sorted(f"{name} 3 Bulk" for name in names)
    assert all(world.archive.store.read(name) for name in names)
    assert need(world.archive, objects(world), "DEEP_ARCHIVE", "Bulk").cold == ()


class _Ended(BaseException):
    pass


def test_Q07_ended_and_called_again_it_asks_for_nothing_twice(world: World) -> None:
    names = need(world.archive, objects(world), "GLACIER", "Standard").cold

    def end(left: int) -> None:
        assert left
        raise _Ended

    with pytest.raises(_Ended):
        restore(world.archive, names, pause=0, told=end)
    asked = len(store(world).asked)
    assert asked == len(names)
    restore(world.archive, names, pause=0)
    assert len(store(world).asked) == asked
    assert all(world.archive.store.read(name) for name in names)


def test_a_class_without_that_tier(world: World) -> None:
    with pytest.raises(ArchiveError, match="DEEP_ARCHIVE has no restore of tier Expedited"):
        need(world.archive, objects(world), "DEEP_ARCHIVE", "Expedited")


def test_what_is_gone_can_not_be_restored(world: World) -> None:
    gone = replace(objects(world)[0], name="deltas/gone.parquet")
    with pytest.raises(ArchiveError, match=r"deltas/gone\.parquet is gone"):
        need(world.archive, [gone], "GLACIER", "Standard")
