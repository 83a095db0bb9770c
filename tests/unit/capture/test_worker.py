import threading
from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.capture.failures import SchemaDrift, SourceUnavailable
from smug_platform.capture.keeper import may_restart, pause
from smug_platform.capture.sink import StreamRestarted
from smug_platform.capture.worker import run_worker
from smug_platform.errors import SettingsError, SourceError, StreamError
from smug_platform.tables.flickr import FLICKR
from tests.conftest import local_settings

GONE = SourceUnavailable("no answer", remedy="wait")
DRIFT = SchemaDrift("drifted", remedy="nothing")


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (GONE, True),
        (DRIFT, True),
        (StreamRestarted("another stream", remedy="nothing"), True),
        (SourceError("no such table", remedy="create it"), False),
        (StreamError("no such stream", remedy="create it"), False),
        (KeyError("a bug"), False),
    ],
)
def test_only_what_can_pass_is_tried_again(error: BaseException, again: bool):
    assert may_restart(error, 1) is again


def test_R05_snapshots_that_do_not_help_come_to_an_end():
    assert [may_restart(DRIFT, n) for n in (1, 5, 6)] == [True, True, False]
    assert may_restart(GONE, 1000)


def test_a_healing_snapshot_starts_at_once_and_an_absent_server_is_not_stormed():
    assert pause(DRIFT, 1) == 0
    pauses = [pause(GONE, failures) for failures in range(1, 20)]
    assert all(0 < seconds <= 30 for seconds in pauses)
    assert min(pauses[8:]) > 5


def test_O10_many_shards_do_not_come_back_at_one_moment():
    assert len({pause(GONE, 5) for _ in range(64)}) > 60


def test_no_shards_are_no_success(tmp_path: Path):
    settings = replace(local_settings(tmp_path), shards=())
    with pytest.raises(SettingsError, match="SMUG_SHARDS"):
        run_worker(settings, FLICKR, lambda _stop: pytest.fail("asked"), stop=threading.Event())
