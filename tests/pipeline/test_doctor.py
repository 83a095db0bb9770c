"""Each finding of `smug doctor` at a real server, made and unmade again."""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smug_platform.capture import server
from smug_platform.capture.config import replica_id
from smug_platform.capture.doctor import examine, examine_all, find_in_transit, preflight
from smug_platform.capture.finding import Finding
from smug_platform.cli.app import app
from smug_platform.errors import SourceError
from smug_platform.local.mariadb import connect, load_schema
from smug_platform.settings import Settings, Shard
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source, Table
from tests.conftest import local_settings
from tests.pipeline.capturing import Own, one_shard
from tests.pipeline.test_whole_way import aside

# What the local servers are told of at all times.
USUAL = {("note", check) for check in ("row_metadata", "sync_binlog", "no_key", "time_zones")}
_REVOKED = "REVOKE {0} ON *.* FROM 'smug'@'%'"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """A server as `smug up` starts them; a test puts it back into that shape."""
    settings = one_shard(local_settings(tmp_path_factory.mktemp("doctor")))
    own = Own(settings, settings.home / "mysql")
    own.start()
    load_schema(settings.shards[0])
    yield own
    own.process.stop()


def found(shard: Shard, source: Source = FLICKR) -> dict[tuple[str, str], Finding]:
    return {(f.severity, f.check): f for f in examine(shard, source).findings}


def test_K10_a_snapshot_that_takes_longer_than_binlogs_are_kept_is_told_before(
    healthy: Own,
) -> None:
    """Of tables without a key: while the others are read the binlog is read as well."""
    albums = (
        "INSERT INTO flickr.albums (id, account_id, title, created_at)"
        " SELECT seq, 1, 'x', '2026-01-01' FROM flickr.seq_1_to_60000"
    )
    views = "INSERT INTO flickr.photo_views SELECT id, 'DE', 'x', created_at FROM flickr.albums"
    tables = "flickr.albums, flickr.photo_views"
    healthy.as_root(albums, f"ANALYZE TABLE {tables}", "SET GLOBAL binlog_expire_logs_seconds=4")
    try:
        assert ("warning", "snapshot_time") not in found(healthy.settings.shards[0])
        healthy.as_root(views, f"ANALYZE TABLE {tables}")
        finding = found(healthy.settings.shards[0])["warning", "snapshot_time"]
        assert "h, and binlogs are kept for" in finding.problem
    finally:
        healthy.as_root(
            "DELETE FROM flickr.albums",
            "DELETE FROM flickr.photo_views",
            f"ANALYZE TABLE {tables}",
            "SET GLOBAL binlog_expire_logs_seconds=604800",
        )


def test_a_server_as_it_is_started_here_can_be_captured(healthy: Own) -> None:
    shard = healthy.settings.shards[0]
    with server.connect(shard) as connection:
        before = server.newest_position(connection)
        assert found(shard).keys() == USUAL
        assert server.newest_position(connection) == before


def test_a_table_that_is_altered_is_there(healthy: Own) -> None:
    shard = healthy.settings.shards[0]

    def alter(stop: threading.Event) -> None:
        with connect(shard, database="flickr") as cursor:
            while not stop.is_set():
                cursor.execute("ALTER TABLE albums FORCE, ALGORITHM=COPY")

    with aside(alter):
        for _ in range(40):
            preflight(shard, FLICKR)


