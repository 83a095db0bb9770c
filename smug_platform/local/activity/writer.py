"""One shard's writer: a thread with a connection that carries out work in the order it is given."""

from collections.abc import Callable, Iterator, Sequence
from queue import Empty, Full, Queue
from threading import Event, Thread

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor

from smug_platform.local.activity.move import GivenUpError
from smug_platform.local.mariadb import DATABASE, connect, source_error
from smug_platform.settings import Shard

Work = Callable[[Cursor], int]

# Statements go to the server in packets: one round trip for many updates.
_PACKET_BYTES, _PACKET_STATEMENTS = 1_000_000, 200
# How far the planning may be ahead of the writing.
_AHEAD = 8


class Writer:
    """Writes to one shard until it is told to finish. failed: shared by all writers of a run."""

    def __init__(self, shard: Shard, *, failed: Event) -> None:
        self._shard, self._failed = shard, failed
        self._queue: Queue[Work | None] = Queue(_AHEAD)
        self._thread = Thread(target=self._run, name=f"workload-{shard.name}", daemon=True)
        self.rows = 0
        self.fault: Exception | None = None
        self._thread.start()

    def put(self, work: Work | None) -> None:
        """Give it work, waiting while it has enough; dropped when a writer has failed."""
        while not self._failed.is_set():
            try:
                return self._queue.put(work, timeout=0.1)
            except Full:
                continue
        return None

    def join(self) -> None:
        """Wait until all is written; the fault, if any, stands in `fault` then."""
        self.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            with connect(
                self._shard, database=DATABASE, client_flag=CLIENT.MULTI_STATEMENTS
            ) as cursor:
                cursor.execute("SET time_zone='+00:00'")
                while (work := self._next()) is not None:
                    self.rows += work(cursor)
        except GivenUpError:
            pass
        except pymysql.MySQLError as fault:
            self.fault = source_error(self._shard, fault)
            self._failed.set()
        except Exception as fault:  # noqa: BLE001 - handed to the caller's thread, which raises it
            self.fault = fault
            self._failed.set()

    def _next(self) -> Work | None:
        while not self._failed.is_set():
            try:
                return self._queue.get(timeout=0.1)
            except Empty:
                continue
        return None


def commit(statements: Sequence[str]) -> Work:
    """The work of carrying out statements as one transaction; it returns the rows changed."""

    def work(cursor: Cursor) -> int:
        return sum(_send(cursor, packet) for packet in packets(["BEGIN", *statements, "COMMIT"]))

    return work


def packets(statements: Sequence[str]) -> Iterator[str]:
    """Statements joined into packets of bounded size, in order.

    >>> list(packets(["BEGIN", "COMMIT"]))
    ['BEGIN;COMMIT']
    """
    gathered: list[str] = []
    size = 0
    for statement in statements:
        if gathered and (
            size + len(statement) > _PACKET_BYTES or len(gathered) >= _PACKET_STATEMENTS
        ):
            yield ";".join(gathered)
            gathered, size = [], 0
        gathered.append(statement)
        size += len(statement)
    if gathered:
        yield ";".join(gathered)


def _send(cursor: Cursor, packet: str) -> int:
    changed = cursor.execute(packet)
    while cursor.nextset():
        changed += cursor.rowcount
    return changed
