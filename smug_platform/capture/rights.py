"""Whether the capture user may do on a shard what Debezium does.

Each privilege is tried by what needs it, for the names of grants differ between servers, and roles
and wildcards give them in many ways. Nothing is written, to the binlog neither: LOCAL keeps the
FLUSH out of it by which RELOAD is tried. Two are looked up: LOCK TABLES, which can't be tried
without waiting for whoever holds the table, and REPLICATION SLAVE on MariaDB, where nothing but
reading as a replica needs it.
"""

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

import pymysql

from smug_platform.capture.contract import quoted
from smug_platform.capture.finding import Finding
from smug_platform.capture.server import (
    LACKS_PRIVILEGE,
    Connection,
    ask_all,
    may_select,
    newest_position,
)
from smug_platform.capture.variables import Variables
from smug_platform.errors import SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_GRANT = re.compile(r"GRANT (?P<rights>.*?) ON (?P<database>\S+)\.\S+ TO ")


def find_in_rights(
    connection: Connection, shard: Shard, source: Source, *, variables: Variables
) -> Iterator[Finding]:
    """A finding for each privilege that is missing."""
    tries: tuple[tuple[str, Callable[[], object]], ...] = (
        ("REPLICATION CLIENT", lambda: newest_position(connection)),
        ("REPLICATION SLAVE", lambda: _try_as_replica(connection, variables)),
        ("RELOAD", lambda: connection.cursor().execute("FLUSH LOCAL STATUS")),
        ("SHOW DATABASES", lambda: ask_all(connection, "SHOW DATABASES")),
    )
    for privilege, attempt in tries:
        if not _may(attempt):
            yield _lacks(shard, privilege, "*.*")
    for table in source.tables:
        where = f"{quoted(source.database)}.{quoted(table.name)}"
        if not may_select(connection, where):
            yield _lacks(shard, "SELECT", where, table=table.name)
    if not _is_granted(connection, "LOCK TABLES", source.database):
        yield _cannot_lock(shard, variables)


def _try_as_replica(connection: Connection, variables: Variables) -> None:
    """MySQL asks for the privilege here too; MariaDB does not, and shows what roles give."""
    ask_all(connection, "SHOW BINLOG EVENTS LIMIT 1")
    if "gtid_domain_id" in variables and not _is_granted(connection, "REPLICATION SLAVE"):
        raise pymysql.err.OperationalError(LACKS_PRIVILEGE[-1], "it is not among the grants")


def _may(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except pymysql.err.Error as error:
        if error.args[0] not in LACKS_PRIVILEGE:
            raise
        return False
    return True


def _lacks(shard: Shard, privilege: str, where: str, *, table: str = "") -> Finding:
    on = f" on {table}" if table else ""
    return Finding(
        "blocking",
        f"privilege {privilege}",
        shard.name,
        f"{shard.name}: user {shard.user!r} lacks the privilege {privilege}{on}",
        f"GRANT {privilege} ON {where} TO that user",
        table,
    )


def lacks_select(shard: Shard, table: str, where: str) -> SourceError:
    """That the user may not read a table. where: its name, quoted."""
    finding = _lacks(shard, "SELECT", where, table=table)
    return SourceError(finding.problem, remedy=finding.remedy)


def _is_granted(connection: Connection, privilege: str, database: str = "") -> bool:
    """Whether this user has a privilege everywhere, or in a database.

    What MySQL's roles give is not shown: with a role it counts as granted.
    """
    for (grant,) in (row.values() for row in ask_all(connection, "SHOW GRANTS")):
        found = _GRANT.match(str(grant))
        if found is None:
            return True
        rights = found["rights"].split(", ")
        if {privilege, "ALL PRIVILEGES"} & set(rights) and _covers(found["database"], database):
            return True
    return False


def _covers(pattern: str, database: str) -> bool:
    r"""Whether a grant on databases of that name, with wildcards, is one on this database.

    >>> _covers("`flickr%`", "flickr"), _covers("`flickr\\_x`", "flickr"), _covers("*", "")
    (True, False, True)
    """
    name = pattern.strip("`").replace("\\_", "\0").replace("_", "?").replace("%", "*")
    return name == "*" or fnmatchcase(database, name.replace("\0", "_"))


def _cannot_lock(shard: Shard, variables: Variables) -> Finding:
    """Where FLUSH TABLES WITH READ LOCK is refused, as on RDS and Aurora, a snapshot locks table by
    table instead.
    """
    managed = variables.get("basedir", "").startswith("/rdsdbbin")
    return Finding(
        "blocking" if managed else "warning",
        "privilege LOCK TABLES",
        shard.name,
        f"{shard.name}: user {shard.user!r} lacks the privilege LOCK TABLES",
        "GRANT LOCK TABLES ON *.* TO that user: snapshots need it where the server refuses the"
        " global read lock (RDS, Aurora)",
    )
