from dataclasses import replace

import pytest

from smug_platform.capture.failures import Renumbered, SourceUnavailable
from smug_platform.capture.server import Run
from smug_platform.capture.watch import STALL_SECONDS, Place, Watch
from smug_platform.settings import Shard

PLACE = Place("offset", "binlog.000007", 5000)
LATER = STALL_SECONDS + 1


def watch() -> Watch:
    made = Watch(Shard("shard_0", "h", 1, "u", "p"))
    made.judge(PLACE, ("binlog.000007", 9000), now=0, busy=False)
    return made


@pytest.mark.parametrize("newest", [("binlog.000001", 9000), ("binlog.000007", 4999)])
def test_L04_a_server_that_writes_before_our_place_was_renumbered(newest: tuple[str, int]):
    with pytest.raises(Renumbered):
        watch().judge(PLACE, newest, now=1, busy=False)


def test_L07_a_place_that_does_not_move_while_the_server_writes_is_a_stall():
    with pytest.raises(SourceUnavailable):
        watch().judge(PLACE, ("binlog.000007", 9000), now=LATER, busy=False)


@pytest.mark.parametrize(
    ("place", "newest", "busy"),
    [
        pytest.param(PLACE, ("binlog.000007", 5000), False, id="idle"),
        pytest.param(PLACE, ("binlog.000007", 9000), True, id="L08-slow-sink"),
        pytest.param(
            Place("offset 2", PLACE.file, PLACE.pos),
            ("binlog.000007", 9000),
            False,
            id="inside-a-large-transaction",
        ),
    ],
)
def test_what_is_no_stall(place: Place, newest: tuple[str, int], busy: bool):
    watch().judge(place, newest, now=LATER, busy=busy)


RUN = Run(1, 100.0, 102.5)


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(Run(1, 5000.0, 5002.0), id="L07-started-anew"),
        pytest.param(replace(RUN, server_id=2), id="L04-another-of-the-same-age"),
        pytest.param(Run(2, 10.0, 12.0), id="L04-another-that-ran-before"),
    ],
)
def test_another_run_of_a_server_is_no_longer_ours(later: Run):
    made = watch()
    made.recognize(RUN)
    made.recognize(Run(1, 101.9, 103.9))  # the same, told in whole seconds
    with pytest.raises(SourceUnavailable, match="another answers there"):
        made.recognize(later)
