"""What capture asks of a source server through plain SQL: its identity and its binlogs.

Nothing is written. `FLUSH BINARY LOGS` before a new snapshot is the one statement with a lasting
effect. What would stop Debezium later is found by `doctor`.
"""

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import pymysql
from pymysql.cursors import DictCursor

from smug_platform.capture.access import enter
from smug_platform.capture.epoch import Server
from smug_platform.capture.failures import SourceUnavailable
from smug_platform.capture.state import Mark
from smug_platform.capture.variables import Variables
from smug_platform.errors import SourceError
from smug_platform.settings import Shard

LACKS_PRIVILEGE = (1142, 1143, 1227)
_REFUSED = (1044, 1045, *LACKS_PRIVILEGE)
_NO_BINLOG, _WRONG_PLACE, _NO_SUCH_TABLE, _NO_SUCH_DATABASE = 1381, 1220, 1146, 1049
_LOCK_SECONDS = 10
# A transaction of one row, from its number to its commit.
_MARK_EVENTS = 5

Connection: TypeAlias = "pymysql.connections.Connection[DictCursor]"


@dataclass(frozen=True)
class Run:
    """One run of a server. It began between earliest and latest, in seconds of the monotonic clock:
    a server tells whole seconds, and an answer takes its time.
    """

    server_id: int
    earliest: float
    latest: float

    def is_same(self, other: "Run") -> bool:
        """Whether both may be one run."""
        overlap = self.earliest <= other.latest and other.earliest <= self.latest
        return self.server_id == other.server_id and overlap


@contextmanager
def connect(shard: Shard) -> Iterator[Connection]:
    """A connection to a shard; raises SourceError, and SourceUnavailable for what may pass."""
    where = f"{shard.name} at {shard.host}:{shard.port}"
    connection = enter(shard, where)
    try:
        yield connection
    except pymysql.err.Error as error:
        raise _translate(where, error) from None
    finally:
        if connection.open:
            connection.close()


def read_server(connection: Connection, mark: Mark | None) -> Server:
    """The identity of a server and of its binlog, compared with a mark made before."""
    identity = ask_one(connection, "SELECT @@server_id AS id")
    uuid = ask_one(connection, "SHOW GLOBAL VARIABLES LIKE 'server_uuid'")
    logs = ask_all(connection, "SHOW BINARY LOGS")
    return Server(
        server_id=int(identity["id"]),
        uuid=str(uuid["Value"]) if uuid else None,
        logs=[(str(log["Log_name"]), int(log["File_size"])) for log in logs],
        mark_found=_finds(connection, mark, {str(log["Log_name"]) for log in logs}),
    )


def read_variables(connection: Connection) -> Variables:
    """The server's variables, and how long RDS or Aurora keeps binlogs, which is none of them."""
    rows = ask_all(connection, "SHOW GLOBAL VARIABLES")
    found = {str(row["Variable_name"]).lower(): str(row["Value"]) for row in rows}
    try:
        hours = ask_one(
            connection,
            "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'",
        )
    except pymysql.err.MySQLError:
        return found
    return found | {"rds: binlog retention hours": str(hours.get("value") or 0)}


def newest_position(connection: Connection) -> tuple[str, int]:
    """Binlog file and offset where the server writes next."""
    try:
        status = ask_one(connection, "SHOW MASTER STATUS")
    except pymysql.err.ProgrammingError:  # MySQL 8.4 took the old name away
        status = ask_one(connection, "SHOW BINARY LOG STATUS")
    return str(status["File"]), int(status["Position"])


def read_run(connection: Connection) -> Run:
    """Which server answers, and since when it runs, by this machine's clock."""
    asked = time.monotonic()
    uptime = float(ask_one(connection, "SHOW GLOBAL STATUS LIKE 'Uptime'")["Value"])
    answered = time.monotonic()
    server_id = int(ask_one(connection, "SELECT @@server_id AS id")["id"])
    return Run(server_id, asked - uptime - 1, answered - uptime + 1)


def definition(connection: Connection, name: str) -> str | None:
    """The CREATE TABLE of a table, without what its rows change in it; None when it is not there.

    name: quoted. The default of a TIMESTAMP is told in the zone of the session: always in UTC here.
    """
    try:
        connection.cursor().execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
        told = str(ask_one(connection, f"SHOW CREATE TABLE {name}")["Create Table"])
    except pymysql.err.ProgrammingError as error:
        if error.args[0] == _NO_SUCH_TABLE:
            return None
        raise
    return re.sub(r" AUTO_INCREMENT=\d+", "", told)


