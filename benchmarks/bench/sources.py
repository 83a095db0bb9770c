"""Shards whose binlogs are read by the benchmarks of capture: a narrow table and a wide one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smug_platform.local.kinesis import start_kinesis
from smug_platform.local.mariadb import connect, start_shard
from smug_platform.settings import Settings
from smug_platform.tables.table import Source, Table

_NARROW = (
    "account_id BIGINT UNSIGNED NOT NULL, title VARCHAR(200), views INT NOT NULL,"
    " price DECIMAL(10,2), public TINYINT(1) NOT NULL, created_at DATETIME(6), updated_at TIMESTAMP"
)
_NARROW_VALUES = (
    "seq % 5000, CONCAT('Sunset over the Straße ', seq), 0, seq % 900 / 7, seq % 2,"
    " '2026-01-01 12:00:00.123456', '2026-01-01 12:00:00'"
)
_KINDS = {
    "INT": "seq",
    "BIGINT UNSIGNED": "seq * 1000003",
    "VARCHAR(80)": "CONCAT('café ', seq, ' between the dunes')",
    "DECIMAL(12,3)": "seq / 7",
    "DATETIME(6)": "'2026-01-01 12:00:00.123456'",
}
_WIDE = [(f"c{n:02d}", kind) for n, kind in enumerate([*_KINDS] * 11)]
COLUMNS = {
    "narrow": (_NARROW, _NARROW_VALUES),
    "wide": (
        ", ".join(["views INT NOT NULL", *(f"{name} {kind}" for name, kind in _WIDE)]),
        ", ".join(["0", *(_KINDS[kind] for _, kind in _WIDE)]),
    ),
}
_STATEMENT_ROWS = 1000


def source_of(shape: str) -> Source:
    """The contract of one of the two tables."""
    return Source(
        database="flickr", tables=(Table(name=shape, domain="bench", owner="team:bench"),)
    )


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """The shards and a Kinesis (moto), in the settings' home."""
    started = [
        start_shard(
            shard,
            settings.home / shard.name,
            server_id=number + 1,
            # The pure-Python reader has its column names from there.
            extra=["--binlog-row-metadata=FULL"],
        )
        for number, shard in enumerate(settings.shards)
    ]
    try:
        started.append(start_kinesis(settings.stream, settings.home / "logs"))
        yield
    finally:
        for process in started:
            process.stop()


def fill(settings: Settings, shape: str, rows: int) -> None:
    """Make the table on each shard, with so many rows."""
    columns, values = COLUMNS[shape]
    for shard in settings.shards:
        with connect(shard) as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS flickr CHARACTER SET utf8mb4")
            cursor.execute("USE flickr")
            cursor.execute(f"CREATE TABLE {shape} (id BIGINT UNSIGNED PRIMARY KEY, {columns})")
            cursor.execute(f"INSERT INTO {shape} SELECT seq, {values} FROM seq_1_to_{rows}")


def update(settings: Settings, shape: str, rows: int, changes: int) -> None:
    """Change so many rows on each shard, a thousand in a transaction."""
    for shard in settings.shards:
        with connect(shard, database="flickr") as cursor:
            for first in range(0, changes, _STATEMENT_ROWS):
                at = first % rows
                cursor.execute(
                    f"UPDATE {shape} SET views = views + 1"
                    f" WHERE id > {at} AND id <= {at + _STATEMENT_ROWS}"
                )


def folder_of(settings: Settings, name: str) -> Path:
    """The home of one run, apart from the servers'."""
    return settings.home / "runs" / name
