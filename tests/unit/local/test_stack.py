from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from smug_platform.errors import SettingsError, SourceError
from smug_platform.local.processes import Registry, spawn
from smug_platform.local.stack import down, settings_environ, start_capture, status, up
from smug_platform.settings import load_settings
from smug_platform.tables.flickr import FLICKR
from tests.conftest import local_settings


def test_child_processes_get_the_same_settings(tmp_path: Path) -> None:
    settings = replace(local_settings(tmp_path), drain="off")
    assert load_settings(settings_environ(settings)) == settings


def test_nothing_is_started_for_prod(tmp_path: Path) -> None:
    settings = load_settings({"SMUG_ENV": "prod", "SMUG_HOME": str(tmp_path)})
    with pytest.raises(SettingsError, match="'prod'"):
        up(settings, FLICKR)
    with pytest.raises(SettingsError):
        settings_environ(settings)


def test_status_of_a_stack_that_was_never_started(tmp_path: Path) -> None:
    parts = status(local_settings(tmp_path))
    assert [part.name for part in parts] == ["shard_0", "shard_1", "kinesis", "capture"]
    assert all(part.pid is None and part.last_words is None for part in parts)


def test_down_stops_what_was_started_and_drains_nothing_without_an_endpoint(
    tmp_path: Path,
) -> None:
    settings = local_settings(tmp_path)
    for name in ("capture", "ui"):
        process = spawn(name, ["/bin/sleep", "60"], log=tmp_path / f"{name}.log")
        Registry(tmp_path).ensure(name, partial(replace, process))
    assert {part.name for part in status(settings) if part.pid} == {"capture", "ui"}
    lines: list[str] = []
    down(settings, drain=lambda: lines.append("drained"), progress=lines.append)
    assert lines == ["ui stopped", "capture stopped"]
    assert Registry(tmp_path).running() == []


def test_a_capture_that_ends_as_it_starts_is_told(tmp_path: Path) -> None:
    settings = local_settings(tmp_path)
    with pytest.raises(SourceError, match=r"capture stopped as it started: .*can't be reached"):
        start_capture(settings)


def test_a_dead_capture_shows_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "capture.log"
    log.write_text("shard_0: wrong password\n")
    capture = status(local_settings(tmp_path))[-1]
    assert (capture.pid, capture.last_words) == (None, "shard_0: wrong password")
    log.write_text("INFO shard_0 stopped at 1/4/379\n")
    assert status(local_settings(tmp_path))[-1].last_words is None
