"""What `smug archive verify` finds: every way in which an archive may not be what was sealed."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.archive.manifest import Manifest, digest
from smug_platform.archive.resources import open_archive
from smug_platform.archive.verify import verify
from smug_platform.errors import ArchiveError
from tests.unit.archive.archives import World, change, fill, make_world


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three writings; nobody may change it."""
    world = make_world(tmp_path_factory.mktemp("sealed"))
    fill(world)
    world.land()
    world.write()
    for hours in (1, 2):
        change(world, 3 * hours + 1, 3 * hours + 2)
        world.land(hours=hours)
        world.write()
    return world


@pytest.fixture
def folder(sealed: World, tmp_path: Path) -> Iterator[Path]:
    """A copy of the archive, for a test to spoil."""
    home = tmp_path / "home"
    for name in ("archive", "keys"):
        shutil.copytree(sealed.settings.home / name, home / name)
    return home / "archive"


def breaks(folder: Path, sealed: World, *, contents: bool = True) -> list[tuple[str, str]]:
    home = folder.parent
    settings = replace(
        sealed.settings.archive, uri=f"file://{folder}",
        keys=f"{home}/keys/wrapping.key", records=f"{home}/keys/records.db",
    )  # fmt: skip
    proofs = verify(open_archive(settings), contents=contents)
    return [(one.place, one.problem) for proof in proofs for one in proof.breaks]


def manifests(folder: Path) -> list[Path]:
    return sorted((folder / "manifests" / "shard_0").iterdir())