MADE = [
    *(
        pytest.param(
            (f"SET GLOBAL {name} = {wrong}",), (f"SET GLOBAL {name} = {right}",), expected, id=case
        )
        for case, name, wrong, right, expected in (
            ("format", "binlog_format", "MIXED", "ROW", ("blocking", "binlog_format")),
            ("I01-image", "binlog_row_image", "MINIMAL", "FULL", ("blocking", "row_image")),
            ("I01-noblob", "binlog_row_image", "NOBLOB", "FULL", ("blocking", "row_image")),
            ("dates", "sql_mode", "'ALLOW_INVALID_DATES'", "DEFAULT", ("warning", "invalid_dates")),
            ("expire", "binlog_expire_logs_seconds", 3600, 604_800, ("warning", "retention")),
            ("I11-compressed", "log_bin_compress", "ON", "OFF", ("blocking", "compression")),
        )
    ),
    *(
        pytest.param(
            (_REVOKED.format(held),),
            (_REVOKED.replace("REVOKE", "GRANT").replace("FROM", "TO").format(held),),
            (severity, f"privilege {named or held}"),
            id=held.replace(" ", "-"),
        )
        for severity, held, named in (
            ("blocking", "BINLOG MONITOR", "REPLICATION CLIENT"),
            ("blocking", "REPLICATION SLAVE", ""),
            ("blocking", "RELOAD", ""),
        )
    ),
    pytest.param(
        (_REVOKED.format("LOCK TABLES"), "REVOKE LOCK TABLES ON `flickr%`.* FROM 'smug'@'%'"),
        ("GRANT LOCK TABLES ON *.* TO 'smug'@'%'", "GRANT ALL ON `flickr%`.* TO 'smug'@'%'"),
        ("warning", "privilege LOCK TABLES"),
        id="LOCK-TABLES",
    ),
    pytest.param(
        (_REVOKED.format("SELECT"), "REVOKE SELECT ON `flickr%`.* FROM 'smug'@'%'"),
        ("GRANT SELECT ON *.* TO 'smug'@'%'", "GRANT ALL ON `flickr%`.* TO 'smug'@'%'"),
        ("blocking", "privilege SELECT"),
        id="SELECT",
    ),
    pytest.param(
        ("CHANGE MASTER TO MASTER_HOST = '127.0.0.1'",),
        ("RESET SLAVE ALL",),
        ("blocking", "replica_updates"),
        id="replica",
    ),
    pytest.param(
        ("ALTER TABLE flickr.albums ENGINE = MyISAM",),
        ("ALTER TABLE flickr.albums ENGINE = InnoDB",),
        ("warning", "engine"),
        id="I04-engine",
    ),
    pytest.param(
        (
            "ALTER TABLE flickr.comments ADD CONSTRAINT gone FOREIGN KEY (photo_id)"
            " REFERENCES flickr.photos (id) ON DELETE CASCADE",
        ),
        ("ALTER TABLE flickr.comments DROP FOREIGN KEY gone",),
        ("warning", "cascade"),
        id="F12-cascade",
    ),
    pytest.param(
        ("ALTER TABLE flickr.albums PARTITION BY HASH (id) PARTITIONS 2",),
        ("ALTER TABLE flickr.albums REMOVE PARTITIONING",),
        ("note", "partitions"),
        id="G16-partitions",
    ),
    pytest.param(
        ("ALTER TABLE flickr.photo_views ADD COLUMN id BIGINT AUTO_INCREMENT PRIMARY KEY",),
        ("ALTER TABLE flickr.photo_views DROP COLUMN id",),
        ("warning", "no_key"),
        id="F04-key-not-declared",
    ),
    pytest.param(
        ("ALTER TABLE flickr.orders RENAME COLUMN ship_to TO address_to",),
        ("ALTER TABLE flickr.orders RENAME COLUMN address_to TO ship_to",),
        ("warning", "personal_column_missing"),
        id="personal",
    ),
    pytest.param(
        ("RENAME TABLE flickr.orders TO flickr.orders_away",),
        ("RENAME TABLE flickr.orders_away TO flickr.orders",),
        ("blocking", "table_missing"),
        id="G19-table-missing",
    ),
    pytest.param(
        (
            "CREATE TABLE mysql.rds_configuration (name VARCHAR(100), value VARCHAR(100))",
            "INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL)",
        ),
        ("DROP TABLE mysql.rds_configuration",),
        ("warning", "retention"),
        id="retention-of-rds",
    ),
]


@pytest.mark.parametrize(("make", "unmake", "expected"), MADE)
def test_a_finding_comes_and_goes(
    healthy: Own, make: Sequence[str], unmake: Sequence[str], expected: tuple[str, str]
) -> None:
    shard = healthy.settings.shards[0]
    healthy.as_root(*make)
    try:
        told = found(shard)
        if expected[0] == "blocking":
            with pytest.raises(SourceError):
                preflight(shard, FLICKR).readable()
        else:
            assert preflight(shard, FLICKR).columns.keys() == set(FLICKR.names)
    finally:
        healthy.as_root(*unmake)
    assert expected in told.keys() - USUAL
    assert told[expected].remedy
    assert found(shard).keys() == USUAL


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"name": "albums", "key": ("uid",)}, ("blocking", "column_missing")),
        ({"name": "albums", "excluded": ("iban",)}, ("blocking", "column_missing")),
        ({"name": "albums", "zero_dates": {"at": "flag"}}, ("blocking", "column_missing")),
        ({"name": "albums", "zero_dates": {"title": "flag"}}, ("blocking", "zero_dates")),
        ({"name": "albums", "key": ("account_id",)}, ("blocking", "key_not_unique")),
        pytest.param(
            {"name": "measured", "key": ("code",)}, ("blocking", "key_not_unique"), id="F09"
        ),
        ({"name": "prints"}, ("blocking", "table_missing")),
        ({"name": "measured", "key": ("at",)}, ("warning", "key_type")),
    ],
)
def test_a_declaration_that_the_source_does_not_bear_out(
    healthy: Own, table: dict[str, object], expected: tuple[str, str]
) -> None:
    healthy.as_root(
        "CREATE TABLE IF NOT EXISTS flickr.measured (at DOUBLE PRIMARY KEY, code INT UNIQUE)"
    )
    declared = Table(domain="d", owner="team:d", **table)  # type: ignore[arg-type]
    source = Source(database="flickr", tables=(declared,))
    assert expected in found(healthy.settings.shards[0], source)


