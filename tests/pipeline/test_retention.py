"""The check of the binlog that capture needs next, at a real server that keeps less and less."""

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from smug_platform.capture import server
from smug_platform.capture.state import State
from smug_platform.orchestration.shard_checks import binlog_is_kept
from tests.conftest import local_settings
from tests.pipeline.capturing import Own, one_shard

HOUR = 3600


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    settings = one_shard(local_settings(tmp_path_factory.mktemp("retention")))
    made = Own(settings, settings.home / "mysql")
    made.start()
    yield made
    made.process.stop()


def newest(own: Own) -> str:
    with server.connect(own.settings.shards[0]) as connection:
        return server.newest_position(connection)[0]


def checked(own: Own, file: str, *, age: float) -> dg.AssetCheckResult:
    """The check, where capture stands in a file and read its last change that long ago."""
    now = time.time()
    offset = f'{{"file":"{file}","pos":4,"ts_sec":{now - age:.0f}}}'
    state = State(1, own.server_id, None, "stream", (), offset=offset)
    return binlog_is_kept(own.settings.shards[0], state, now)


def test_L01_the_check_tells_of_a_purge_before_and_after_it(own: Own) -> None:
    needed = newest(own)
    own.as_root(f"SET GLOBAL binlog_expire_logs_seconds = {HOUR}")
    assert checked(own, needed, age=9 * HOUR).passed, "what is being written is not purged"
    own.as_root("FLUSH BINARY LOGS")
    fresh = checked(own, needed, age=HOUR / 2)
    assert (fresh.passed, fresh.description) == (True, None)
    assert fresh.metadata["left_seconds"].value == pytest.approx(HOUR / 2, abs=2)
    soon = checked(own, needed, age=HOUR * 0.9)
    assert (soon.passed, soon.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "may be purged in 0.1 h: see that capture runs" in str(soon.description)
    due = checked(own, needed, age=2 * HOUR)
    assert (due.passed, due.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "at any moment" in str(due.description)
    own.as_root(f"SET GLOBAL binlog_expire_logs_seconds = {24 * HOUR}")
    assert checked(own, needed, age=2 * HOUR).passed, "the remedy that is told helps at once"
    own.purge()
    gone = checked(own, needed, age=0)
    assert (gone.passed, gone.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert f"{needed} is purged" in str(gone.description)


def test_a_server_that_keeps_all_and_one_that_was_never_captured_pass(own: Own) -> None:
    needed = newest(own)
    own.as_root("SET GLOBAL binlog_expire_logs_seconds = 0", "FLUSH BINARY LOGS")
    assert checked(own, needed, age=1000 * HOUR).passed
    never = binlog_is_kept(own.settings.shards[0], None, time.time())
    assert (never.passed, never.description) == (True, "skipped: no state of capture is here")


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    shard = local_settings(tmp_path).shards[0]
    state = State(1, 1, None, "stream", (), offset='{"file":"binlog.000001","pos":4}')
    away = binlog_is_kept(shard, state, time.time())
    assert (away.passed, away.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "can't be reached" in str(away.description)
