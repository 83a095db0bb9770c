"""MariaDB servers as the local source shards: set up, started, loaded with Flickr's schema.

One server a shard, in a folder of its own, bound to loopback, with a row-format binlog. It says
that it is MySQL 5.7 (`--version`), because Debezium's MySQL connector then reads it as such.
Nothing is read from or written to the machine's own MariaDB configuration or data.
"""

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pymysql
from pymysql.converters import escape_string
from pymysql.cursors import Cursor

from smug_platform.errors import SourceError
from smug_platform.local.processes import Process, last_line, port_holder, spawn, wait_until
from smug_platform.settings import Shard

SCHEMA = Path(__file__).with_name("flickr.sql")
DATABASE = "flickr"
# Two set-ups at a time were seen to fail with "Unknown table 'mysql.tmp_user_sys'", 2 times in some
# hundred; this lock keeps those of one process apart, and one beside another process is repeated.
_INSTALLING, _INSTALL_TRIES = threading.Lock(), 3

# What reading the binlog takes, and no more.
_CAPTURE_RIGHTS = (
    "SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, SLAVE MONITOR,"
    " LOCK TABLES"
)
# What is wrong and what to do, by MySQL's error number: let in, but not so; not there.
_REFUSALS = {
    1044: "set SMUG_MYSQL_USER to a user that may use this database",
    1045: "set SMUG_MYSQL_USER and SMUG_MYSQL_PASSWORD to what the server knows",
}
_ABSENCES = {
    1049: "create the schema with `smug up`",
    1146: "create the schema with `smug up`",
    2003: "start it with `smug up`",
}
# Where Debian puts servers, which is not on the PATH of an ordinary user.
_SERVER_FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/libexec:/usr/local/bin"
_OPTIONS = (
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--binlog-row-image=FULL",
    "--version=5.7.10-log",
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_general_ci",
    "--default-time-zone=+00:00",
    "--expire-logs-days=7",
    "--max-allowed-packet=64M",
    # A crash of the machine may cost the last second; a killed server loses nothing.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=128M",
    "--aria-pagecache-buffer-size=8M",
    "--key-buffer-size=1M",
    "--max-connections=60",
)


def start_shard(
    shard: Shard, folder: Path, *, server_id: int, extra: Sequence[str] = ()
) -> Process:
    """Start the server of one shard, set up at the first call, and wait until it answers.

    folder: holds its data and its log. extra: more mariadbd options, which win over ours.
    The shard's user can read the binlog everywhere and do anything in databases named flickr*.

    Raises SourceError: no mariadbd on this machine, a busy port, or a server that won't start.
    """
    program = find_program("mariadbd")
    if holder := port_holder(shard.port):
        raise SourceError(
            f"{shard.name}: port {shard.port} is in use by {holder}",
            remedy="stop that, or set SMUG_MYSQL_PORT to the first of some free ports",
        )
    data, scratch = folder / "data", folder / "tmp"
    if not data.exists():
        _install(folder, data)
    scratch.mkdir(exist_ok=True)
    process = spawn(
        shard.name,
        [
            program,
            "--no-defaults",
            *_as_user(),
            f"--datadir={data}",
            # A server that starts deletes what others keep in a folder for temporary tables.
            f"--tmpdir={scratch}",
            "--socket=mariadbd.sock",  # inside datadir: a socket's whole path has 107 bytes at most
            "--pid-file=mariadbd.pid",
            f"--init-file={_write_init_file(shard, folder)}",
            f"--port={shard.port}",
            f"--server-id={server_id}",
            *_OPTIONS,
            *extra,
        ],
        log=folder / "mariadbd.log",
        port=shard.port,
    )
    wait_until(lambda: answers(shard), process, seconds=60, error=SourceError)
    return process


def find_program(name: str) -> str:
    """The path of a MariaDB program; raises SourceError when the machine has none."""
    found = shutil.which(name) or shutil.which(name, path=_SERVER_FOLDERS)
    if found is None:
        raise SourceError(
            f"{name} is not installed",
            remedy="run `apt-get install mariadb-server`, or `make setup`, which does it",
        )
    return found


def answers(shard: Shard) -> bool:
    """Whether the server takes this user's connections; raises SourceError on a wrong password."""
    try:
        _open(shard).close()
    except pymysql.OperationalError as fault:
        if fault.args[0] in _REFUSALS:
            raise source_error(shard, fault) from None
        return False
    return True


@contextlib.contextmanager
def connect(shard: Shard, *, database: str | None = None, client_flag: int = 0) -> Iterator[Cursor]:
    """A cursor on one shard, in utf8mb4 and autocommit; closed at the end.

    Raises SourceError when the server does not let us in within 10 s.
    """
    try:
        connection = _open(shard, database=database, client_flag=client_flag)
    except pymysql.MySQLError as fault:
        raise source_error(shard, fault) from None
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def _open(
    shard: Shard, *, database: str | None = None, client_flag: int = 0
) -> "pymysql.Connection[Cursor]":
    return pymysql.connect(
        host=shard.host,
        port=shard.port,
        user=shard.user,
        password=shard.password,
        database=database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=10,
        client_flag=client_flag,
    )


