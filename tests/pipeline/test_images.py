"""Rows as the server writes them for a snapshot in pieces: Debezium is the oracle."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pymysql
import pytest
from pymysql.cursors import Cursor

from smug_platform.capture import begin, server
from smug_platform.capture.contract import read_tables
from smug_platform.capture.images import image_of, key_text
from smug_platform.errors import SourceError
from smug_platform.local.mariadb import connect
from smug_platform.settings import Settings, Shard
from smug_platform.tables.table import Source, Table
from tests.pipeline.capturing import Kept, capturing, one_shard

KINDS = Table(name="kinds", key=("id", "name"), domain="d", owner="o", excluded=("secret",))
NAME = "`flickr`.`kinds`"
SOURCE = Source(database="flickr", tables=(KINDS,))
TYPES = {
    "a": "TINYINT(1)", "b": "BIT(1)", "b9": "BIT(12)", "d": "DECIMAL(65,30)", "f": "FLOAT",
    "g": "DOUBLE", "dt": "DATE", "dtt": "DATETIME(3)", "ts": "TIMESTAMP(6) NULL", "ti": "TIME(2)",
    "ti6": "TIME(6)", "y": "YEAR", "bl": "LONGBLOB", "bi": "BINARY(4)", "j": "JSON",
    "e": "ENUM('x','y')", "st": "SET('p','q')", "z": "INT(5) ZEROFILL",
    "lat": "VARCHAR(10) CHARACTER SET latin1", "zd": "DATE NOT NULL", "zdt": "DATETIME NOT NULL",
    "zts": "TIMESTAMP(3) NOT NULL", "made": "INT AS (a + 1) VIRTUAL", "`in``v`": "INT INVISIBLE",
    "`it's \"q\"`": "TEXT", "secret": "TEXT",
}  # fmt: skip
ROWS = (
    """(18446744073709551615, 'é"\\\\ \\n/\\t\\'x', 1, b'1', b'101010101010', -1.50, 123.456, 0.1,
       '1500-01-02', '2026-01-01 10:00:00.125', '2026-01-01 10:00:00.120000', '-838:59:59',
       '-00:00:00.000001', 2020, x'00ff', 'ab', '{"a":1}', 'y', 'p,q', 42, 'é', '0000-00-00',
       '0000-00-00', '0000-00-00', 'quoted "\\'', 'not told')""",
    """(1, '', 127, b'0', b'1', 99999999999999999999999999999999999.5, 1e38, 5e-324, '0069-02-28',
       '0001-01-01 00:00:00', '1970-01-01 00:00:01', '25:00:00.5', '838:59:58.999999', 1901, '',
       '', '[]', 'x', '', 0, '', '9999-12-31', '9999-12-31 23:59:59', '2038-01-19 03:14:07.999',
       '', '')""",
    """(2, '\x01\x1f\x7f\\b😀', NULL, NULL, NULL, NULL, -16777217, 1.7976931348623157e308,
       '1000-01-01', '1969-12-31 23:59:59.5', NULL, NULL, NULL, NULL, REPEAT(x'01', 5000), NULL,
       NULL, NULL, NULL, NULL, NULL, '0001-03-01', '0001-02-28 01:00:00', '2026-03-29 01:30:00',
       NULL, NULL)""",
    "(3, 'none'" + ", NULL" * 19 + ", '2024-02-29', '2024-02-29', '2024-02-29', NULL, NULL)",
)


@pytest.fixture
def filled(fresh_shards: Settings) -> Settings:
    one = one_shard(fresh_shards)
    columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    names = ", ".join(name for name in ("id", "name", *TYPES) if name not in {"made", "`in``v`"})
    with _session(one) as cursor:
        cursor.execute(
            f"CREATE TABLE kinds (id BIGINT UNSIGNED, name VARCHAR(20), {columns},"
            " PRIMARY KEY (id, name))"
        )
        for row in ROWS:
            cursor.execute(f"INSERT INTO kinds ({names}) VALUES {row}")
        cursor.execute("UPDATE kinds SET `in``v` = 5 WHERE id = 1")
    return one


@contextmanager
def _session(settings: Settings) -> Iterator[Any]:
    with connect(settings.shards[0], database="flickr") as cursor:
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        yield cursor


def _single(row: dict[str, Any]) -> dict[str, Any]:
    """With the FLOAT as the number of 32 bits that it is."""
    (value,) = struct.unpack("f", struct.pack("f", row["f"])) if row["f"] is not None else (None,)
    return row | {"f": value}


