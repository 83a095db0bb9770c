"""The auditor's command, and what else `smug archive` does, as a person calls it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from smug_platform.cli.app import app
from tests.unit.archive.archives import World, fill, make_world


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
