"""What capture may do at its source, taken away and given back while it runs."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import boto3
import pymysql
import pytest

from smug_platform.capture import chunks, engine, requests, server, watch
from smug_platform.capture.config import captured
from smug_platform.capture.doctor import Checked
from smug_platform.capture.failures import Refused
from smug_platform.capture.resources import open_store
from smug_platform.capture.state import State, Unread
from smug_platform.capture.status import Meter
from smug_platform.errors import SourceError
from smug_platform.oracle.shard import open_view
from smug_platform.settings import Settings, Shard
from smug_platform.settings_capture import Access
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source
from tests.authority import Authority
from tests.conftest import fresh_database, local_settings
from tests.pipeline.capturing import Kept, Own, capturing, one_shard
from tests.states import hold_of, state_of

NAMES = ("accounts", "albums", "photo_views")
SMALL = Source(database="flickr", tables=tuple(map(FLICKR.table, NAMES)))
WAITS = "waits: shard_0: user 'smug' lacks the privilege SELECT on albums"
GIVE = "GRANT SELECT ON `flickr`.`albums` TO "


@pytest.fixture(autouse=True)
def _looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_WATCH_SECONDS", 0.5)
    monkeypatch.setattr(chunks, "_REFUSED_SECONDS", 1.5)


@pytest.fixture(scope="module")
def server_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """It speaks TLS to those who ask for it."""
    settings = one_shard(local_settings(tmp_path_factory.mktemp("own")))
    own = Own(settings, settings.home / "mysql")
    own.folder.mkdir()
    Authority("one").sign(own.folder / "server.crt", own.folder / "server.key")
    own.start(f"--ssl-cert={own.folder}/server.crt", f"--ssl-key={own.folder}/server.key")
    yield own
    own.process.stop()


@pytest.fixture
def own(server_of_its_own: Own, tmp_path: Path) -> Iterator[Own]:
    """With an empty flickr database, whose user has each right that it needs table by table."""
    own = server_of_its_own
    fresh_database(own.settings.shards[0])
    own.settings = replace(own.settings, home=tmp_path)
    own.as_root(
        "REVOKE SELECT ON *.* FROM 'smug'@'%'",
        "REVOKE ALL ON `flickr%`.* FROM 'smug'@'%'",
        *(f"GRANT SELECT ON flickr.{name} TO 'smug'@'%'" for name in NAMES),
    )
    yield own
    own.as_root(
        "GRANT SELECT ON *.* TO 'smug'@'%'",
        "GRANT ALL ON `flickr%`.* TO 'smug'@'%'",
        "DELETE FROM mysql.tables_priv WHERE User = 'smug'",
        "FLUSH PRIVILEGES",
    )


def revoke(own: Own) -> None:
    own.as_root("REVOKE SELECT ON flickr.albums FROM 'smug'@'%'")


def give(own: Own) -> None:
    own.as_root(f"{GIVE}'smug'@'%'")


def write(own: Own, key: int) -> None:
    """A row of that key into each table."""
    own.as_root(
        "INSERT INTO flickr.accounts (id, screen_name, email, password_hash, country, created_at)"
        f" VALUES ({key}, 'n{key}', 'n@example.org', REPEAT('p', 32), 'DE', '2026-01-01')",
        "INSERT INTO flickr.albums (id, account_id, title, created_at)"
        f" VALUES ({key}, 9, 'An album', '2026-01-01')",
        f"INSERT INTO flickr.photo_views VALUES ({key}, 'DE', 'x', '2026-01-01')",
    )


def have(kept: Kept, table: str, *keys: int, since: int = 0) -> bool:
    column = "photo_id" if table == "photo_views" else "id"
    rows = [row["after"][column] for row in kept.rows(table, since=since) if row["after"]]
    return sorted(set(rows)) == sorted(keys)


def test_L10_a_table_that_may_not_be_read_at_the_first_start_comes_once_it_may(own: Own) -> None:
    write(own, 1)
    revoke(own)
    kept = Kept()
    with capturing(own.settings, SMALL, kept) as worker:
        worker.wait(lambda: have(kept, "accounts", 1) and have(kept, "photo_views", 1))
        write(own, 2)
        own.as_root("ALTER TABLE flickr.albums ADD COLUMN cover INT")
        worker.wait(lambda: have(kept, "accounts", 1, 2) and have(kept, "photo_views", 1, 2))
        worker.wait(lambda: WAITS in worker.notes)
        assert GIVE in worker.notes
        assert have(kept, "albums")
        give(own)
        worker.wait(lambda: have(kept, "albums", 1, 2))
        write(own, 3)
        worker.wait(lambda: all(have(kept, name, 1, 2, 3) for name in NAMES))
        worker.wait(lambda: not worker.statuses[-1].note)
    assert "new snapshot" not in worker.notes


def test_L10_a_table_that_may_be_read_no_more_keeps_no_other_from_anything(own: Own) -> None:
    write(own, 1)
    kept = Kept()
    with capturing(own.settings, SMALL, kept) as worker:
        worker.wait(lambda: is_read(own))
        revoke(own)
        since = len(kept.changes)
        for table in ("albums", "accounts", "photo_views"):
            open_store(own.settings).ask("shard_0", table)
        worker.wait(lambda: have(kept, "accounts", 1, since=since))
        worker.wait(lambda: have(kept, "photo_views", 1, since=since))
        worker.wait(lambda: WAITS in worker.notes)
        write(own, 2)
        worker.wait(lambda: have(kept, "albums", 2, since=since))
    since = len(kept.changes)
    write(own, 3)
    with capturing(own.settings, SMALL, kept) as worker:
        worker.wait(lambda: all(have(kept, name, 3, since=since) for name in NAMES))
        worker.wait(lambda: WAITS in worker.notes)
        assert set(open_store(own.settings).asked("shard_0")) == {"albums"}
        give(own)
        worker.wait(lambda: have(kept, "albums", 1, 2, 3, since=since))
        worker.wait(lambda: not open_store(own.settings).asked("shard_0"))
        worker.wait(lambda: not worker.statuses[-1].note)
    assert "new snapshot" not in worker.notes


def test_L10_a_table_that_may_be_read_no_more_amid_its_pieces_has_the_others_read(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(own, 1)
    open_view, opened = server.open_view, []

    def refused(
        connection: server.Connection, shard: Shard, tables: Sequence[str]
    ) -> tuple[str, int]:
        opened.append(tables)
        if len(opened) == 1:
            revoke(own)
        return open_view(connection, shard, tables)

    monkeypatch.setattr(server, "open_view", refused)
    kept = Kept()
    with capturing(own.settings, SMALL, kept) as worker:
        worker.wait(lambda: [one.table for one in unread(own)] == ["albums"])
        worker.wait(lambda: WAITS in worker.notes)
        since = len(kept.changes)
        open_store(own.settings).ask("shard_0", "accounts")
        worker.wait(lambda: have(kept, "accounts", 1, since=since))
        assert have(kept, "albums")
        give(own)
        worker.wait(lambda: is_read(own))
        worker.wait(lambda: not worker.statuses[-1].note)
    assert have(kept, "albums", 1)


def test_L10_a_table_that_waits_is_looked_at_as_a_whole_only_once_something_changed(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    preflight, looks = requests.preflight, list[tuple[str, ...]]()

    def noted(shard: Shard, source: Source) -> Checked:
        looks.append(tuple(source.names))
        return preflight(shard, source)

    monkeypatch.setattr(requests, "preflight", noted)
    meter = Meter("shard_0")
    asking = requests.Requests(
        hold_of(own.settings), own.settings.shards[0], SMALL, declared=lambda: SMALL, meter=meter
    )
    revoke(own)
    asking.hide("albums", SourceError("no right", remedy="give it"))
    state = State(1, 1, None, "first", captured(SMALL))
    for _ in range(6):
        assert asking.next(state, busy=False) is None
    assert len(looks) == 2  # after the second it is known what is seen of it
    give(own)
    for _ in range(3):
        asking.next(state, busy=False)
    assert looks == [("albums",)] * 3


def unread(own: Own) -> Sequence[Unread]:
    state = state_of(own.settings)
    return state.unread if state else ()


def is_read(own: Own) -> bool:
    state = state_of(own.settings)
    return state is not None and state.is_whole


def with_access(own: Own, access: Access) -> Settings:
    (shard,) = own.settings.shards
    return replace(own.settings, shards=(replace(shard, access=access),))


def end_connections(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a failover does, or a network that hiccups; capture looks for it sooner than ever."""
    for module in (engine, watch):
        monkeypatch.setattr(module, "STALL_SECONDS", 6.0)
    with own.root() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'smug'")
        for (number,) in cursor.fetchall():
            with suppress(pymysql.err.OperationalError):  # it has ended by itself
                cursor.execute(f"KILL {number}")