def source_error(shard: Shard, fault: pymysql.MySQLError) -> SourceError:
    """What went wrong on a shard, in a line, and what to do.

    >>> shard = Shard("shard_0", "127.0.0.1", 13306, "smug", "")
    >>> str(source_error(shard, pymysql.OperationalError(2003, "no answer")))
    'shard_0 (127.0.0.1:13306): no answer: start it with `smug up`'
    """
    code, *words = fault.args or (0,)
    remedy = _REFUSALS.get(code) or _ABSENCES.get(code) or "see the server's log, then try again"
    return SourceError(
        f"{shard.name} ({shard.host}:{shard.port}): {words[0] if words else fault}", remedy=remedy
    )


def load_schema(shard: Shard, *, database: str = DATABASE) -> list[str]:
    """Create what is missing of flickr.sql, and fill the reference table; returns what was made.

    Safe to repeat: a table that exists is left alone, whatever columns it has by now.
    Raises SourceError when the server does not let us in, or not do that.
    """
    try:
        with connect(shard) as cursor:
            return _load_schema(cursor, database)
    except pymysql.MySQLError as fault:
        raise source_error(shard, fault) from None


def _load_schema(cursor: Cursor, database: str) -> list[str]:
    made = []
    cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name=%s", (database,))
    if not cursor.fetchone():
        cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4")
    cursor.execute(f"USE `{database}`")
    cursor.execute("SHOW TABLES")
    present = {row[0] for row in cursor.fetchall()}
    for verb, table, statement in schema_statements():
        if verb == "CREATE TABLE" and table not in present:
            cursor.execute(statement)
            made.append(table)
        elif verb == "INSERT INTO" and not cursor.execute(f"SELECT 1 FROM `{table}` LIMIT 1"):
            cursor.execute(statement)
    return made


def schema_statements() -> list[tuple[str, str, str]]:
    """flickr.sql as (verb, table, statement).

    >>> schema_statements()[0][:2]
    ('CREATE TABLE', 'licenses')
    """
    text = re.sub(r"^--.*$", "", SCHEMA.read_text(), flags=re.MULTILINE)
    found = []
    for statement in filter(None, (part.strip() for part in re.split(r";\s*$", text, flags=re.M))):
        match = re.match(r"(CREATE TABLE|INSERT INTO) (\w+)", statement)
        if match is None:
            raise ValueError(f"{SCHEMA.name}: neither a table nor its rows: {statement[:60]!r}")
        found.append((match[1], match[2], statement))
    return found


def declared_columns(table: str) -> frozenset[str]:
    """The columns that flickr.sql gives a table.

    >>> sorted(declared_columns("order_items"))[:2]
    ['line_number', 'order_id']
    """
    statement = next(
        s for verb, t, s in schema_statements() if (verb, t) == ("CREATE TABLE", table)
    )
    return frozenset(re.findall(r"^  ([a-z_]+) ", statement, flags=re.MULTILINE))


def _install(folder: Path, data: Path) -> None:
    """Make the data folder under another name first, so that half a set-up is never started."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh, log = folder / "data.new", folder / "install.log"
    argv = [
        find_program("mariadb-install-db"),
        "--no-defaults",
        *_as_user(),
        f"--datadir=./{fresh.name}",  # the script can't take a path with blanks
        # root gets in through the socket, as this system user only, and has no password to guess
        "--auth-root-authentication-method=socket",
        f"--auth-root-socket-user={pwd.getpwuid(os.geteuid()).pw_name}",
        "--skip-test-db",
    ]
    for _ in range(_INSTALL_TRIES):
        shutil.rmtree(fresh, ignore_errors=True)
        with _INSTALLING, log.open("wb") as output:
            done = subprocess.run(
                argv, cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        if done.returncode == 0:
            break
    else:
        raise SourceError(
            f"mariadb-install-db can't set up {fresh}: {last_line(log)}",
            remedy=f"make room and writing rights there; its log is {log}",
        )
    fresh.rename(data)


def _as_user() -> list[str]:
    """The server refuses to run as root unless told so."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _write_init_file(shard: Shard, folder: Path) -> Path:
    """The accounts, made right at each start, before the server takes its first connection.

    The grants cover databases named flickr*, so that a test can have one beside.
    """
    user = f"'{escape_string(shard.user)}'@'%'"
    password = escape_string(shard.password)
    path = folder / "accounts.sql"
    path.touch(mode=0o600)
    path.write_text(
        "\n".join(
            (
                "SET SESSION sql_log_bin = 0;",
                "DELETE FROM mysql.global_priv WHERE User = '';",
                "FLUSH PRIVILEGES;",
                f"CREATE USER IF NOT EXISTS {user};",
                f"ALTER USER {user} IDENTIFIED BY '{password}';",
                f"GRANT {_CAPTURE_RIGHTS} ON *.* TO {user};",
                f"GRANT ALL ON `{DATABASE}%`.* TO {user};",
            )
        )
        + "\n"
    )
    return path
