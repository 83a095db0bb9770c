"""Sessions with Redshift: signing in by IAM, one transaction at a time, what its errors mean."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from smug_platform.errors import WarehouseError
from smug_platform.settings_warehouse import RedshiftSettings

if TYPE_CHECKING:
    from redshift_connector.core import Connection

_CONFLICTS = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_IN_THE_WAY = (
    "Serializable isolation", "concurrent transaction", "could not open relation with OID",
)  # fmt: skip
_LOAD_FAILED = ("stl_load_errors", "Spectrum Scan Error", "sys_load_error_detail")
_UNANSWERED = "Redshift does not answer"


class Conflict(Exception):
    """Another transaction came first (error 1023, a deadlock): the whole is to be tried again."""


class Lost(Exception):
    """The connection ended; whether the last statement was done is not known."""


class LoadRefused(Exception):
    """COPY could not load a file; its text is the reason as the load errors have it."""


class Session:
    """One connection, whose statements belong to a transaction until `commit`."""

    def __init__(self, settings: RedshiftSettings) -> None:
        self._connection = _sign_in(settings)

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement; none of one that has none. parameters: for its `?`.

        Raises Conflict, Lost, LoadRefused, and WarehouseError for what Redshift refuses otherwise.
        """
        with _understood(), self._connection.cursor() as cursor:
            cursor.paramstyle = "qmark"
            cursor.execute(sql, tuple(parameters) or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def alone(self, sql: str) -> None:
        """Run a statement that can't be part of a transaction; none may be open."""
        with _understood():
            self._connection.autocommit = True
            try:
                with self._connection.cursor() as cursor:
                    cursor.execute(sql)
            finally:
                self._connection.autocommit = False

    def commit(self) -> None:
        """End the transaction; raises as `ask` does."""
        with _understood():
            self._connection.commit()

    def roll_back(self) -> None:
        """Undo the transaction; raises Lost."""
        with _understood():
            self._connection.rollback()

    def reason(self) -> str:
        """Why the last COPY of this session failed, as Redshift has written it down; may be ''."""
        rows = self.ask(
            "select column_name, error_message from sys_load_error_detail"
            " where session_id = pg_backend_pid() order by start_time desc limit 1"
        )
        return ": ".join(str(each).strip() for each in rows[0] if each) if rows else ""

    def close(self) -> None:
        """End the connection, and with it an open transaction."""
        with suppress(Exception):  # it may be gone
            self._connection.close()


class Sessions:
    """Sessions that are kept open between their uses, for threads to share."""

    def __init__(self, settings: RedshiftSettings) -> None:
        self._settings = settings
        self._free: list[Session] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[Session]:
        """A session of the caller's own; what is open in it at the end is rolled back."""
        with self._lock:
            session = self._free.pop() if self._free else None
        session = session or Session(self._settings)
        try:
            yield session
            session.roll_back()
        except BaseException as error:
            if not isinstance(error, Lost):
                with suppress(Lost):
                    session.roll_back()
            session.close()
            raise
        with self._lock:
            self._free.append(session)

    def close(self) -> None:
        """End those that are free."""
        with self._lock:
            while self._free:
                self._free.pop().close()


def _sign_in(settings: RedshiftSettings) -> "Connection":
    import redshift_connector
    from botocore.exceptions import BotoCoreError, ClientError

    settings.require_host()
    place: dict[str, Any] = (
        {"is_serverless": True, "serverless_work_group": settings.workgroup}
        if settings.workgroup
        else {"cluster_identifier": settings.cluster}
    )
    try:
        with _understood():
            connection = redshift_connector.connect(
                iam=True,
                host=settings.host,
                port=settings.port,
                database=settings.database,
                db_user=settings.user,
                region=settings.region,
                ssl=True,
                sslmode="verify-full",
                application_name="smug_platform",
                **place,
            )
    except (BotoCoreError, ClientError) as error:
        raise WarehouseError(
            f"IAM gives no password for {settings.user} at Redshift: {error}",
            remedy="allow redshift:GetClusterCredentials to this role; see docs/aws.md",
        ) from error
    except Lost as error:
        raise WarehouseError(
            f"{_UNANSWERED} at {settings.host}:{settings.port}: {error}",
            remedy="see whether it is paused or resizing; what waits is loaded afterwards",
            passes=True,
        ) from error
    connection.autocommit = False
    return connection


@contextmanager
def _understood() -> Iterator[None]:
    """The driver's errors as what they mean."""
    from redshift_connector.error import Error, InterfaceError, OperationalError

    try:
        yield
    except (InterfaceError, OperationalError, OSError) as error:
        raise Lost(" ".join(str(error).split()) or type(error).__name__) from error
    except Error as error:
        raise _meaning(error) from error


def _meaning(error: Exception) -> Exception:
    said = error.args[0] if error.args and isinstance(error.args[0], dict) else {"M": str(error)}
    text = " ".join(str(said.get(part, "")).strip() for part in "MD").strip()
    is_coded = said.get("C") in _CONFLICTS or said.get("M") == "1023"
    if is_coded or any(mark in text for mark in _IN_THE_WAY):
        return Conflict(text)
    if any(mark in text for mark in _LOAD_FAILED):
        return LoadRefused(text)
    return WarehouseError(
        f"Redshift refuses: {text}", remedy="put that right; the next run goes on from there"
    )
