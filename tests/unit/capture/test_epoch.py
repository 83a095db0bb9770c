"""Every way in which a start can find its server, and what it then does."""

from dataclasses import replace
from typing import Any

import pytest

from smug_platform.capture.epoch import Decision, Server, Stream, decide
from smug_platform.capture.position import Position
from smug_platform.capture.state import State

STATE = State(
    epoch=3,
    server_id=1,
    server_uuid="u-1",
    incarnation="stream-1",
    tables=("f.t",),
    offset='{"file":"binlog.000007","pos":5000,"event":2}',
    position=Position(3, 7, 5100),
)
LOGS = [("binlog.000006", 900), ("binlog.000007", 9000), ("binlog.000008", 400)]
SERVER = Server(1, "u-1", LOGS, mark_found=True)


def decision(state: State | None = STATE, server: Server = SERVER, **more: Any) -> Decision:
    options = {"stream": Stream("stream-1"), "tables": ("f.t",)} | more
    return decide(state, server, **options)


def test_the_same_server_and_stream_go_on():
    assert decision() == Decision(3, snapshot=False)


def test_the_very_first_start_takes_a_snapshot():
    assert decision(None) == Decision(1, snapshot=True)


def test_a_start_without_its_state_begins_above_every_epoch_that_raw_has():
    found = decision(None, stream=Stream("stream-1", epoch=4))
    assert (found.epoch, found.snapshot) == (5, True)
    assert "the state was lost" in found.reason


def test_a_state_from_before_what_raw_holds_begins_above_it_too():
    found = decision(stream=Stream("stream-1", epoch=4))
    assert (found.epoch, found.snapshot) == (5, True)
    assert "raw has epoch 4" in found.reason
    assert decision(stream=Stream("stream-1", epoch=3)) == Decision(3, snapshot=False)


def test_a_start_that_published_nothing_begins_again_in_its_epoch():
    state = replace(STATE, offset=None, position=None)
    assert decision(state) == Decision(3, snapshot=True)


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        pytest.param(replace(SERVER, uuid="u-2"), "another server", id="L04-uuid"),
        pytest.param(replace(SERVER, server_id=2, uuid=None), "another server", id="L04-id"),
        pytest.param(
            replace(SERVER, logs=[("binlog.000001", 900)]), "began anew", id="L04-lower-file"
        ),
        pytest.param(
            replace(SERVER, logs=[("binlog.000007", 4999)]), "began anew", id="L04-shorter-file"
        ),
        pytest.param(
            replace(SERVER, logs=[("binlog.000007", 4999), ("binlog.000008", 10)]),
            "ends before",
            id="L04-shorter-old-file",
        ),
        pytest.param(replace(SERVER, mark_found=False), "other events", id="L04-other-events"),
        # 999999 is followed by 1000000: as text it would be lower.
        pytest.param(
            replace(SERVER, logs=[("binlog.000001", 900), ("binlog.000002", 900)]),
            "began anew",
            id="L04-numbers",
        ),
    ],
)
def test_another_history_is_a_new_epoch(server: Server, reason: str):
    found = decision(server=server)
    assert (found.epoch, found.snapshot) == (4, True)
    assert reason in found.reason


def test_J03_a_seventh_digit_is_no_new_history():
    state = replace(STATE, offset='{"file":"binlog.999999","pos":5}')
    logs = [("binlog.999999", 900), ("binlog.1000000", 900)]
    assert decision(state, replace(SERVER, logs=logs)) == Decision(3, snapshot=False)


@pytest.mark.parametrize(
    ("state", "server", "more", "reason"),
    [
        pytest.param(STATE, replace(SERVER, logs=LOGS[2:]), {}, "was purged", id="L01-purged"),
        pytest.param(
            replace(STATE, resnapshot="a table drifted"), SERVER, {}, "a table drifted", id="G24"
        ),
        pytest.param(
            replace(STATE, offset='{"file":"binlog.000007","pos":4,"snapshot":"INITIAL"}'),
            SERVER,
            {},
            "did not get to its end",
            id="half-a-snapshot",
        ),
        pytest.param(
            replace(STATE, offset=None), SERVER, {}, "did not get to its end", id="killed-before"
        ),
        pytest.param(STATE, SERVER, {"tables": ("f.t", "f.u")}, "declared", id="contract"),
        pytest.param(STATE, SERVER, {"stream": Stream("stream-2")}, "lost changes", id="stream"),
    ],
)
def test_a_gap_in_the_same_history_is_a_snapshot_in_the_same_epoch(
    state: State, server: Server, more: dict[str, Any], reason: str
):
    found = decision(state, server, **more)
    assert (found.epoch, found.snapshot) == (3, True)
    assert reason in found.reason


def test_a_lost_stream_whose_changes_had_landed_is_no_gap():
    assert decision(stream=Stream("stream-2", landed=True)) == Decision(3, snapshot=False)


def test_L04_what_a_running_engine_noticed_counts_at_the_next_start():
    found = decision(replace(STATE, renumbered="RESET MASTER"))
    assert found == Decision(4, snapshot=True, reason="RESET MASTER")


def test_another_history_outranks_a_gap():
    found = decision(replace(STATE, resnapshot="drift"), replace(SERVER, uuid="u-2"))
    assert found.epoch == 4


@pytest.mark.parametrize("uuid", [None, "u-1"])
def test_a_server_without_a_uuid_is_told_by_its_id(uuid: str | None):
    assert decision(server=replace(SERVER, uuid=uuid)) == Decision(3, snapshot=False)


def test_a_table_that_is_captured_no_more_is_no_reason_to_begin_anew():
    state = replace(STATE, tables=("f.t", "f.gone"))
    assert decision(state) == Decision(3, snapshot=False)
    found = decision(state, tables=("f.t", "f.new"))
    assert (found.epoch, found.snapshot) == (3, True)
