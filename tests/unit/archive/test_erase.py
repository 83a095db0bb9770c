"""Erasing an account: what is left of it in which copy, and what stays of everybody else."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from smug_platform import iceberg
from smug_platform.archive.clear import clear_lake
from smug_platform.archive.compare import compare
from smug_platform.archive.erase import Beside, Certificate, erase, hold, holds, release
from smug_platform.archive.moment import Moment
from smug_platform.archive.replay import replay, replay_over
from smug_platform.archive.verify import verify
from smug_platform.errors import ArchiveError
from smug_platform.iceberg import LakeFiles
from smug_platform.lake.merge import merge, name_of, pending
from smug_platform.lake.target import Target, targets
from smug_platform.raw import deltas as raw
from smug_platform.raw.land import stream_positions
from smug_platform.stream.claims import Claims
from tests.unit.archive.archives import SOURCE, World, change, fill, make_world, readable

TARGETS = targets(SOURCE)
PHOTOS, ACCOUNTS = Target(SOURCE.table("photos")), Target(SOURCE.table("accounts"))
WHO = "7"
SECRETS = ("m7@example.org", "new7@example.org", "new of m7")


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    fill(made)
    made.land()
    made.merge()
    made.write()
    change(made, 6, 7, 8, 9)
    made.land(hours=1)
    return made


def run(world: World, account: str = WHO) -> Certificate:
    beside = Beside(world.settings.claims, list, None)
    return erase(world.catalog, world.archive, SOURCE, account, beside)


def held(world: World, target: Target) -> list[dict[str, Any]]:
    table = iceberg.load(world.catalog, name_of(target))
    assert table is not None
    names = list(table.schema().column_names)
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    return list(files.read(names).select(names).to_pylist())


def others(world: World) -> Counter[str]:
    """All rows of the lake that are of somebody else."""
    return Counter(
        f"{target.name} {row}"
        for target in TARGETS
        for row in held(world, target)
        if str(row.get(target.table.account)) != WHO
    )


def test_no_file_holds_anything_of_the_account(world: World) -> None:
    assert all(word in readable(world) for word in ("m7@example.org", "new7@example.org"))
    certificate = run(world)
    found = readable(world)
    assert not any(word in found for word in SECRETS)
    assert "new8@example.org" in found
    assert certificate.is_clear
    for path in world.settings.home.rglob("*.avro"):  # bounds of columns stand in manifests
        assert not any(word.encode() in path.read_bytes() for word in SECRETS)


def test_of_the_others_nothing_changes(world: World) -> None:
    world.merge()
    before = others(world)
    run(world)
    assert others(world) == before
    assert pending(world.catalog, TARGETS) == {}


def test_its_rows_are_tombstones(world: World) -> None:
    run(world)
    for target in (PHOTOS, ACCOUNTS, Target(ACCOUNTS.table, history=True)):
        own = [r for r in held(world, target) if str(r[target.table.account]) == WHO]
        assert own
        for row in own:
            keep = {"id", "account_id", "_shard", "_position", "_committed_at", "_is_deleted"}
            assert row["_is_deleted"]
            assert all(value is None for name, value in row.items() if name not in keep)


def test_raw_keeps_each_delta_and_where_it_stood(world: World) -> None:
    """The stream's positions too, and what was merged is not merged again."""
    world.merge()
    table = raw.open_deltas(world.catalog)
    before = stream_positions(table)
    count = raw.read(table, list(raw.delta_files(table))).num_rows
    run(world)
    table = raw.open_deltas(world.catalog)
    assert stream_positions(table) == before
    assert raw.read(table, list(raw.delta_files(table))).num_rows == count
    assert pending(world.catalog, TARGETS) == {}
    assert all(merge(world.catalog, target).commits == 0 for target in TARGETS)
    fill(world, first=21)
    world.land()
    world.merge()
    assert len([r for r in held(world, PHOTOS) if not r["_is_deleted"]]) == 37


