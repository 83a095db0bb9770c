"""Windows in which tables are read beside the stream, and what comes between."""

from collections.abc import Sequence

import pytest

from smug_platform.capture import chunks, server
from smug_platform.capture.chunks import Chunks
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

    monkeypatch.setattr(server, "open_view", refused)
    monkeypatch.setattr(chunks, "_REFUSED_SECONDS", 1.5)  # in sight of the status
    kept = Kept()
    with capturing(one, TWO, kept) as worker:
        worker.wait(lambda: is_read(one))
    assert "waits: it may not lock" in worker.notes
    names = ["`flickr`.`accounts`", "`flickr`.`albums`"]
    assert asked == [names, names[1:], names[:1]]
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
