"""Whether the source shards can be captured, found before anything starts.

`examine` asks one shard for all that matters and tells each finding; `preflight` is the same at the
start of an engine, where the first blocking finding ends it. Nothing is written to a shard.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import pymysql

from smug_platform.capture.config import replica_id
from smug_platform.capture.contract import Columns, Held, find_in_table, read_tables
from smug_platform.capture.finding import Finding
from smug_platform.capture.pieces import unread_of
from smug_platform.capture.rights import find_in_rights
from smug_platform.capture.server import (
    LACKS_PRIVILEGE,
    Connection,
    ask_all,
    ask_one,
    connect,
    read_variables,
)
from smug_platform.capture.variables import Variables, find_in_variables, kept_seconds
from smug_platform.errors import SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

# Of a first snapshot, by one engine (benchmarks/capture.py).
_ROWS_A_SECOND = 25_000
_CIPHER = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Checked:
    """What can be captured of a source at one shard.

    columns: of each table that can be read, those that need care. unreadable: the tables that this
    user may not read, each with what says so. Their changes come with the binlog all the same.
    """

    source: Source
    columns: Mapping[str, Columns]
    unreadable: Mapping[str, SourceError]

    def readable(self) -> Source:
        """The source without what can't be read; raises the SourceError where nothing is left."""
        tables = [table for table in self.source.tables if table.name not in self.unreadable]
        if self.unreadable and not tables:
            raise next(iter(self.unreadable.values()))
        return replace(self.source, tables=tuple(tables))


@dataclass(frozen=True)
class Examined:
    """What one shard told. variables: None where it did not let us in."""

    shard: Shard
    findings: Sequence[Finding]
    variables: Variables | None = None
    tables: Mapping[str, Held] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """As the server tells it."""
        told = self.variables or {}
        return " ".join(filter(None, (told.get("version"), told.get("version_comment"))))


def examine_all(shards: Sequence[Shard], source: Source) -> list[Finding]:
    """The findings of each shard, and of all of them together."""
    examined = [examine(shard, source) for shard in shards]
    return [*(found for one in examined for found in one.findings), *find_between(examined)]


def examine(shard: Shard, source: Source) -> Examined:
    """All that is to be found at one shard; one that can't be asked has that as its finding."""
    try:
        with connect(shard) as connection:
            return _examine(connection, shard, source)
    except SourceError as error:
        found = Finding("blocking", "unreachable", shard.name, error.problem, error.remedy)
        return Examined(shard, [found])


def preflight(shard: Shard, source: Source) -> Checked:
    """Check that a shard can be captured.

    Raises SourceError with the first blocking finding that is not about one table alone, and
    SourceUnavailable for what may pass.
    """
    with connect(shard) as connection:
        examined = _examine(connection, shard, source)
    unreadable = {}
    for finding in examined.findings:
        if finding.severity == "blocking":
            error = SourceError(finding.problem, remedy=finding.remedy)
            if not finding.table:
                raise error
            unreadable[finding.table] = error
    held = {name: one for name, one in examined.tables.items() if name not in unreadable}
    columns = {name: one.columns for name, one in held.items()}
    return Checked(source, columns, unreadable)


def _examine(connection: Connection, shard: Shard, source: Source) -> Examined:
    variables = read_variables(connection)
    tables = read_tables(connection, source)
    found = list(find_in_variables(variables, shard.name))
    if not any(finding.check == "binlog" for finding in found):  # else its questions are refused
        found += find_in_rights(connection, shard, source, variables=variables)
        found += _in_binlog(connection, shard, source, variables)
    if not tables and source.tables and not _has_database(connection, source):
        found = [finding for finding in found if not finding.table]
        found.append(_no_database(shard, source))
    else:
        hidden = {finding.table for finding in found}
        for table in source.tables:
            if table.name not in hidden:
                found += find_in_table(source, table, tables.get(table.name), shard.name)
        found += _of_first_snapshot(shard, variables, _rows_at_once(source, tables))
    found += _in_time_zones(connection, shard)
    found += find_in_transit(shard, str(ask_one(connection, _CIPHER)["Value"]))
    return Examined(shard, found, variables, tables)


def _rows_at_once(source: Source, tables: Mapping[str, Held]) -> int:
    """About how many rows a first snapshot reads before the stream begins: not those in pieces."""
    held = {table: tables[table.name] for table in source.tables if table.name in tables}
    return sum(found.rows for table, found in held.items() if not unread_of(table, found))


def _of_first_snapshot(shard: Shard, variables: Variables, rows: int) -> Iterator[Finding]:
    """Whether the changes during a first snapshot may be purged before they can be read."""
    hours, kept = rows / _ROWS_A_SECOND / 3600, kept_seconds(variables)
    if kept is not None and hours > kept / 3600 / 2:
        yield Finding(
            "warning",
            "snapshot_time",
            shard.name,
            f"{shard.name}: to read its {rows:,} rows that can't be read in pieces takes about"
            f" {hours:,.1f} h, and binlogs are kept for {kept / 3600:,.1f} h",
            "keep them for twice as long (binlog_expire_logs_seconds), or load the tables by Glue:"
            " changes come after the snapshot, from the binlog of its beginning",
        )