def test_the_archive_holds_and_equals_raw(world: World) -> None:
    run(world)
    world.write()
    assert [one for proof in verify(world.archive) for one in proof.breaks] == []
    assert compare(world.catalog, world.archive).differences == ()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_replay_does_not_bring_it_back(world: World, target: Target) -> None:
    world.merge()
    before = others(world)
    world.write()
    run(world)
    built = Target(target.table, target.history, alias=f"{target.name}_again")
    replay(world.catalog, world.archive, built, Moment())
    alive = [row for row in held(world, built) if not row["_is_deleted"]]
    assert not any(str(row.get(target.table.account)) == WHO for row in alive)
    assert not any(word in readable(world) for word in SECRETS)
    replay_over(world.catalog, world.archive, target, Moment())
    assert others(world) == before


def test_what_comes_of_it_later_is_not_kept_in_the_archive(world: World) -> None:
    run(world)
    world.of("accounts", "shard_1").update({"id": 7}, email="back@example.org")
    world.land(hours=2)
    world.write()
    run(world)
    assert "back@example.org" not in readable(world)


def test_again_it_changes_nothing(world: World) -> None:
    first, second = run(world), run(world)
    assert first.is_clear
    assert sum(copy.rows for copy in first.copies) > 0
    assert sum(copy.rows for copy in second.copies) == 0


def test_large_records_beside_the_stream_go(world: World) -> None:
    claims = Claims(world.settings.claims)
    claims.store(b'{"value":{"after":{"id":1,"account_id":7,"description":"long"}}}')
    claims.store(b'{"value":{"after":{"id":1,"account_id":77,"description":"long"}}}')
    run(world)
    left = [p for p in (world.settings.home / "claims").rglob("*") if p.is_file()]
    assert len(left) == 1


def test_quarantine_is_cleared(world: World) -> None:
    for name, number in (("shard_1", 7), ("shard_0", 8)):
        world.of("photos", name).insert(
            {
                "id": 5000 + number,
                "account_id": number,
                "n": "no number",
                "description": "new of m7",
            }
        )
    world.land(hours=1)
    world.merge()
    run(world)
    rows = world.catalog.load_table("raw.quarantine").scan().to_arrow()["payload"].to_pylist()
    assert [b'"account_id":8' in payload for payload in rows] == [True]


def test_a_legal_hold_refuses_with_its_reason_until_it_is_released(world: World) -> None:
    world.merge()
    hold(world.archive, WHO, "case 12 of the court")
    with pytest.raises(ArchiveError, match="already"):
        hold(world.archive, WHO, "another")
    before = readable(world)
    with pytest.raises(ArchiveError, match=r"legal hold since .*: case 12 of the court"):
        run(world)
    assert readable(world) == before
    assert list(holds(world.archive)) == [WHO]
    release(world.archive, WHO)
    with pytest.raises(ArchiveError, match="under no legal hold"):
        release(world.archive, WHO)
    assert run(world).is_clear


def test_the_certificate_lists_each_copy(world: World) -> None:
    certificate = run(world)
    assert [copy.copy for copy in certificate.copies] == [
        "archive", "lake.accounts", "lake.accounts_history", "lake.photos", "raw.deltas",
        "raw.quarantine", "records too large for the stream", "stream",
    ]  # fmt: skip
    (kept,) = world.archive.records.all("certificate").values()
    assert kept == certificate.to_bytes()
    assert not any(word.encode() in kept for word in SECRETS)


def test_books_are_blanked(tmp_path: Path) -> None:
    """Of a table whose rows must be kept the personal columns go, and nothing else."""
    from dataclasses import replace

    world = make_world(tmp_path)
    fill(world)
    change(world, 7)
    world.land()
    world.merge()
    books = Target(replace(PHOTOS.table, on_erase="blank"))
    before = [row for row in held(world, books) if row["account_id"] == 7]
    assert clear_lake(world.catalog, books, {WHO}).rows == 1
    after = [row for row in held(world, books) if row["account_id"] == 7]
    assert after == [row | {"description": None} for row in before]
    source = replace(SOURCE, tables=(books.table,))
    erase(world.catalog, world.archive, source, WHO, Beside(world.settings.claims, list, None))
    table = raw.open_deltas(world.catalog)
    files = [one for one in raw.delta_files(table) if one.table == "photos"]
    own = [p for p in raw.read(table, files)["payload"].to_pylist() if '"account_id":7,' in p]
    assert own
    assert all('"n":7' in payload or '"n":8' in payload for payload in own)
    assert not any("m7" in payload for payload in own)
    assert isinstance(table.scan().to_arrow(), pa.Table)
