"""What the environment may say, and what is told where it says something that can't be."""

from dataclasses import replace
from pathlib import Path

import pytest

from smug_platform.errors import SettingsError
from smug_platform.oracle.reconcile import reconcile
from smug_platform.settings import Settings, Shard, load_settings
from smug_platform.settings_capture import Access
from smug_platform.tables.flickr import FLICKR
from tests.conftest import local_settings


def prod(**environ: str) -> Settings:
    return load_settings({"SMUG_ENV": "prod", **environ})


def test_shards_are_read() -> None:
    text = "a=mysql://root@db-1.example:3307, b_2=mysql://db-2.example,"
    access = Access(ssl_mode="preferred")
    assert prod(SMUG_SHARDS=text, SMUG_MYSQL_PASSWORD="x").shards == (
        Shard("a", "db-1.example", 3307, "root", "x", access),
        Shard("b_2", "db-2.example", 3306, "smug", "x", access),
    )


def test_how_shards_are_entered_is_read() -> None:
    (shard,) = prod(
        SMUG_SHARDS="a=mysql://h",
        SMUG_MYSQL_PASSWORD_FILE="/run/password",
        SMUG_MYSQL_SSL_MODE="verify_ca",
        SMUG_MYSQL_SSL_CA="/etc/rds.pem",
        AWS_REGION="eu-west-1",
    ).shards
    authorities = Path("/etc/rds.pem")
    file = Path("/run/password")
    assert shard.access == Access(file, "", "eu-west-1", "verify_ca", authorities)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"SMUG_MYSQL_SSL_MODE": "VERIFY-CA"}, "'VERIFY-CA': set it to one of disabled"),
        ({"SMUG_MYSQL_SSL_CA": "/a.pem"}, "SMUG_MYSQL_SSL_MODE is preferred"),
        ({"SMUG_MYSQL_PASSWORD": "x", "SMUG_MYSQL_SECRET": "y"}, "set one of them"),
    ],
)
def test_an_access_that_cannot_be_is_told(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        prod(**environ)


@pytest.mark.parametrize(
    "text",
    [
        "a=mysql://h:abc",
        "a=mysql://h:99999",
        "a=mysql://h:0",
        "a=mysql://[h",
        "a=postgres://h",
        "a=mysql://",
        "=mysql://h",
        "a",
        "a.b=mysql://h",
        "..=mysql://h",
        "a/b=mysql://h",
        "a b=mysql://h",
        "a=mysql://h,b=mysql://i,a=mysql://j",
    ],
)
def test_shards_that_cannot_be_are_told(text: str) -> None:
    with pytest.raises(SettingsError, match="SMUG_SHARDS"):
        prod(SMUG_SHARDS=text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SMUG_MYSQL_PORT", "abc"),
        ("SMUG_MYSQL_PORT", ""),
        ("SMUG_MYSQL_PORT", "99999"),
        ("SMUG_MYSQL_PORT", "65535"),  # the second shard's is the one after it
        ("SMUG_KINESIS_PORT", "0"),
        ("SMUG_UI_PORT", "-1"),
        ("SMUG_HOT_PERCENT", "101"),
        ("SMUG_UI_PORT", "\u00b2"),
        ("SMUG_SHARD_COUNT", "0"),
        ("SMUG_SHARD_COUNT", "1000000"),
    ],
)
def test_numbers_that_cannot_be_are_told(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is .*: set it to a whole number from 1 to"):
        load_settings({name: text})


@pytest.mark.parametrize("url", ["vpce-1.example", "ftp://h", "https://", "https://h:x"])
def test_an_endpoint_that_cannot_be_is_told(url: str) -> None:
    with pytest.raises(SettingsError, match="SMUG_KINESIS_ENDPOINT"):
        prod(SMUG_KINESIS_ENDPOINT=url)


def test_without_shards_nothing_is_verified(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SMUG_SHARDS"):
        reconcile(replace(local_settings(tmp_path), shards=()), FLICKR)
