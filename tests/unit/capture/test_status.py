import pytest

from smug_platform.capture.position import Position
from smug_platform.capture.sink import Heat
from smug_platform.capture.status import Meter, Status, decode_status, encode_status


def meter() -> Meter:
    made = Meter("shard_0")
    made.begin("streaming", 2, Position(2, 1, 4), note="new snapshot: purged")
    return made


def test_a_status_comes_back_as_it_was():
    status = Status("shard_0", "streaming", 1, Position(1, 2, 3), 10, 2.5, 0.5, "note", 17.0)
    assert decode_status(encode_status(status)) == status


def test_the_heat_comes_back_with_the_status():
    heat = Heat(10, 2000, 3, 0.5, 'photos {"id":7}', 0.25)
    found = meter()
    found.warm(heat)
    assert decode_status(encode_status(found.read(1.0))).heat == heat


def test_the_rate_is_that_of_the_last_seconds():
    found = meter()
    for second in range(20):
        found.count(Position(2, 1, second), 1000, source_time=0, now=100.0 + second)
    assert found.read(119.5).rate == 1000
    assert found.read(200).rate == 0
    assert found.read(200).events == 20_000


def test_lag_is_the_age_of_the_last_change_while_changes_come():
    found = meter()
    found.hear(100)
    found.count(Position(2, 1, 5), 1, source_time=97.5, now=100)
    assert found.read(100.5).lag == 3


def test_R01_an_idle_source_has_no_lag():
    found = meter()
    found.count(Position(2, 1, 5), 1, source_time=97.5, now=100)
    found.catch_up()
    for now in range(100, 100_000, 2):
        found.hear(now)
    assert found.read(100_001).lag == 0


def test_R02_a_source_that_is_silent_has_a_lag_that_grows():
    found = meter()
    found.catch_up()
    found.hear(100)
    assert found.read(105).lag == 0
    assert found.read(160).lag == 60


def test_a_clock_that_is_ahead_at_the_source_gives_no_negative_lag():
    found = meter()
    found.count(Position(2, 1, 5), 1, source_time=200, now=100)
    assert found.read(100).lag == 0


def test_phases_keep_position_and_note():
    found = meter()
    found.enter("stopped")
    assert found.read(0).note == "new snapshot: purged"
    assert found.read(0).position == Position(2, 1, 4)
    found.enter("failed", "why")
    assert (found.read(0).phase, found.read(0).note) == ("failed", "why")


@pytest.mark.parametrize(
    ("rows", "about", "told"),
    [
        (7, 9, "photos, 7 rows of about 9"),
        (9, 9, "photos, 9 rows"),
        (12, 9, "photos, 12 rows"),
        (12, 0, "photos, 12 rows"),
    ],
)
def test_K12_a_table_is_never_said_to_be_read_before_it_is(rows: int, about: int, told: str):
    found = meter()
    found.read_anew("photos", rows, about)
    assert found.read(1.0).reading == told
    assert found.read(1.0).phase == "snapshot"
    found.end_reading()
    assert (found.read(1.0).reading, found.read(1.0).phase) == ("", "streaming")
    assert found.read(1.0).note == "new snapshot: purged"


def test_each_table_that_waits_is_told_of_until_it_goes_on():
    found = meter()
    found.wait_for("photos", "no right")
    found.wait_for("albums", "no key")
    found.end_reading()
    assert found.read(1.0).note == "new snapshot: purged; waits: no right; waits: no key"
    found.go_on("photos")
    found.go_on("tags")
    assert found.read(1.0).note == "new snapshot: purged; waits: no key"


def test_rows_that_are_read_count_and_say_nothing_of_the_lag():
    found = meter()
    found.add(400, now=100)
    found.read_anew("photos", 400, 900, in_pieces=True)
    told = found.read(101)
    assert (told.events, told.rate, told.lag, told.in_pieces) == (400, 80, 0, True)
    found.end_reading()
    assert not found.read(101).in_pieces


def test_what_was_passed_over_counts_on_from_engine_to_engine():
    found = meter()
    found.hear(1.0, passed_over=2)
    found.hear(1.0, passed_over=1)
    assert found.read(1.0).after(0.0, passed_over=4).passed_over == 7
