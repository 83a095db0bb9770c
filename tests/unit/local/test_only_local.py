"""What empties a home or writes to a source is refused wherever the source is not our own."""

import sys
from pathlib import Path

import pytest

from smug_platform.cli import main
from smug_platform.cli.console import console
from smug_platform.cli.demo import _Screen
from smug_platform.errors import SettingsError
from smug_platform.local.demo import reset, run_demo
from smug_platform.local.writing import writing
from smug_platform.settings import Settings, load_settings
from smug_platform.tables.flickr import FLICKR


@pytest.fixture(params=["staging", "prod"])
def far(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """An environment on AWS, with what its home may hold."""
    environ = {
        "SMUG_ENV": request.param,
        "SMUG_HOME": str(tmp_path),
        "SMUG_SHARDS": "shard_0=mysql://smug@127.0.0.1:1",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for name in ("capture", "index", "dagster"):
        (tmp_path / name).mkdir()
    return load_settings(environ)


def test_nothing_is_removed(far: Settings) -> None:
    with pytest.raises(SettingsError, match="only a local stack"):
        reset(far, lambda _: None)
    with pytest.raises(SettingsError, match="only a local stack"):
        run_demo(far, FLICKR, changes=1, seed=1, watcher=_Screen(console()))
    assert {path.name for path in far.home.iterdir()} == {"capture", "index", "dagster"}


def test_nothing_is_written(far: Settings) -> None:
    with pytest.raises(SettingsError, match="only a local stack"):
        next(writing(far, changes=1, seed=1))


@pytest.mark.parametrize("command", ["up", "demo", "workload", "dev"])
def test_the_command_says_so(
    far: Settings,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["smug", command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"SMUG_ENV is {far.env!r}" in capsys.readouterr().err
    assert {path.name for path in far.home.iterdir()} >= {"capture", "index", "dagster"}
