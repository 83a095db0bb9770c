import json
from dataclasses import replace

from smug_platform.capture.begin import first_state
from smug_platform.capture.epoch import Decision, Server
from smug_platform.capture.position import Position
from smug_platform.capture.state import Mark, State, Unread, decode_state, encode_state

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
    history=("history/1",),
)
SERVER = Server(9, "u", [("binlog.000008", 1)])


def test_a_state_comes_back_as_it_was():
    assert decode_state(encode_state(STATE)) == STATE


def test_a_table_that_is_being_read_comes_back_from_this_version_and_from_others():
    table = Unread("t", 7, ("4",), ("9",), 4, ("id",), ("6",))
    state = replace(STATE, unread=(table, Unread("u", where="v = 'é'")), passed=(7, 5000))
    assert decode_state(encode_state(state)) == state
    found = json.loads(encode_state(replace(STATE, unread=(table,))))
    del found["passed"], found["unread"][0]["numbers"]  # as before there was such a thing
    found["unread"][0]["compass"] = "north"
    assert decode_state(json.dumps(found)).unread == (replace(table, numbers=()),)


def test_a_reason_to_begin_anew_is_kept():
    assert STATE.due("drifted", new_epoch=False) == replace(STATE, resnapshot="drifted")
    assert STATE.due("RESET MASTER", new_epoch=True) == replace(STATE, renumbered="RESET MASTER")


def test_the_snapshot_ends_with_the_first_offset_outside_it():
    assert replace(STATE, offset=None).in_snapshot
    assert replace(STATE, offset='{"snapshot":"INITIAL","file":"b.1","pos":4}').in_snapshot
    assert not STATE.in_snapshot


def test_going_on_keeps_the_place_and_forgets_the_sequences_of_another_stream():
    on = Decision(2, snapshot=False)
    assert first_state(STATE, SERVER, on, "a", ("f.t",)).sequences == STATE.sequences
    found = first_state(STATE, SERVER, on, "b", ("f.t",))
    assert (found.offset, found.position, found.mark, found.history) == (
        STATE.offset,
        STATE.position,
        STATE.mark,
        STATE.history,
    )
    assert (found.incarnation, found.sequences) == ("b", {})


def test_a_snapshot_in_the_same_epoch_must_stand_after_what_was_published():
    found = first_state(STATE, SERVER, Decision(2, snapshot=True), "a", ("f.t",))
    assert (found.offset, found.mark, found.position) == (None, None, STATE.position)
    assert found.history == ()


def test_a_new_epoch_has_published_nothing():
    found = first_state(STATE, SERVER, Decision(3, snapshot=True), "a", ("f.t",))
    assert found == State(3, 9, "u", "a", ("f.t",))
