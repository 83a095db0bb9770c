import socket
from pathlib import Path

import pymysql
import pytest

from smug_platform.errors import SourceError
from smug_platform.local.mariadb import (
    connect,
    find_program,
    schema_statements,
    source_error,
    start_shard,
)
from smug_platform.settings import Shard
from smug_platform.tables.flickr import FLICKR
from tests.conftest import free_port


def shard(port: int) -> Shard:
    return Shard("shard_0", "127.0.0.1", port, "smug", "smug")


def test_a_machine_without_mariadb_is_told_what_to_install() -> None:
    with pytest.raises(SourceError, match="mariadbd-of-nowhere is not installed: run `apt-get"):
        find_program("mariadbd-of-nowhere")


def test_a_busy_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SourceError, match=rf"port {port} is in use by .*SMUG_MYSQL_PORT"):
            start_shard(shard(port), tmp_path, server_id=1)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_one_line() -> None:
    with (
        pytest.raises(SourceError, match=r"shard_0 \(127.0.0.1:\d+\): .*: start it with `smug up`"),
        connect(shard(free_port())),
    ):
        pass


def test_an_unknown_fault_says_where_to_look() -> None:
    fault = source_error(shard(1), pymysql.OperationalError(1205, "Lock wait timeout"))
    assert fault.problem == "shard_0 (127.0.0.1:1): Lock wait timeout"
    assert "log" in fault.remedy


def test_the_schema_holds_exactly_the_declared_tables() -> None:
    created = [table for verb, table, _ in schema_statements() if verb == "CREATE TABLE"]
    assert sorted(created) == sorted(table.name for table in FLICKR.tables)
