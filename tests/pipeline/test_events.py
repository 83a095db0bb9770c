"""Events of a server's binlog that are damaged, unknown, or say that others are lost."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smug_platform.capture import server
from smug_platform.capture.failures import DamagedEvent, UnknownEvent
from smug_platform.errors import SourceError
from tests.pipeline.capturing import Kept, Own, capturing
from tests.pipeline.test_capture import SMALL, album, own, own_server, sql
from tests.states import hold_of

__all__ = ["own", "own_server"]
TYPE, LENGTH = 4, 9  # where an event's head has them
WRITE_ROWS, INCIDENT = 23, 26


def _events(log: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each event of a binlog file."""
    begin = 4
    while begin < len(log):
        (length,) = struct.unpack_from("<I", log, begin + LENGTH)
        yield begin, begin + length
        begin += length


def _edit(own: Own, change: Callable[[bytearray], None], *, summed: bool = True) -> None:
    """Change the last event of inserted rows where the server has it. summed: its checksum too."""
    with server.connect(own.settings.shards[0]) as connection:
        file, _ = server.newest_position(connection)
        sql(own.settings.shards[0], "FLUSH BINARY LOGS")
    path = own.folder / "data" / Path(file).name
    log = bytearray(path.read_bytes())
    begin, end = [one for one in _events(bytes(log)) if log[one[0] + TYPE] == WRITE_ROWS][-1]
    event = log[begin:end]
    change(event)
    if summed:
        event[-4:] = struct.pack("<I", zlib.crc32(event[:-4]))
    with path.open("r+b") as at:
        at.seek(begin)
        at.write(event)


def _captured_up_to(own: Own, kept: Kept) -> None:
    """One album by the snapshot, one by the binlog; then two of which capture knows nothing."""
    shard = own.settings.shards[0]
    sql(shard, album(1))
    with capturing(own.settings, SMALL, kept) as worker:
        worker.wait_streaming()
        sql(shard, album(2))
        worker.wait(lambda: kept.ids("albums") == {1, 2})
    sql(shard, album(3))


def _type(number: int) -> Callable[[bytearray], None]:
    def change(event: bytearray) -> None:
        event[TYPE] = number

    return change


def _flip(event: bytearray) -> None:
    event[-20] ^= 1


@pytest.mark.parametrize(
    ("change", "summed", "kind", "told"),
    [
        pytest.param(_type(99), True, UnknownEvent, "99", id="I06-unheard-of"),
        pytest.param(_type(166), True, UnknownEvent, "WRITE_ROWS_COMPRESSED_V1", id="I06-MariaDB"),
        pytest.param(_flip, False, DamagedEvent, "checksum", id="I07"),
    ],
)
def test_an_event_that_cannot_be_trusted_ends_the_capture_of_the_shard_before_it(
    own: Own,
    change: Callable[[bytearray], None],
    summed: bool,
    kind: type[SourceError],
    told: str,
) -> None:
    kept = Kept()
    _captured_up_to(own, kept)
    _edit(own, change, summed=summed)
    sql(own.settings.shards[0], album(4))
    for _ in range(2):  # and again at the next start
        with capturing(own.settings, SMALL, kept) as worker, pytest.raises(kind, match=told):
            worker.wait(lambda: bool(kept.ids("albums") - {1, 2}))
        assert worker.statuses[-1].phase == "failed"
        assert told in worker.statuses[-1].note
        assert kept.ids("albums") == {1, 2}


def test_I05_a_server_that_lost_events_is_read_anew(own: Own) -> None:
    kept = Kept()
    _captured_up_to(own, kept)
    _edit(own, _type(INCIDENT))
    sql(own.settings.shards[0], "DELETE FROM albums WHERE id = 1")
    since = len(kept.changes)
    with capturing(own.settings, SMALL, kept) as worker:
        worker.wait(lambda: kept.ids("albums", since=since) == {2, 3})
        worker.wait_streaming()
        assert "new snapshot: " in worker.notes
        assert "the server lost changes" in worker.notes
        sql(own.settings.shards[0], album(5))
        worker.wait(lambda: 5 in kept.ids("albums", since=since))
    assert {row["op"] for row in kept.rows("albums", since=since)[:2]} == {"r"}


def test_I07_a_server_turns_checksums_off_and_on_while_it_is_captured(own: Own) -> None:
    shard, kept = own.settings.shards[0], Kept()
    try:
        with capturing(own.settings, SMALL, kept) as worker:
            worker.wait_streaming()
            for number, kind in enumerate(("NONE", "CRC32", "NONE")):
                own.as_root(f"SET GLOBAL binlog_checksum = {kind}")
                sql(shard, album(10 + number))
                worker.wait(lambda key=10 + number: key in kept.ids("albums"))
        sql(shard, album(20))
        with capturing(own.settings, SMALL, kept) as worker:
            worker.wait(lambda: 20 in kept.ids("albums"))
    finally:
        own.as_root("SET GLOBAL binlog_checksum = CRC32")
    assert len(kept.rows("albums")) == 4


ACCOUNTS = (
    "CREATE USER kept_secret IDENTIFIED BY 'kept-secret-1'",
    "ALTER USER kept_secret IDENTIFIED BY 'kept-secret-2'",
    "/* told so */ ALTER USER kept_secret IDENTIFIED BY 'kept-secret-3'",
    "GRANT SELECT ON flickr.* TO kept_secret IDENTIFIED BY 'kept-secret-4'",
    "SET PASSWORD FOR kept_secret = PASSWORD('kept-secret-5')",
    "/*!50000 CREATE OR REPLACE USER kept_secret IDENTIFIED BY 'kept-secret-6' */",
    "SET STATEMENT max_statement_time=9 FOR DROP USER kept_secret",
)


def test_no_statement_about_accounts_leaves_capture_with_its_text(own: Own) -> None:
    kept, shard = Kept(), own.settings.shards[0]
    with capturing(own.settings, SMALL, kept) as worker:
        worker.wait_streaming()
        own.as_root(*ACCOUNTS)
        sql(shard, "ALTER TABLE albums ADD COLUMN cover INT", album(1))
        worker.wait(lambda: kept.ids("albums") == {1})
    hold = hold_of(own.settings)
    state = hold.state()
    assert state is not None
    said = b" ".join(change.value for _, change in kept.changes)
    for text in (said, hold.history(state.history)):
        assert text is not None
        assert b"cover" in text
        assert b"kept-secret" not in text
    assert "kept-secret" not in worker.notes