def _in_binlog(
    connection: Connection, shard: Shard, source: Source, variables: Variables
) -> Iterator[Finding]:
    """Whether the changes of the database come into this binlog at all."""

    def finding(check: str, problem: str, remedy: str) -> Finding:
        return Finding("blocking", check, shard.name, f"{shard.name}: {problem}", remedy)

    if variables.get("server_id") == str(replica_id(shard)):
        yield finding(
            "replica_id",
            f"its server_id {replica_id(shard)} is the one that capture registers with",
            "give the server another",
        )
    status = _ask(connection, "SHOW MASTER STATUS", "SHOW BINARY LOG STATUS") or {}
    only = [name for name in str(status.get("Binlog_Do_DB") or "").split(",") if name]
    never = str(status.get("Binlog_Ignore_DB") or "").split(",")
    if source.database in never or (only and source.database not in only):
        yield finding(
            "binlog_filter",
            f"its binlog leaves out the database {source.database}",
            "take it out of binlog_ignore_db, or into binlog_do_db",
        )
    replicates = _ask(connection, "SHOW SLAVE STATUS", "SHOW REPLICA STATUS")
    told = variables.get("log_replica_updates", variables.get("log_slave_updates", "ON"))
    if replicates and told == "OFF":
        yield finding(
            "replica_updates",
            "it is a replica and does not write to its binlog what it replicates",
            "start it with log_slave_updates (log_replica_updates), or capture its primary",
        )


def _ask(connection: Connection, *names: str) -> Mapping[str, object] | None:
    """The answer under the first name that the server knows; None where it may not be asked."""
    for name in names:
        try:
            return ask_one(connection, name)
        except pymysql.err.ProgrammingError:  # MySQL 8.4 took the old names away
            continue
        except pymysql.err.Error as error:
            if error.args[0] not in LACKS_PRIVILEGE:
                raise
    return None


def _has_database(connection: Connection, source: Source) -> bool:
    sql = "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s"
    return bool(ask_all(connection, sql, (source.database,)))


def _no_database(shard: Shard, source: Source) -> Finding:
    return Finding(
        "blocking",
        "database_missing",
        shard.name,
        f"{shard.name}: the source lacks the database {source.database},"
        f" or user {shard.user!r} may not see it",
        "create it (locally: smug up), or grant SELECT on it",
    )


def _in_time_zones(connection: Connection, shard: Shard) -> Iterator[Finding]:
    sql = "SELECT CONVERT_TZ('2026-01-01 00:00:00', 'UTC', 'America/Chicago') AS local"
    if ask_one(connection, sql)["local"] is None:
        yield Finding(
            "note",
            "time_zones",
            shard.name,
            f"{shard.name}: its time zone tables are empty",
            "nothing for capture, which reads in +00:00; clients that name a zone need"
            " mysql_tzinfo_to_sql",
        )


def find_in_transit(shard: Shard, cipher: str) -> Iterator[Finding]:
    """Whether what is read can be read by others on its way. cipher: of the connection, or ""."""
    if not cipher and shard.host not in _LOOPBACK:
        yield Finding(
            "warning",
            "encryption",
            shard.name,
            f"{shard.name}: the connection to {shard.host} is not encrypted",
            "set SMUG_MYSQL_SSL_MODE to verify_identity and SMUG_MYSQL_SSL_CA, and require TLS at"
            " the server (require_secure_transport)",
        )


def find_between(examined: Sequence[Examined]) -> Iterator[Finding]:
    """What only several shards together show: one server twice, or tables that differ."""
    asked = [one for one in examined if one.variables is not None]
    for first, second in combinations(asked, 2):
        names = f"{first.shard.name} and {second.shard.name}"
        if _same(first, second, _address) or _same(first, second, _uuid):
            yield Finding(
                "blocking",
                "same_server",
                second.shard.name,
                f"{names} are one and the same server",
                "give each shard an address of its own: all rows would come twice",
            )
        elif _same(first, second, _server_id):
            yield Finding(
                "warning",
                "same_server_id",
                second.shard.name,
                f"{names} have the same server_id {_server_id(second)} and no uuid",
                "give each its own: an address that leads to the other one is else not noticed",
            )
        yield from _differences(first, second)


def _same(first: Examined, second: Examined, of: Callable[[Examined], str | None]) -> bool:
    return of(first) is not None and of(first) == of(second)


def _address(one: Examined) -> str:
    return f"{one.shard.host}:{one.shard.port}"


def _uuid(one: Examined) -> str | None:
    return (one.variables or {}).get("server_uuid")


def _server_id(one: Examined) -> str | None:
    return None if _uuid(one) else (one.variables or {}).get("server_id")


def _differences(first: Examined, second: Examined) -> Iterator[Finding]:
    """A finding for each table whose columns two shards hold otherwise."""
    for name in first.tables.keys() & second.tables.keys():
        ours, theirs = first.tables[name].types, second.tables[name].types
        told = [
            f"{column} ({ours.get(column, 'missing')} and {theirs.get(column, 'missing')})"
            for column in dict.fromkeys((*ours, *theirs))
            if ours.get(column) != theirs.get(column)
        ]
        if told:
            yield Finding(
                "warning",
                "shards_differ",
                second.shard.name,
                f"table {name} differs between {first.shard.name} and {second.shard.name}:"
                f" {', '.join(told)}",
                "finish the change on both; until then a column that one lacks is NULL there",
            )