def rewrite(path: Path, text: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(text)


def objects(folder: Path) -> list[Path]:
    return sorted((folder / "deltas" / "shard_0").rglob("photos-*.parquet"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    rewrite(path, bytes(data))


def test_an_archive_that_is_as_it_was_sealed(folder: Path, sealed: World) -> None:
    assert breaks(folder, sealed) == []
    first, second = verify(sealed.archive)
    assert (first.shard, second.shard) == ("shard_0", "shard_1")
    assert first.rows + second.rows == sum(len(one.deltas) for one in sealed.shards.values())
    assert first.hours == ("2026-01-01T00", "2026-01-01T02")


def test_a_flipped_byte_of_an_object(folder: Path, sealed: World) -> None:
    path = objects(folder)[0]
    flip(path)
    place = str(path.relative_to(folder))
    assert breaks(folder, sealed) == [(place, "its bytes are not those that were sealed")]
    assert breaks(folder, sealed, contents=False) == []  # which looks at sizes alone


def test_an_object_cut_off(folder: Path, sealed: World) -> None:
    path = objects(folder)[0]
    size = path.stat().st_size
    rewrite(path, path.read_bytes()[:-1])
    place = str(path.relative_to(folder))
    assert breaks(folder, sealed) == [(place, f"it has {size - 1} bytes, sealed were {size}")]


def test_a_missing_object(folder: Path, sealed: World) -> None:
    path = objects(folder)[0]
    path.unlink()
    assert breaks(folder, sealed) == [(str(path.relative_to(folder)), "it is gone")]


def test_an_added_object(folder: Path, sealed: World) -> None:
    added = objects(folder)[0].with_name("photos-00000001-0123456789abcdef.parquet")
    shutil.copy(objects(folder)[0], added)
    assert breaks(folder, sealed) == [(str(added.relative_to(folder)), "no manifest names it")]


@pytest.mark.parametrize("kept", [0, 1, 200])
def test_a_truncated_manifest(folder: Path, sealed: World, kept: int) -> None:
    path = manifests(folder)[1]
    rewrite(path, path.read_bytes()[:kept])
    found = breaks(folder, sealed)
    assert found[0][0] == str(path.relative_to(folder))
    assert found[0][1].startswith("it can't be read")


def test_a_changed_manifest(folder: Path, sealed: World) -> None:
    path = manifests(folder)[1]
    rewrite(path, path.read_bytes().replace(b'"sealed_at": "2', b'"sealed_at": "1'))
    expected = "the manifest before it is not the one that it follows"
    assert breaks(folder, sealed) == [(str(manifests(folder)[2].relative_to(folder)), expected)]


def test_a_missing_manifest(folder: Path, sealed: World) -> None:
    manifests(folder)[1].unlink()
    found = breaks(folder, sealed)
    assert ("manifests/shard_0/00000003.json",
            "it follows manifest 1: those between are gone") in found  # fmt: skip


def test_the_last_manifest_is_missing_with_its_objects(folder: Path, sealed: World) -> None:
    """The chain itself is whole: the records know how long it was."""
    last = manifests(folder)[-1]
    for one in Manifest.from_bytes(last.read_bytes()).objects:
        (folder / one.name).unlink()
    last.unlink()
    assert breaks(folder, sealed) == [("shard_0, manifest 3", "it is gone")]
    (folder.parent / "keys" / "records.db").unlink()
    assert breaks(folder, sealed) == []


def forge(folder: Path, number: int, forged: Callable[[Manifest], Manifest]) -> None:
    """Change a manifest and write the chain after it anew, as one who may do so would."""
    previous = None
    for path in manifests(folder)[number - 1 :]:
        manifest = Manifest.from_bytes(path.read_bytes())
        manifest = forged(manifest) if previous is None else replace(manifest, previous=previous)
        rewrite(path, manifest.to_bytes())
        previous = digest(manifest.to_bytes())


def test_a_forged_chain_is_not_the_one_that_was_written(folder: Path, sealed: World) -> None:
    forge(folder, 2, lambda manifest: replace(manifest, sealed_at="2020-01-01T00:00:00Z"))
    assert breaks(folder, sealed) == [("shard_0, manifest 3", "it is another than was written")]


def test_a_gap_in_what_was_taken_in(folder: Path, sealed: World) -> None:
    """A raw commit that no manifest takes in, though all hashes are right."""
    gap = 1
    forge(folder, 2, lambda one: replace(one, raw=replace(one.raw, after=one.raw.after + gap)))
    (folder.parent / "keys" / "records.db").unlink()
    ((place, problem),) = breaks(folder, sealed)
    assert place == "manifests/shard_0/00000002.json"
    assert problem == "it goes on from raw commit 2, and the chain has come to 1: a gap"


def test_rows_that_lack(folder: Path, sealed: World) -> None:
    forge(folder, 2, lambda one: replace(one, rows_before=one.rows_before + 5))
    assert ("manifests/shard_0/00000002.json", "5 rows lack before it") in breaks(folder, sealed)


def test_a_manifest_of_another_number(folder: Path, sealed: World) -> None:
    third = manifests(folder)[2]
    shutil.copy(third, folder / "manifests" / "shard_0" / "00000004.json")
    place = "manifests/shard_0/00000004.json"
    assert (place, "it says that it is manifest 3") in breaks(folder, sealed)


def test_a_manifest_of_another_format(folder: Path, sealed: World) -> None:
    path = manifests(folder)[0]
    rewrite(path, json.dumps(json.loads(path.read_bytes()) | {"format": 9}).encode())
    assert "of format 9, this release reads up to 1" in breaks(folder, sealed)[0][1]


def test_objects_of_a_writing_under_way_are_none_of_it(folder: Path, sealed: World) -> None:
    added = objects(folder)[0].with_name("photos-00000009-0123456789abcdef.parquet")
    shutil.copy(objects(folder)[0], added)
    name = str(added.relative_to(folder))
    records = f"{folder.parent}/keys/records.db"
    archive = open_archive(replace(
        sealed.settings.archive, uri=f"file://{folder}", records=records,
        keys=f"{folder.parent}/keys/wrapping.key",
    ))  # fmt: skip
    token = archive.announce([name])
    assert breaks(folder, sealed) == []
    archive.finished(token)
    assert breaks(folder, sealed) == [(name, "no manifest names it")]


def test_a_writer_does_not_go_on_from_a_changed_chain(folder: Path, sealed: World) -> None:
    flip(manifests(folder)[-1])
    settings = replace(
        sealed.settings.archive, uri=f"file://{folder}",
        records=f"{folder.parent}/keys/records.db",
    )  # fmt: skip
    with pytest.raises(ArchiveError, match="manifest 3 of shard_0 is not what was written"):
        open_archive(settings).chains()