def test_keys_and_rows_are_written_as_debezium_does(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a first snapshot that is left to Debezium whole."""
    monkeypatch.setattr(begin, "unread_of", lambda *_table: None)
    kept = Kept()
    with capturing(filled, SOURCE, kept) as worker:
        worker.wait_streaming()
    theirs = {
        change.key: _single(orjson.loads(change.value)["after"])
        for _, change in kept.changes
        if change.key and b'"op":"r"' in change.value
    }
    with server.connect(filled.shards[0]) as connection:
        image = image_of(KINDS, read_tables(connection, SOURCE)["kinds"])
        assert image is not None
        server.open_view(connection, filled.shards[0], [NAME])
        rows = server.ask_all(
            connection,
            f"SELECT {image.key} AS k, {image.row} AS r FROM flickr.kinds ORDER BY {image.order()}",
        )
        cells = ", ".join(cell.sql for cell in image.cells)
        with connection.cursor(Cursor) as cursor:
            cursor.execute(f"SELECT {image.key}, {cells} FROM flickr.kinds")
            long = {key_text(key).encode(): image.written(cells) for key, *cells in cursor}
    assert {key_text(row["k"]).encode(): _single(orjson.loads(row["r"])) for row in rows} == theirs
    assert {key: _single(orjson.loads(row)) for key, row in long.items()} == theirs
    assert len(theirs) == len(ROWS)


def test_what_the_server_cannot_write_is_left_to_debezium(filled: Settings) -> None:
    with _session(filled) as cursor:
        cursor.execute("CREATE TABLE places (id INT PRIMARY KEY, at POINT)")
        cursor.execute("CREATE TABLE moods (id ENUM('a', 'b') PRIMARY KEY)")
        cursor.execute("CREATE TABLE plain (id INT PRIMARY KEY)")
    tables = [Table(name=name, domain="d", owner="o") for name in ("places", "moods", "plain")]
    keyless = Table(name="kinds", domain="d", owner="o", key=(), key_scope="shard")
    with server.connect(filled.shards[0]) as connection:
        held = read_tables(connection, Source(database="flickr", tables=(*tables, keyless)))
    readable = [table.name for table in (*tables, keyless) if image_of(table, held[table.name])]
    assert readable == ["plain"]


@pytest.fixture
def narrow(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shard]:
    """The shard for a user without RELOAD, as RDS and Aurora have no other."""
    shard = replace(filled.shards[0], user="narrow", password="n")

    with _session(filled) as cursor:
        cursor.execute("SELECT CONCAT(@@datadir, @@socket)")
        ((path,),) = cursor.fetchall()
    monkeypatch.chdir(Path(path).parent)  # a socket's whole path has 107 bytes at most
    with pymysql.connect(unix_socket=Path(path).name, user="root", autocommit=True) as connection:
        root = connection.cursor()
        root.execute("CREATE USER narrow@'%' IDENTIFIED BY 'n'")
        root.execute("GRANT BINLOG MONITOR ON *.* TO narrow@'%'")
        root.execute("GRANT SELECT, LOCK TABLES ON flickr.* TO narrow@'%'")
        yield shard
        root.execute("DROP USER narrow@'%'")


@pytest.mark.parametrize("user", ["smug", "narrow"])
def test_a_view_stands_at_its_place_with_and_without_the_servers_help(
    filled: Settings, narrow: Shard, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """Where it does not tell the place, nobody writes to the table between the view and that."""
    shard = narrow if user == "narrow" else filled.shards[0]
    with server.connect(shard) as connection:
        told = server.open_view(connection, shard, [NAME])
    newest_position = server.newest_position
    refused: list[int] = []

    def delete(seconds: int) -> None:
        with _session(filled) as cursor:
            cursor.execute(f"SET lock_wait_timeout = {seconds}")
            cursor.execute("DELETE FROM kinds")

    def asked(connection: server.Connection) -> tuple[str, int]:
        with pytest.raises(pymysql.err.OperationalError) as error:
            delete(1)
        refused.append(error.value.args[0])
        return newest_position(connection)

    monkeypatch.setattr(server, "_place_of_view", lambda _connection: None)
    monkeypatch.setattr(server, "newest_position", asked)
    with server.connect(shard) as connection:
        assert server.open_view(connection, shard, [NAME]) == told == newest_position(connection)
        assert refused == [1205]
        delete(10)  # nobody is held off any more
        seen = server.ask_all(connection, f"SELECT COUNT(*) AS count FROM {NAME}")
        assert seen == [{"count": len(ROWS)}]
        assert newest_position(connection) > told


def test_a_view_that_the_user_may_not_have_says_what_to_grant(
    narrow: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_place_of_view", lambda _connection: None)
    with server.connect(narrow) as connection, pytest.raises(SourceError) as error:
        server.open_view(connection, narrow, [NAME, "`mysql`.`db`"])
    assert not error.value.passes
    assert "LOCK TABLES" in error.value.remedy