def test_a_database_that_is_not_there_is_one_finding(healthy: Own) -> None:
    source = Source(database="elsewhere", tables=FLICKR.tables)
    told = examine(healthy.settings.shards[0], source).findings
    blocking = [finding.check for finding in told if finding.severity == "blocking"]
    assert blocking == ["database_missing"]


def test_one_server_under_two_names_and_one_that_does_not_answer(healthy: Own) -> None:
    shard = healthy.settings.shards[0]
    findings = examine_all([shard, replace(shard, name="shard_1")], FLICKR)
    assert [f.check for f in findings if f.severity == "blocking"] == ["same_server"]
    lost = examine_all([shard, replace(shard, name="shard_1", port=1)], FLICKR)
    assert [(f.check, f.shard) for f in lost if f.severity == "blocking"] == [
        ("unreachable", "shard_1")
    ]


def test_two_shards_are_held_against_each_other(healthy: Own, fresh_shards: Settings) -> None:
    own, other = healthy.settings.shards[0], fresh_shards.shards[1]
    assert not [f for f in examine_all([own, other], FLICKR) if f.severity != "note"]
    healthy.as_root(
        "ALTER TABLE flickr.albums ADD COLUMN mood INT, MODIFY title VARCHAR(300) NOT NULL",
        "SET GLOBAL server_id = 101",
    )
    try:
        told = [f for f in examine_all([own, other], FLICKR) if f.severity == "warning"]
    finally:
        healthy.as_root(
            "ALTER TABLE flickr.albums DROP COLUMN mood, MODIFY title VARCHAR(255) NOT NULL",
            "SET GLOBAL server_id = 77",
        )
    assert {f.check for f in told} == {"same_server_id", "shards_differ"}
    differs = next(f.problem for f in told if f.check == "shards_differ")
    assert "title (varchar(300) and varchar(255))" in differs
    assert "mood (int(11) and missing)" in differs


@pytest.mark.parametrize(
    ("host", "cipher", "checks"),
    [
        ("10.0.0.7", "", ["encryption"]),
        ("10.0.0.7", "TLS_AES_256_GCM_SHA384", []),
        ("127.0.0.1", "", []),
    ],
)
def test_rows_that_others_can_read_on_their_way_are_told_of(
    host: str, cipher: str, checks: list[str]
) -> None:
    shard = Shard("a", host, 3306, "u", "p")
    assert [finding.check for finding in find_in_transit(shard, cipher)] == checks


def test_what_a_server_is_started_with(tmp_path: Path) -> None:
    """Settings that a running server does not change."""
    own = Own(one_shard(local_settings(tmp_path)), tmp_path / "mysql")
    shard = own.settings.shards[0]
    own.server_id = replica_id(shard)
    own.start("--binlog-ignore-db=flickr", "--skip-show-database", "--log-slave-updates")
    try:
        load_schema(shard)
        own.as_root("CHANGE MASTER TO MASTER_HOST = '127.0.0.1'", _REVOKED.format("SHOW DATABASES"))
        told = found(shard)
    finally:
        own.process.stop()
    blocking = {check for severity, check in told if severity == "blocking"}
    assert blocking == {"binlog_filter", "privilege SHOW DATABASES", "replica_id"}


def test_a_server_without_a_binlog(tmp_path: Path) -> None:
    own = Own(one_shard(local_settings(tmp_path)), tmp_path / "mysql")
    own.start("--skip-log-bin")
    try:
        with pytest.raises(SourceError, match="binlog is off"):
            preflight(own.settings.shards[0], FLICKR)
    finally:
        own.process.stop()


def test_the_command_prints_a_table_or_json_and_ends_with_1_when_it_blocks(
    healthy: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = healthy.settings.shards[0]
    monkeypatch.setenv("SMUG_ENV", "test")
    monkeypatch.setenv("SMUG_HOME", str(healthy.settings.home))
    monkeypatch.setenv("SMUG_SHARD_COUNT", "1")
    monkeypatch.setenv("SMUG_MYSQL_PORT", str(shard.port))
    run = CliRunner().invoke
    good = run(app, ["doctor"])
    assert (good.exit_code, good.output.splitlines()[-1]) == (
        0,
        "1 shards can be captured: 0 blocking, 0 warning, 4 note",
    )
    healthy.as_root("SET GLOBAL binlog_row_image = MINIMAL")
    try:
        bad, told = run(app, ["doctor"]), run(app, ["doctor", "--json"])
    finally:
        healthy.as_root("SET GLOBAL binlog_row_image = FULL")
    assert bad.exit_code == told.exit_code == 1
    assert "set it to FULL" in bad.output
    assert json.loads(told.output)[0] == {
        "severity": "blocking",
        "check": "row_image",
        "shard": "shard_0",
        "problem": "shard_0: binlog_row_image is MINIMAL",
        "remedy": "set it to FULL",
        "table": "",
    }