def test_L09_capture_goes_on_while_certificates_and_authorities_are_rotated(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, first, second = own.settings.home / "trusted.pem", Authority("one"), Authority("two")
    trusted.write_bytes(first.pem)
    settings = with_access(own, Access(ssl_mode="verify_identity", ssl_ca=trusted))

    def rotate(authority: Authority) -> None:
        authority.sign(own.folder / "server.crt", own.folder / "server.key")
        own.as_root("FLUSH SSL")

    rotate(first)
    own.as_root("ALTER USER 'smug'@'%' REQUIRE SSL")
    write(own, 1)
    kept = Kept()
    try:
        with capturing(settings, SMALL, kept) as worker:
            worker.wait(lambda: have(kept, "albums", 1))
            rotate(first)
            open_store(settings).ask("shard_0", "albums")
            since = len(kept.changes)
            worker.wait(lambda: have(kept, "albums", 1, since=since))
            rotate(second)
            worker.wait(lambda: "is not trusted with SMUG_MYSQL_SSL_MODE" in worker.notes)
            write(own, 2)
            worker.wait(lambda: have(kept, "albums", 1, 2))
            trusted.write_bytes(first.pem + second.pem)
            worker.wait(lambda: not worker.statuses[-1].note)
            end_connections(own, monkeypatch)
            write(own, 3)
            worker.wait(lambda: all(have(kept, name, 1, 2, 3) for name in NAMES))
    finally:
        own.as_root("ALTER USER 'smug'@'%' REQUIRE NONE")
    assert "new snapshot" not in worker.notes


def test_L09_capture_goes_on_while_its_password_is_rotated(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = own.settings.home / "password"
    file.write_text("smug\n")
    settings = with_access(own, Access(password_file=file))
    write(own, 1)
    kept = Kept()
    try:
        with capturing(settings, SMALL, kept) as worker:
            worker.wait(lambda: have(kept, "albums", 1))
            own.as_root("ALTER USER 'smug'@'%' IDENTIFIED BY 'second'")
            worker.wait(lambda: "refuses user 'smug'" in worker.notes)
            write(own, 2)
            worker.wait(lambda: have(kept, "albums", 1, 2))
            file.write_text("second\n")
            worker.wait(lambda: not worker.statuses[-1].note)
            own.as_root("ALTER USER 'smug'@'%' IDENTIFIED BY 'third'")
            end_connections(own, monkeypatch)
            worker.wait(lambda: worker.statuses[-1].phase == "failed")
            write(own, 3)
            file.write_text("third\n")
            worker.wait(lambda: all(have(kept, name, 1, 2, 3) for name in NAMES))
    finally:
        own.as_root("ALTER USER 'smug'@'%' IDENTIFIED BY 'smug'")
    assert "new snapshot" not in worker.notes


def test_L09_a_secret_that_was_rotated_is_asked_for_again_where_the_server_refuses_what_was_known(
    own: Own, dynamodb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", dynamodb)
    client = boto3.client("secretsmanager", region_name="us-east-1")
    client.create_secret(Name="smug/shards", SecretString='{"username":"smug","password":"smug"}')
    (shard,) = with_access(own, Access(secret="smug/shards")).shards
    unset = replace(shard, user="other", password="")
    try:
        with server.connect(unset) as connection:
            assert server.newest_position(connection)
        own.as_root(
            "ALTER USER 'smug'@'%' IDENTIFIED BY 'gone'",
            "CREATE USER smug_clone IDENTIFIED BY 'second'",
        )
        with pytest.raises(Refused, match="SMUG_MYSQL_SECRET"), server.connect(unset):
            pass
        with pytest.raises(Refused, match="SMUG_MYSQL_SECRET"), open_view(unset, "flickr"):
            pass
        told = '{"username":"smug_clone","password":"second"}'
        client.put_secret_value(SecretId="smug/shards", SecretString=told)
        own.as_root("GRANT RELOAD, REPLICATION CLIENT, BINLOG MONITOR ON *.* TO smug_clone")
        with open_view(unset, "flickr") as view:
            assert view.now() >= (view.file, view.offset)
        with server.connect(unset) as connection:
            found = server.ask_one(connection, "SELECT CURRENT_USER() AS user")
        assert found == {"user": "smug_clone@%"}
    finally:
        own.as_root("ALTER USER 'smug'@'%' IDENTIFIED BY 'smug'", "DROP USER IF EXISTS smug_clone")
