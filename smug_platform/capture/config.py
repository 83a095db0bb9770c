"""Debezium's properties for one shard, derived from the settings and the table contract.

Pure: nothing is read or written here. What each unusual property is for stands beside it.
"""

import re
import zlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from smug_platform.capture.contract import Columns, quoted
from smug_platform.capture.converters import NAME
from smug_platform.settings import Shard
from smug_platform.tables.table import Source, Table

CONNECTORS = {
    "mysql": "io.debezium.connector.mysql.MySqlConnector",
    "mariadb": "io.debezium.connector.mariadb.MariaDbConnector",
}
OFFSETS, HISTORY, TRUSTED = "offsets.dat", "schema_history.jsonl", "trusted.jks"
# Of a file that holds public certificates alone, and that Java wants a password of all the same.
TRUSTED_PASSWORD = "trusted"

_FIXED = {
    # Values: exact, and the same from snapshot and binlog.
    "converters": "source",
    "source.type": NAME,
    # Else a value that can't be converted comes as NULL.
    "event.converting.failure.handling.mode": "fail",
    "decimal.handling.mode": "string",
    "bigint.unsigned.handling.mode": "precise",
    "converter.schemas.enable": "false",
    "converter.decimal.format": "NUMERIC",
    # Else a NULL in a column with a default is written as that default.
    "converter.replace.null.with.default": "false",
    "time.precision.mode": "microseconds",
    # The server has made four digits of a year of two already: 0069 is no 2069.
    "enable.time.adjuster": "false",
    "binary.handling.mode": "base64",
    # "UTF8", not "UTF-8": a charset that the Java runtime lacks (eucjpms) is mapped to "UTF-8" by
    # the driver, which then asks the server for it, and all text comes mangled. Aliases are safe.
    "driver.characterEncoding": "UTF8",
    "driver.characterSetResults": "UTF8",
    # In the server's own zone the two hours of a clock change would be one.
    "driver.connectionTimeZone": "UTC",
    "driver.forceConnectionTimeZoneToSession": "true",
    # Events: all that change data, and nothing that only Kafka needs.
    "include.schema.changes": "true",
    "skipped.operations": "none",
    "tombstones.on.delete": "false",
    "snapshot.mode": "initial",
    "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
    "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
    # Of all tables: one that is not captured takes a captured one's place at the cut-over of an
    # online schema change, which may come while nothing runs.
    "schema.history.internal.store.only.captured.tables.ddl": "false",
    "schema.history.internal.store.only.captured.databases.ddl": "true",
    # Debezium must not reconnect by itself: after a failover the same file name and offset may be
    # another history. The engine ends, and the next start compares.
    "connect.keep.alive": "false",
    "errors.max.retries": "0",
    # The server sends a heartbeat at 0.8 of this while it has nothing else to send.
    "connect.keep.alive.interval.ms": "2000",
    "heartbeat.interval.ms": "1000",
    "poll.interval.ms": "50",
    # Bounded memory: by count, and by bytes for wide rows.
    # A transaction that is rolled back stands in the binlog where it touched what can't be taken
    # back, as a temporary table. So many events are held back, to see how their transaction ends.
    "binlog.buffer.size": "8192",
    "max.batch.size": "4096",
    "max.queue.size": "16384",
    "max.queue.size.in.bytes": str(128 * 1024 * 1024),
}


def engine_properties(
    shard: Shard,
    source: Source,
    folder: Path,
    *,
    columns: Mapping[str, Columns] | None = None,
    unread: Collection[str] = (),
) -> dict[str, str]:
    """The properties of one shard's engine.

    folder: where its offsets, schema history and trusted certificates are. columns: from
    `preflight`; tables without an entry are read with a plain `SELECT *`. unread: tables of which a
    snapshot brings DROP and CREATE alone.
    """
    tables = [f"{source.database}.{table.name}" for table in source.tables]
    excluded = [
        f"{source.database}.{table.name}.{column}"
        for table in source.tables
        for column in table.excluded
    ]
    keys = [
        f"{_exact(f'{source.database}.{table.name}')}:{','.join(table.key)}"
        for table in source.tables
        if table.key
    ]
    return {
        **_FIXED,
        "name": shard.name,
        "topic.prefix": shard.name,
        "connector.class": CONNECTORS[source.connector],
        "database.hostname": shard.host,
        "database.port": str(shard.port),
        "database.user": shard.user,
        "database.password": shard.password,
        "database.server.id": str(replica_id(shard)),
        **_encryption(shard, folder),
        "database.include.list": _exact(source.database),
        "table.include.list": ",".join(map(_exact, tables)),
        "column.exclude.list": ",".join(map(_exact, excluded)),
        **({"message.key.columns": ";".join(keys)} if keys else {}),
        "offset.storage.file.filename": str(folder / OFFSETS),
        "schema.history.internal.file.filename": str(folder / HISTORY),
        **_selects(source, columns or {}, unread),
    }


