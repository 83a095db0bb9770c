"""Values of any length: exact in lake and warehouse, by their hashes."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from smug_platform.local import mariadb
from smug_platform.settings import Settings
from smug_platform.tables.table import Source, Table
from smug_platform.warehouse.connect import connect
from tests.conformance.oracle import lake_copy
from tests.conformance.stack import Stack, of_its_own

SOURCE = Source(
    database="flickr_large",
    tables=(Table(name="blobs", domain="cases", owner="team:tests"),),
)
KIB, MIB = 1 << 10, 1 << 20
LONGEST = {"tiny": 255, "small": 64 * KIB - 1, "medium": 16 * MIB - 1, "large": 100 * MIB}
OF_SNAPSHOT = (0, 255, 64 * KIB - 1, 64 * KIB, 16 * MIB - 1)
OF_STREAM = (0, 255, 64 * KIB, 100 * MIB)
Hashes = dict[int, tuple[Any, ...]]


@pytest.fixture
def stack(servers: Settings, tmp_path: Path) -> Stack:
    """A table of bytes on one shard, a stream and a home of the test's own."""
    made = Stack(of_its_own(servers, tmp_path, "large"), SOURCE)
    made.create_database()
    kinds = "tiny TINYBLOB, small BLOB, medium MEDIUMBLOB, large LONGBLOB"
    made.write(0, f"CREATE TABLE blobs (id INT UNSIGNED PRIMARY KEY, {kinds})")
    return made


def insert(stack: Stack, id_: int, size: int) -> None:
    """A row of so many bytes, which the server draws, in each column that takes them."""
    values = [drawn(size if size <= longest else 0) for longest in LONGEST.values()]
    stack.write(
        0,
        f"SET group_concat_max_len = {2 * size + KIB}",
        f"INSERT INTO blobs VALUES ({id_}, {', '.join(values)})",
    )


def drawn(size: int) -> str:
    if not size:
        return "''"
    bytes_ = "GROUP_CONCAT(RANDOM_BYTES(1024) SEPARATOR '')"
    return f"(SELECT LEFT({bytes_}, {size}) FROM seq_1_to_{-(-size // KIB)})"


def source_hashes(stack: Stack) -> Hashes:
    hashes = ", ".join(f"SHA2({name}, 256)" for name in LONGEST)
    with mariadb.connect(stack.settings.shards[0], database=SOURCE.database) as cursor:
        cursor.execute(f"SELECT id, LENGTH(large), {hashes} FROM blobs")
        return {row[0]: row[1:] for row in cursor.fetchall()}


def lake_hashes(stack: Stack) -> Hashes:
    rows = lake_copy(stack.platform.lakehouse.catalog, "blobs").live("shard_0")
    return {
        row["id"]: (
            len(row["large"]),
            *(hashlib.sha256(row[name]).hexdigest() for name in LONGEST),
        )
        for row in rows
    }


def warehouse_hashes(stack: Stack) -> Hashes:
    hashes = ", ".join(f"sha256({name})" for name in LONGEST)
    with connect(stack.settings) as warehouse:
        rows = warehouse.sql(f"select id, octet_length(large), {hashes} from warehouse.blobs")
        return {row[0]: row[1:] for row in rows.fetchall()}


def test_D13_bytes_of_any_length_are_exact(stack: Stack) -> None:
    for number, size in enumerate(OF_SNAPSHOT):
        insert(stack, number, size)
    with stack.capturing() as capture:
        capture.wait_streaming()
        for number, size in enumerate(OF_STREAM, start=10):
            insert(stack, number, size)
        capture.reach()
    assert stack.sync() == {}
    source = source_hashes(stack)
    assert [length for length, *_ in source.values()] == [*OF_SNAPSHOT, *OF_STREAM]
    assert lake_hashes(stack) == source
    assert warehouse_hashes(stack) == source
