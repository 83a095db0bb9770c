"""What capture asks of a source server through plain SQL: identity, binlogs, tables, grants.

`preflight` finds what would stop Debezium later, and says it in one line before anything starts.
Nothing is written, to the binlog neither: LOCAL keeps the FLUSH out of it by which RELOAD is tried.
`FLUSH BINARY LOGS` before a new snapshot is the one statement with a lasting effect.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pymysql
from pymysql.cursors import DictCursor

from smug_platform.capture.epoch import Server
from smug_platform.capture.failures import SourceUnavailable
from smug_platform.capture.state import Mark
from smug_platform.errors import SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source, Table

_ACCESS_DENIED = (1044, 1045, 1698)
_LACKS_PRIVILEGE = (1142, 1227)
_NO_BINLOG, _WRONG_PLACE = 1381, 1220
# A transaction of one row, from its number to its commit.
_MARK_EVENTS = 5

Connection: TypeAlias = "pymysql.connections.Connection[DictCursor]"


@dataclass(frozen=True)
class Columns:
    """The columns of one table that a snapshot has to ask for in its own way.

    floats: as text the server prints them with six digits. hidden: `*` leaves them out.
    """

    floats: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@contextmanager
def connect(shard: Shard) -> Iterator[Connection]:
    """A connection to a shard; raises SourceError, and SourceUnavailable for what may pass."""
    where = f"{shard.name} at {shard.host}:{shard.port}"
    try:
        connection = pymysql.connect(
            host=shard.host,
            port=shard.port,
            user=shard.user,
            password=shard.password,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
            read_timeout=30,
            cursorclass=DictCursor,
        )
    except pymysql.err.OperationalError as error:
        if error.args[0] in _ACCESS_DENIED:
            raise SourceError(
                f"{where} refuses user {shard.user!r}",
                remedy="check SMUG_MYSQL_USER and SMUG_MYSQL_PASSWORD",
            ) from None
        raise SourceUnavailable(
            f"{where} can't be reached", remedy="start it (locally: smug up), or check its address"
        ) from None
    try:
        yield connection
    except pymysql.err.Error as error:
        raise _translate(where, error) from None
    finally:
        if connection.open:
            connection.close()


def preflight(shard: Shard, source: Source) -> Mapping[str, Columns]:
    """Check that a shard can be captured; the columns of each table that need care.

    Raises SourceError with a remedy: not reachable, wrong password, binlog off or not ROW and
    FULL, a missing privilege, a declared table or key that the source lacks.
    """
    with connect(shard) as connection:
        _check_binlog(connection, shard)
        _check_grants(connection, shard)
        return {
            table.name: _check_table(connection, shard, source, table) for table in source.tables
        }


def read_server(connection: Connection, mark: Mark | None) -> Server:
    """The identity of a server and of its binlog, compared with a mark made before."""
    identity = _one(connection, "SELECT @@server_id AS id")
    uuid = _one(connection, "SHOW GLOBAL VARIABLES LIKE 'server_uuid'")
    logs = _all(connection, "SHOW BINARY LOGS")
    return Server(
        server_id=int(identity["id"]),
        uuid=str(uuid["Value"]) if uuid else None,
        logs=[(str(log["Log_name"]), int(log["File_size"])) for log in logs],
        mark_found=_finds(connection, mark, {str(log["Log_name"]) for log in logs}),
    )


def newest_position(connection: Connection) -> tuple[str, int]:
    """Binlog file and offset where the server writes next."""
    try:
        status = _one(connection, "SHOW MASTER STATUS")
    except pymysql.err.ProgrammingError:  # MySQL 8.4 took the old name away
        status = _one(connection, "SHOW BINARY LOG STATUS")
    return str(status["File"]), int(status["Position"])


def make_mark(connection: Connection, file: str, pos: int) -> Mark | None:
    """A mark of the transaction that begins at `pos`; None when nothing whole stands there.

    The digest covers positions, types and what the server says of the first events. Among that is
    the number of the transaction, which no other history repeats at the same place.
    """
    try:
        events = _all(
            connection, f"SHOW BINLOG EVENTS IN %s FROM {int(pos)} LIMIT {_MARK_EVENTS}", (file,)
        )
    except pymysql.err.Error as error:
        if error.args[0] == _WRONG_PLACE:
            return None
        raise
    if len(events) < _MARK_EVENTS:
        return None
    told = "\n".join(f"{e['Pos']} {e['Event_type']} {e['Info']}" for e in events)
    return Mark(file, pos, hashlib.sha256(told.encode()).hexdigest())


def advance_binlog(connection: Connection) -> None:
    """Begin a new binlog file, so that the next snapshot stands after all that came before."""
    connection.cursor().execute("FLUSH BINARY LOGS")


def _finds(connection: Connection, mark: Mark | None, logs: set[str]) -> bool | None:
    if mark is None or mark.file not in logs:
        return None
    return make_mark(connection, mark.file, mark.pos) == mark


def _check_binlog(connection: Connection, shard: Shard) -> None:
    found = _one(
        connection,
        "SELECT @@global.log_bin AS log_bin, @@global.binlog_format AS format,"
        " @@global.binlog_row_image AS image",
    )
    checks = (
        (int(found["log_bin"]) == 1, "its binlog is off", "start it with log_bin"),
        (found["format"] == "ROW", f"binlog_format is {found['format']}", "set it to ROW"),
        (found["image"] == "FULL", f"binlog_row_image is {found['image']}", "set it to FULL"),
    )
    for good, problem, remedy in checks:
        if not good:
            raise SourceError(f"{shard.name}: {problem}", remedy=remedy)


def _check_grants(connection: Connection, shard: Shard) -> None:
    """Each privilege is tried by what needs it: the names of grants differ between servers."""
    tries: tuple[tuple[str, Callable[[], object]], ...] = (
        ("REPLICATION CLIENT", lambda: newest_position(connection)),
        ("REPLICATION SLAVE", lambda: _all(connection, "SHOW BINLOG EVENTS LIMIT 1")),
        ("RELOAD", lambda: connection.cursor().execute("FLUSH LOCAL STATUS")),
    )
    for privilege, attempt in tries:
        try:
            attempt()
        except pymysql.err.Error as error:
            if error.args[0] not in _LACKS_PRIVILEGE:
                raise
            raise SourceError(
                f"{shard.name}: user {shard.user!r} lacks the privilege {privilege}",
                remedy=f"GRANT {privilege} ON *.* TO that user",
            ) from None


def _check_table(connection: Connection, shard: Shard, source: Source, table: Table) -> Columns:
    found = _all(
        connection,
        "SELECT column_name AS name, data_type AS type, extra AS extra, is_nullable AS nullable"
        " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
        (source.database, table.name),
    )
    where = f"{shard.name}: table {source.database}.{table.name}"
    if not found:
        raise SourceError(
            f"{where} is declared but the source lacks it, or user {shard.user!r} may not read it",
            remedy="create it, grant SELECT on it, or take it out of smug_platform/tables",
        )
    nullable = {str(column["name"]): column["nullable"] == "YES" for column in found}
    for name in (*table.key, *table.excluded):
        if name not in nullable:
            raise SourceError(
                f"{where} has no column {name!r}",
                remedy="correct its record in smug_platform/tables",
            )
    if table.key and not _is_unique(connection, source, table, nullable):
        raise SourceError(
            f"{where}: no unique index on its declared key ({', '.join(table.key)})",
            remedy="declare the key that the source has, or key=() and key_scope='shard'",
        )
    return Columns(
        floats=tuple(str(c["name"]) for c in found if str(c["type"]).lower() == "float"),
        hidden=tuple(str(c["name"]) for c in found if "INVISIBLE" in str(c["extra"]).upper()),
    )


def _is_unique(
    connection: Connection, source: Source, table: Table, nullable: Mapping[str, bool]
) -> bool:
    indexes: dict[str, set[str]] = {}
    for row in _all(
        connection,
        "SELECT index_name AS name, column_name AS col FROM information_schema.statistics"
        " WHERE table_schema = %s AND table_name = %s AND non_unique = 0",
        (source.database, table.name),
    ):
        indexes.setdefault(str(row["name"]), set()).add(str(row["col"]))
    return set(table.key) in indexes.values() and not any(nullable[name] for name in table.key)


def _translate(where: str, error: pymysql.err.Error) -> SourceError:
    code = error.args[0] if error.args else 0
    if code == _NO_BINLOG:
        return SourceError(f"{where}: its binlog is off", remedy="start it with log_bin")
    if code in _LACKS_PRIVILEGE:
        return SourceError(f"{where}: {error.args[1]}", remedy="grant it to the capture user")
    if isinstance(error, pymysql.err.OperationalError | pymysql.err.InterfaceError):
        return SourceUnavailable(
            f"{where}: the connection was lost ({code})", remedy="check that the server is running"
        )
    return SourceError(f"{where}: {error.args[-1]}", remedy="see the server's error log")


def _all(connection: Connection, sql: str, args: Sequence[Any] = ()) -> Sequence[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args or None)
        return list(cursor.fetchall())


def _one(connection: Connection, sql: str) -> dict[str, Any]:
    rows = _all(connection, sql)
    return rows[0] if rows else {}
