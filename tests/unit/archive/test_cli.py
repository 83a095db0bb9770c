"""The auditor's command, and what else `smug archive` does, as a person calls it."""

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from smug_platform.cli.app import app
from smug_platform.errors import ArchiveError
from tests.unit.archive.archives import SOURCE, World, fill, make_world, readable


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("SMUG_ENV", "test")
    monkeypatch.setenv("SMUG_HOME", str(tmp_path))
    made = make_world(tmp_path)
    fill(made)
    made.land()
    return made


def smug(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_write_then_verify(world: World) -> None:
    code, said = smug("archive")
    rows = sum(len(one.deltas) for one in world.shards.values())
    assert (code, said.startswith(f"{rows} changes")) == (0, True)
    assert smug("archive") == (0, "nothing new: the archive is where raw is\n")
    code, said = smug("archive", "verify")
    assert code == 0
    assert "shard_0" in said
    assert said.endswith("no change lacks, none was added\n")


def test_verify_tells_the_place_of_a_break(world: World) -> None:
    smug("archive")
    path = next((world.settings.home / "archive").rglob("photos-*.parquet"))
    path.unlink()
    code, said = smug("archive", "verify", "--no-contents")
    assert code == 1
    name = path.relative_to(world.settings.home / "archive")
    assert f"broken {name}: it is gone" in said


def test_an_archive_that_is_not_there_proves_nothing(world: World) -> None:
    code, said = smug("archive", "verify")
    assert code == 1
    assert "nothing is proven" in said
    assert f"file://{world.settings.home}/archive\n" == smug("archive", "prepare")[1]


@pytest.fixture
def archived(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world merged and archived; the commands take its tables for the contract's."""
    monkeypatch.setattr("smug_platform.tables.flickr.FLICKR", SOURCE)
    world.merge()
    world.write()
    return world


def ids(world: World, table: str) -> list[int]:
    scan = world.catalog.load_table(f"lake.{table}").scan("_is_deleted = false")
    return sorted(int(number) for number in scan.to_arrow()["id"].to_pylist())


def test_replay_builds_a_table_beside_the_live_one(archived: World) -> None:
    archived.of("photos").delete({"id": 1002})
    archived.land()
    archived.merge()
    code, said = smug("replay", "--table", "photos", "--into", "photos_before")
    assert code == 0
    assert "0 are cold" in said
    assert "changes as lake.photos_before, 20 rows" in said
    assert ids(archived, "photos_before") == [*range(1001, 1021)]
    assert ids(archived, "photos") == [1001, *range(1003, 1021)]


def test_replay_puts_every_table_in_the_live_ones_place(archived: World) -> None:
    for name in ("accounts", "photos"):
        table = archived.catalog.load_table(f"lake.{name}")
        table.delete("id > 3")
    code, said = smug("replay")
    assert code == 0
    assert [line.split(" in the place of ")[1].split(",")[0] for line in said.splitlines()[1:]] == [
        f"lake.{name}" for name in ("accounts", "accounts_history", "photos", "views")
    ]
    assert ids(archived, "photos") == [*range(1001, 1021)]
    assert ids(archived, "accounts") == [*range(1, 21)]


@pytest.mark.usefixtures("archived")
def test_replay_over_the_live_table_says_what_it_lacked() -> None:
    code, said = smug("replay", "--table", "photos", "--over")
    assert code == 0
    assert "into lake.photos, which lacked 0 of their rows" in said


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--table", "pictures"], "there is no table pictures"),
        (["--into", "x"], "--into names one table"),
        (["--table", "photos", "--to", "1999-01-01T00:00"], "holds nothing of photos"),
    ],
)
def test_replay_says_what_it_can_not_do(archived: World, words: list[str], problem: str) -> None:
    with pytest.raises(ArchiveError, match=problem):
        smug("replay", *words)
    assert ids(archived, "photos") == [*range(1001, 1021)]


def test_erase_writes_the_certificate_and_refuses_under_a_hold(
    archived: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Replicas and marts are of the whole contract: tests/pipeline/test_dagster.py clears those.
    monkeypatch.setattr("smug_platform.archive.publish.publish", lambda _: [])
    assert smug("erase", "hold", "4", "a court's order")[0] == 0
    assert smug("erase", "holds")[1].startswith("4\t")
    with pytest.raises(ArchiveError, match="a court's order"):
        smug("erase", "account", "4")
    assert "m4@example.org" in readable(archived)
    assert smug("erase", "release", "4")[0] == 0
    archived.of("photos", "shard_0").delete({"id": 1004})
    archived.of("accounts", "shard_0").delete({"id": 4})
    archived.land()
    code, said = smug("erase", "account", "4")
    certificate = Path(said.splitlines()[-1])
    assert (code, certificate.parent) == (0, archived.settings.home / "certificates")
    held = orjson.loads(certificate.read_bytes())
    assert held["account"] == "4"
    assert {copy["copy"] for copy in held["copies"]} >= {"lake.accounts", "lake.photos"}
    assert "m4@example.org" not in readable(archived)