def captured(source: Source) -> tuple[str, ...]:
    """What is captured, one line a table: another text means that it is to be read anew.

    >>> from smug_platform.tables.table import Table
    >>> captured(Source(database="f", tables=(Table(name="t", domain="d", owner="o"),)))
    ('f.t key(id) without()',)
    """
    return tuple(_line(source, table) for table in source.tables)


def streamed(source: Source, tables: Collection[str] | None) -> Source:
    """Of a source the tables that are captured as they are declared, and so come with the stream.

    tables: what is captured, a line each; None before the first start. The others are read first.
    Where none is left, all are: capture then begins anew.

    >>> old, new = (Table(name=name, domain="d", owner="o") for name in ("old", "new"))
    >>> before = captured(Source(database="f", tables=(old,)))
    >>> [table.name for table in streamed(Source(database="f", tables=(old, new)), before).tables]
    ['old']
    """
    kept = tuple(table for table in source.tables if _line(source, table) in (tables or ()))
    return replace(source, tables=kept) if kept else source


def _line(source: Source, table: Table) -> str:
    zeros = ",".join(f"{name}={policy}" for name, policy in sorted(table.zero_dates.items()))
    return (
        f"{source.database}.{table.name} key({','.join(table.key)})"
        f" without({','.join(table.excluded)})" + (f" zero_dates({zeros})" if zeros else "")
    )


def _exact(name: str) -> str:
    r"""A name as a regular expression that matches it alone.

    >>> _exact("flickr.photos")
    'flickr\\.photos'
    """
    return re.escape(name)


def _selects(
    source: Source, columns: Mapping[str, Columns], unread: Collection[str]
) -> dict[str, str]:
    """How the snapshot reads the tables that `SELECT *` would not give exactly, or not at all.

    A later column of the same name wins, so the list of all columns need not be known here. The
    server prints a FLOAT with six digits, and one made a DOUBLE with all of them.
    """
    selects = {}
    for table, found in columns.items():
        extra = [f"{quoted(name)} + 0E0 AS {quoted(name)}" for name in found.floats]
        extra += [quoted(name) for name in found.hidden if name not in found.floats]
        if extra:
            name = f"{source.database}.{table}"
            select = f"SELECT *, {', '.join(extra)} FROM `{source.database}`.`{table}`"
            selects[f"snapshot.select.statement.overrides.{name}"] = select
    for table in unread:
        select = f"SELECT * FROM `{source.database}`.`{table}` WHERE FALSE"
        selects[f"snapshot.select.statement.overrides.{source.database}.{table}"] = select
    tables = [name.removeprefix("snapshot.select.statement.overrides.") for name in selects]
    return {"snapshot.select.statement.overrides": ",".join(tables), **selects} if selects else {}


def replica_id(shard: Shard) -> int:
    """The id with which capture registers as a replica: stable, so that a second capture of the
    same shard pushes the first one out instead of doubling it unseen, and out of the way of the
    small numbers that people give their servers.
    """
    name = f"{shard.name}@{shard.host}:{shard.port}"
    return 1_000_000_000 + zlib.crc32(name.encode()) % 1_000_000_000


def _encryption(shard: Shard, folder: Path) -> dict[str, str]:
    """How the connections are encrypted, and what the server's certificate is held to."""
    found: dict[str, str] = {"database.ssl.mode": shard.access.ssl_mode}
    if shard.access.ssl_ca:
        found["database.ssl.truststore"] = str(folder / TRUSTED)
        found["database.ssl.truststore.password"] = TRUSTED_PASSWORD
    return found
