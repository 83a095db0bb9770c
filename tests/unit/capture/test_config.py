import re
from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.capture.config import captured, engine_properties, streamed
from smug_platform.capture.contract import Columns
from smug_platform.settings import Shard
from smug_platform.settings_capture import Access
from smug_platform.tables.flickr import FLICKR
from smug_platform.tables.table import Source, Table

SHARD = Shard("shard_3", "10.0.0.7", 3307, "smug", "secret")


def properties(source: Source = FLICKR, **columns: Columns) -> dict[str, str]:
    return engine_properties(SHARD, source, Path("/home/capture/shard_3"), columns=columns)


def matches(names: str, name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in names.split(","))


def test_exactly_the_declared_tables_are_captured():
    tables = properties()["table.include.list"]
    assert all(matches(tables, f"flickr.{table.name}") for table in FLICKR.tables)


@pytest.mark.parametrize(
    "name",
    ["_photos_gho", "_photos_del", "_photos_ghc", "photos_new", "_photos_old", "photos2"],
)
def test_H05_shadow_tables_never_match(name: str):
    tables = properties()["table.include.list"]
    assert not matches(tables, f"flickr.{name}")
    assert not matches(tables, "flickrXphotos")
    assert not matches(tables, "other.photos")


def test_excluded_columns_never_leave_the_source():
    excluded = properties()["column.exclude.list"]
    assert matches(excluded, "flickr.accounts.password_hash")
    assert not matches(excluded, "flickr.accounts.email")


def test_keys_are_those_of_the_contract():
    keys = properties()["message.key.columns"].split(";")
    assert r"flickr\.album_photos:album_id,photo_id" in keys
    assert not any("photo_views" in key for key in keys)


def test_the_shard_says_where_and_who():
    found = properties()
    assert found["topic.prefix"] == found["name"] == "shard_3"
    assert (found["database.hostname"], found["database.port"]) == ("10.0.0.7", "3307")
    assert found["offset.storage.file.filename"] == "/home/capture/shard_3/offsets.dat"


def test_connections_are_encrypted_as_the_settings_say():
    access = Access(ssl_mode="verify_ca", ssl_ca=Path("/etc/rds.pem"))
    found = engine_properties(replace(SHARD, access=access), FLICKR, Path("/home"))
    assert found["database.ssl.mode"] == "verify_ca"
    assert found["database.ssl.truststore"] == "/home/trusted.jks"
    assert properties()["database.ssl.mode"] == "disabled"
    assert "database.ssl.truststore" not in properties()


def test_L06_replica_ids_differ_between_shards_and_stay():
    ids = {
        engine_properties(Shard(f"shard_{n}", "h", 3306, "u", "p"), FLICKR, Path("/"))[
            "database.server.id"
        ]
        for n in range(64)
    }
    assert len(ids) == 64
    assert all(10**9 <= int(found) < 2**31 for found in ids)
    assert properties()["database.server.id"] == properties()["database.server.id"]


def test_B06_floats_and_hidden_columns_are_asked_for_by_name():
    found = properties(photos=Columns(floats=("rating",), hidden=("secret",)), albums=Columns())
    assert found["snapshot.select.statement.overrides"] == "flickr.photos"
    assert found["snapshot.select.statement.overrides.flickr.photos"] == (
        "SELECT *, `rating` + 0E0 AS `rating`, `secret` FROM `flickr`.`photos`"
    )


def test_every_change_of_the_contract_shows():
    table = Table(name="t", domain="d", owner="o", excluded=("secret",))
    variants = [
        (table,),
        (Table(name="t", domain="d", owner="o"),),
        (Table(name="t", domain="d", owner="o", key=("a", "b")),),
        (table, Table(name="u", domain="d", owner="o")),
        (Table(name="t", domain="d", owner="o", zero_dates={"at": "flag"}),),
        (Table(name="t", domain="d", owner="o", zero_dates={"at": "9999-12-31"}),),
    ]
    found = {captured(Source(database="f", tables=tables)) for tables in variants}
    assert len(found) == len(variants)


def test_what_is_declared_otherwise_than_it_is_captured_does_not_come_with_the_stream():
    one, two = (Table(name=name, domain="d", owner="o") for name in ("one", "two"))
    now = captured(Source(database="f", tables=(one, two)))
    other = Table(name="two", domain="d", owner="o", excluded=("secret",))
    declared = Source(database="f", tables=(one, other))
    assert streamed(declared, now).tables == (one,)
    assert streamed(declared, None) == streamed(declared, ("f.gone key(id) without()",)) == declared