def open_view(connection: Connection, shard: Shard, tables: Sequence[str]) -> tuple[str, int]:
    """Begin a transaction that sees tables as they are at one place of the binlog: that place.

    MariaDB and Percona Server tell it. Elsewhere writers are held off for as long as two statements
    take. tables: quoted. Times are UTC in this session from then on.
    """
    cursor = connection.cursor()
    cursor.execute("SET SESSION sql_mode = '', time_zone = '+00:00', net_write_timeout = 600")
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    if place := _place_of_view(connection):
        return place
    with _writers_held_off(connection, shard, tables):
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        return newest_position(connection)


def _place_of_view(connection: Connection) -> tuple[str, int] | None:
    """The place of the transaction's view; None where the server does not tell it."""
    told = ask_all(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'")
    found = {str(row["Variable_name"]).lower(): str(row["Value"]) for row in told}
    if file := found.get("binlog_snapshot_file"):
        return file, int(found["binlog_snapshot_position"])
    return None


@contextmanager
def _writers_held_off(
    connection: Connection, shard: Shard, tables: Sequence[str]
) -> Iterator[None]:
    """Hold off all that write; where that is refused (RDS, Aurora), those that write to the tables.

    The tables are locked on a connection of its own, for a transaction that begins unlocks what its
    connection has locked. Raises SourceError where both are refused.
    """
    if _locks(connection, "FLUSH TABLES WITH READ LOCK"):
        try:
            yield
        finally:
            connection.cursor().execute("UNLOCK TABLES")
        return
    with connect(shard) as other:
        if not _locks(other, f"LOCK TABLES {', '.join(f'{name} READ' for name in tables)}"):
            raise SourceError(
                f"{shard.name}: user {shard.user!r} may lock neither all tables nor those it reads",
                remedy="GRANT SELECT, LOCK TABLES ON the database TO that user, or RELOAD ON *.*",
            )
        yield
        other.cursor().execute("UNLOCK TABLES")


def _locks(connection: Connection, statement: str) -> bool:
    """Take a lock; False where the user may not."""
    cursor = connection.cursor()
    cursor.execute(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
    try:
        cursor.execute(statement)
    except pymysql.err.Error as error:
        if error.args[0] in _REFUSED:
            return False
        raise
    return True


def make_mark(connection: Connection, file: str, pos: int) -> Mark | None:
    """A mark of the transaction that begins at `pos`; None when nothing whole stands there.

    The digest covers positions, types and what the server says of the first events. Among that is
    the number of the transaction, which no other history repeats at the same place.
    """
    try:
        events = ask_all(
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


def may_select(connection: Connection, name: str) -> bool:
    """Whether this user may read a table, all of it; also when there is none. name: quoted.

    A table of which the user has no right at all is not told from one that is not there.
    """
    try:
        connection.cursor().execute(f"SELECT * FROM {name} LIMIT 0")
    except pymysql.err.Error as error:
        if error.args[0] in LACKS_PRIVILEGE:
            return False
        if error.args[0] not in (_NO_SUCH_TABLE, _NO_SUCH_DATABASE):
            raise
    return True


def count_about(connection: Connection, database: str, table: str) -> int:
    """About how many rows a table has, by the server's own statistics."""
    found = ask_all(
        connection,
        "SELECT table_rows AS count FROM information_schema.tables"
        " WHERE table_schema = %s AND table_name = %s",
        (database, table),
    )
    return int(found[0]["count"] or 0) if found else 0


def advance_binlog(connection: Connection) -> None:
    """Begin a new binlog file, so that the next snapshot stands after all that came before."""
    connection.cursor().execute("FLUSH BINARY LOGS")


def _finds(connection: Connection, mark: Mark | None, logs: set[str]) -> bool | None:
    if mark is None or mark.file not in logs:
        return None
    return make_mark(connection, mark.file, mark.pos) == mark


def _translate(where: str, error: pymysql.err.Error) -> SourceError:
    code = error.args[0] if error.args else 0
    if code == _NO_SUCH_TABLE:  # dropped since it was looked up
        return SourceUnavailable(f"{where}: {error.args[1]}", remedy="it is looked up again")
    if code == _NO_BINLOG:
        return SourceError(f"{where}: its binlog is off", remedy="start it with log_bin")
    if code in _REFUSED:
        return SourceError(f"{where}: {error.args[1]}", remedy="grant it to the capture user")
    if isinstance(error, pymysql.err.OperationalError | pymysql.err.InterfaceError):
        return SourceUnavailable(
            f"{where}: the connection was lost ({code})", remedy="check that the server is running"
        )
    return SourceError(f"{where}: {error.args[-1]}", remedy="see the server's error log")


def ask_all(connection: Connection, sql: str, args: Sequence[Any] = ()) -> Sequence[dict[str, Any]]:
    """The rows of a query, as names and values."""
    with connection.cursor() as cursor:
        cursor.execute(sql, args or None)
        return list(cursor.fetchall())


def ask_one(connection: Connection, sql: str) -> dict[str, Any]:
    """The first row of a query; empty when there is none."""
    rows = ask_all(connection, sql)
    return rows[0] if rows else {}
