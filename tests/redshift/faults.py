"""Failures on demand: a connection that is cut, a conflict that another transaction makes.

faults.cut_after("commit")          # the next COMMIT is done, its answer never comes
faults.cut_before("merge into")     # the connection ends with the transaction open
faults.conflict("insert", times=2)  # 1023, as if another transaction had come first
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.redshift.errors import Refused
from tests.redshift.wire import Disconnected


def serialization_conflict(process: int = 0) -> Refused:
    """Error 1023, as Redshift words it."""
    return Refused(
        "1023",
        "XX000",
        "Serializable isolation violation on table - 0, transactions forming the cycle are: 0, 0"
        f" (pid:{process})",
    )


@dataclass
class _Fault:
    pattern: re.Pattern[str]
    kind: str
    left: int


class Faults:
    """Each applies to statements that match its pattern, from the start, in any case."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: list[_Fault] = []

    def cut_before(self, pattern: str, *, times: int = 1) -> None:
        self._add(pattern, "before", times)

    def cut_after(self, pattern: str, *, times: int = 1) -> None:
        self._add(pattern, "after", times)

    def conflict(self, pattern: str, *, times: int = 1) -> None:
        self._add(pattern, "conflict", times)

    def clear(self) -> int:
        """Forget what has not happened; returns how many."""
        with self._lock:
            left = sum(fault.left for fault in self._due)
            self._due = []
            return left

    def _add(self, pattern: str, kind: str, times: int) -> None:
        with self._lock:
            self._due.append(_Fault(re.compile(r"\s*" + pattern, re.IGNORECASE), kind, times))

    def _take(self, sql: str) -> str | None:
        with self._lock:
            for fault in self._due:
                if fault.left and fault.pattern.match(sql):
                    fault.left -= 1
                    return fault.kind
            return None

    @contextmanager
    def around(self, sql: str) -> Iterator[None]:
        """Run a statement within; raises Disconnected or Refused if it is to fail."""
        kind = self._take(sql)
        if kind == "before":
            raise Disconnected
        if kind == "conflict":
            raise serialization_conflict()
        yield
        if kind == "after":
            raise Disconnected
