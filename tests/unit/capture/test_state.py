from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.capture.begin import first_state, repair_history
from smug_platform.capture.epoch import Decision, Server
from smug_platform.capture.position import Position
from smug_platform.capture.state import Mark, State, load_state, note_resnapshot, save_state
from smug_platform.errors import SourceError

STATE = State(
    epoch=2,
    server_id=1,
    server_uuid=None,
    incarnation="a",
    tables=("f.t",),
    offset='{"file":"binlog.000007","pos":5000}',
    position=Position(2, 7, 5100, 3),
    sequences={"shardId-0": "12"},
    mark=Mark("binlog.000007", 4000, "d"),
)
SERVER = Server(9, "u", [("binlog.000008", 1)])


def test_a_state_comes_back_as_it_was(tmp_path: Path):
    assert load_state(tmp_path) is None
    save_state(tmp_path, STATE)
    assert load_state(tmp_path) == STATE
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"epoch": 1}'])
def test_R03_a_damaged_state_is_an_error_and_no_silent_snapshot(tmp_path: Path, text: str):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(SourceError, match="remove the folder"):
        load_state(tmp_path)


def test_a_reason_to_begin_anew_is_kept(tmp_path: Path):
    note_resnapshot(tmp_path, "nothing there yet")
    save_state(tmp_path, STATE)
    note_resnapshot(tmp_path, "a table drifted")
    assert load_state(tmp_path) == replace(STATE, resnapshot="a table drifted")


def test_L04_a_history_that_ended_is_kept(tmp_path: Path):
    save_state(tmp_path, STATE)
    note_resnapshot(tmp_path, "RESET MASTER", new_epoch=True)
    assert load_state(tmp_path) == replace(STATE, renumbered="RESET MASTER")


def test_the_snapshot_ends_with_the_first_offset_outside_it():
    assert replace(STATE, offset=None).in_snapshot
    assert replace(STATE, offset='{"snapshot":"INITIAL","file":"b.1","pos":4}').in_snapshot
    assert not STATE.in_snapshot


def test_going_on_keeps_the_place_and_forgets_the_sequences_of_another_stream():
    on = Decision(2, snapshot=False)
    assert first_state(STATE, SERVER, on, "a", ("f.t",)).sequences == STATE.sequences
    found = first_state(STATE, SERVER, on, "b", ("f.t",))
    assert (found.offset, found.position, found.mark) == (
        STATE.offset,
        STATE.position,
        STATE.mark,
    )
    assert (found.incarnation, found.sequences) == ("b", {})


def test_a_snapshot_in_the_same_epoch_must_stand_after_what_was_published():
    found = first_state(STATE, SERVER, Decision(2, snapshot=True), "a", ("f.t",))
    assert (found.offset, found.mark, found.position) == (None, None, STATE.position)


def test_a_new_epoch_has_published_nothing():
    found = first_state(STATE, SERVER, Decision(3, snapshot=True), "a", ("f.t",))
    assert found == State(3, 9, "u", "a", ("f.t",))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"a":1}\n{"b":2}\n', '{"a":1}\n{"b":2}\n'),
        ('{"a":1}\n{"b":', '{"a":1}\n'),
        ('{"a":1}\n{"b":2}', '{"a":1}\n'),
        ('{"a', ""),
        ("", ""),
    ],
)
def test_L11_a_history_that_a_kill_cut_off_is_repaired(tmp_path: Path, text: str, left: str):
    path = tmp_path / "history"
    path.write_text(text)
    assert repair_history(path) is bool(left)
    assert path.read_text() == left


def test_L11_a_history_that_is_gone_is_told(tmp_path: Path):
    assert not repair_history(tmp_path / "history")
