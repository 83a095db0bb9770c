"""Windows in which tables are read beside the stream, and what comes between."""

import threading
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from smug_platform.capture import chunks, pieces, server
from smug_platform.capture.change import Change
from smug_platform.capture.chunks import Chunks
from smug_platform.capture.resources import open_store
from smug_platform.capture.state import Unread
from smug_platform.capture.view import View
from smug_platform.errors import SourceError
from smug_platform.local.mariadb import connect
from smug_platform.settings import Settings, Shard
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source
from tests.pipeline.capturing import PATIENCE, Kept, capturing, one_shard
from tests.states import state_of

TWO = Source(database="flickr", tables=(FLICKR.table("accounts"), FLICKR.table("albums")))
ACCOUNT = (
    "INSERT INTO accounts (id, screen_name, email, password_hash, country, created_at)"
    " VALUES (9, 'nine', 'nine@example.org', REPEAT('p', 32), 'DE', '2026-01-01')"
)
ALBUM = (
    "INSERT INTO albums (id, account_id, title, created_at) VALUES (1, 9, 'An album', '2026-01-01')"
)

ALBUMS = (
    "INSERT INTO albums (id, account_id, title, created_at)"
    " SELECT seq, 9, 'x', '2026-01-01' FROM seq_2_to_2002"
)


def sql(shard: Shard, *statements: str) -> None:
    with connect(shard, database="flickr") as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def one(fresh_shards: Settings) -> Settings:
    """One running shard with an account and an album."""
    settings = one_shard(fresh_shards)
    sql(settings.shards[0], ACCOUNT, ALBUM)
    return settings


def is_read(settings: Settings) -> bool:
    state = state_of(settings)
    return state is not None and state.is_whole


def test_a_view_that_is_refused_has_its_table_wait_and_does_not_end_capture(
    one: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_view, asked = server.open_view, []

    def refused(
        connection: server.Connection, shard: Shard, tables: Sequence[str]
    ) -> tuple[str, int]:
        asked.append(tables)
        if len(asked) == 1:
            raise SourceError("it may not lock", remedy="grant it")
        return open_view(connection, shard, tables)

    ours, busy = Chunks._open_view, []

    def noting(self: Chunks, *of: Any) -> View:
        busy.append(self.is_busy)  # else another table would be read anew meanwhile
        return ours(self, *of)

    monkeypatch.setattr(Chunks, "_open_view", noting)
    monkeypatch.setattr(server, "open_view", refused)
    monkeypatch.setattr(chunks, "_REFUSED_SECONDS", 1.5)  # in sight of the status
    kept = Kept()
    with capturing(one, TWO, kept) as worker:
        worker.wait(lambda: is_read(one))
    assert "waits: it may not lock" in worker.notes
    names = ["`flickr`.`accounts`", "`flickr`.`albums`"]
    assert asked == [names, names[1:], names[:1]]
    assert busy == [True, True, True]
    assert (kept.ids("accounts"), kept.ids("albums")) == ({9}, {1})


def test_a_table_that_is_dropped_before_its_turn_is_unread_no_more(
    one: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_view, dropped = server.open_view, []

    def drop(connection: server.Connection, shard: Shard, tables: Sequence[str]) -> tuple[str, int]:
        if not dropped:
            dropped.append("albums")
            sql(shard, "DROP TABLE albums")
        return open_view(connection, shard, tables)

    monkeypatch.setattr(server, "open_view", drop)
    monkeypatch.setattr(chunks, "_REFUSED_SECONDS", 2 * PATIENCE)
    kept = Kept()
    with capturing(one, TWO, kept) as worker:
        worker.wait(lambda: is_read(one))
    assert "waits" not in worker.notes
    assert (kept.ids("accounts"), kept.ids("albums")) == ({9}, set())


def test_K07_rows_of_a_condition_are_read_on_where_capture_was_ended(
    one: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, store, kept = one.shards[0], open_store(one), Kept()
    sql(shard, ALBUMS)
    with capturing(one, TWO, kept) as worker:
        worker.wait(lambda: is_read(one))
        since = len(kept.changes)
        monkeypatch.setattr(chunks, "_WINDOW_SECONDS", 0.2)
        monkeypatch.setattr(pieces, "_PIECE_ROWS", 10)
        monkeypatch.setattr(Chunks, "_catch_up", pause)
        store.ask("shard_0", "albums", "id % 10 = 3")
        worker.wait(lambda: any(unread.rows > 10 for unread in unread_of(one)))
        sql(shard, "UPDATE albums SET title = 'later' WHERE id IN (1993, 1994)")
    monkeypatch.undo()
    (left,) = unread_of(one)
    assert left.where == "id % 10 = 3"
    with capturing(one, TWO, kept) as worker:
        worker.wait(lambda: is_read(one))
        worker.wait(lambda: {"u"} <= {row["op"] for row in kept.rows("albums", since=since)})
    came = kept.rows("albums", since=since)
    read = [row["after"] for row in came if row["op"] == "r"]
    assert {row["id"] for row in read} == set(range(3, 2003, 10))
    assert {row["source"]["snapshot"] for row in came if row["op"] == "r"} == {"incremental"}
    assert {row["after"]["id"] for row in came if row["op"] == "u"} == {1993, 1994}
    assert {row["title"] for row in read if row["id"] == 1993} == {"later"}
    assert not [topic for _, (topic, *_) in kept.changes[since:] if topic == "shard_0"]
    assert store.filtered("shard_0") == []


def pause(self: Chunks, *_of: Any) -> None:
    """A second between windows, and for good once some rows were read."""
    has_some = any(unread.rows > 10 for unread in self._publisher.state.unread)
    self._closed.wait(PATIENCE if has_some else 1.0)


def test_a_reading_that_is_ended_lets_its_rows_out_and_the_stream_go_on(
    one: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that stayed would go out where the stream stops next, before what they come after."""
    read_table, is_sent = Chunks._read_table, threading.Event()

    def ended(self: Chunks, *of: Any) -> None:
        read_table(self, *of)
        self._closed.set()
        threading.Timer(0.5, is_sent.set).start()

    def late(changes: Sequence[Change]) -> None:
        if any(orjson.loads(change.value).get("op") == "r" for change in changes):
            is_sent.wait(PATIENCE)

    monkeypatch.setattr(Chunks, "_read_table", ended)
    kept = Kept(fail=late)
    with capturing(one, TWO, kept) as worker:
        worker.wait(lambda: kept.ids("albums") == {1})
        sql(one.shards[0], ACCOUNT.replace("(9,", "(10,").replace("nine", "ten"))
        worker.wait(lambda: kept.ids("accounts") == {9, 10})
    assert kept.positions() == sorted(kept.positions())


def unread_of(settings: Settings) -> Sequence[Unread]:
    state = state_of(settings)
    return state.unread if state else ()


def test_a_table_may_be_altered_while_the_stream_catches_up(
    one: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As between two windows of a table that is read for hours."""
    catch_up, altered = Chunks._catch_up, []

    def alter(self: Chunks, connection: server.Connection, held: float) -> None:
        sql(one.shards[0], "SET lock_wait_timeout = 1", "ALTER TABLE albums ADD COLUMN w INT")
        altered.append("albums")
        catch_up(self, connection, held)

    monkeypatch.setattr(Chunks, "_catch_up", alter)
    kept = Kept()
    with capturing(one, TWO, kept) as worker:
        worker.wait(lambda: altered == ["albums"])
        worker.wait(lambda: is_read(one))
    assert kept.ids("albums") == {1}
