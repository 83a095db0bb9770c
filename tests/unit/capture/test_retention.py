"""How long the binlog that is needed next will still be there."""

import pytest

from smug_platform.capture.retention import Gauge, gauge
from smug_platform.capture.state import State

LOGS = ["binlog.000006", "binlog.000007", "binlog.000008"]
DAY, NOW = 86_400.0, 1_000_000.0


def state(file: str, read: float) -> State:
    offset = f'{{"file":"{file}","pos":5000,"ts_sec":{read:.0f}}}'
    return State(1, 1, None, "stream", (), offset=offset)


@pytest.mark.parametrize(
    ("file", "read", "kept", "expected"),
    [
        pytest.param("binlog.000008", NOW - 9 * DAY, DAY, DAY, id="being-written"),
        pytest.param("binlog.000007", NOW - DAY / 4, DAY, 0.75 * DAY, id="behind"),
        pytest.param("binlog.000007", NOW - 2 * DAY, DAY, 0.0, id="any-moment"),
        pytest.param("binlog.000007", NOW + 60, DAY, DAY, id="clock-ahead"),
        pytest.param("binlog.000007", NOW - 9 * DAY, None, None, id="for-ever"),
    ],
)
def test_what_is_left(file: str, read: float, kept: float | None, expected: float | None) -> None:
    found = gauge(state(file, read), LOGS, kept=kept, now=NOW)
    assert found == Gauge(file, kept, expected)
    assert found.share == (1.0 if expected is None or kept is None else expected / kept)


def test_L01_a_purged_binlog_is_told() -> None:
    found = gauge(state("binlog.000005", NOW), LOGS, kept=DAY, now=NOW)
    assert found == Gauge("binlog.000005", DAY, 0.0, is_purged=True)
    assert found.share == 0


def test_before_anything_was_captured_nothing_is_needed() -> None:
    assert gauge(State(1, 1, None, "stream", ()), LOGS, kept=DAY, now=NOW) is None
