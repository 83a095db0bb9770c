"""For how long the server still has the binlog that capture needs next.

A server purges a file that it does not write any more, once nothing in it is newer than what it
keeps. It does not tell how old a file is, so the time of the last change that capture has read
stands for it: the file is there for that long at least, and often longer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from smug_platform.capture.position import file_number
from smug_platform.capture.server import Connection, ask_all, read_variables
from smug_platform.capture.state import State
from smug_platform.capture.variables import kept_seconds

SHORT = 0.25  # of what the server keeps: when people are told


@dataclass(frozen=True)
class Gauge:
    """The binlog that is needed next. file: its name; kept: seconds that the server keeps a file
    after its last change, None for ever; left: seconds until it may purge this one, at least; None
    when it never will; is_purged: whether it is gone already.
    """

    file: str
    kept: float | None = None
    left: float | None = None
    is_purged: bool = False

    @property
    def share(self) -> float:
        """What is left of what the server keeps: 1 for all, 0 for nothing."""
        if self.is_purged or self.left is None or not self.kept:
            return 0.0 if self.is_purged or self.kept == 0 else 1.0
        return self.left / self.kept


def read_gauge(connection: Connection, state: State | None, *, now: float) -> Gauge | None:
    """The gauge of a shard at a moment (seconds since 1970); None before anything was captured."""
    if state is None:
        return None
    logs = [str(row["Log_name"]) for row in ask_all(connection, "SHOW BINARY LOGS")]
    return gauge(state, logs, kept=kept_seconds(read_variables(connection)), now=now)


def gauge(state: State, logs: Sequence[str], *, kept: float | None, now: float) -> Gauge | None:
    """The gauge, from what capture remembers and the server's binlog files, oldest first."""
    if state.log is None:
        return None
    file, _ = state.log
    if file not in logs:
        return Gauge(file, kept, 0.0, is_purged=True)
    is_written = file_number(file) == file_number(logs[-1])
    if kept is None or is_written:
        return Gauge(file, kept, kept)
    read = float(json.loads(state.offset or "{}").get("ts_sec") or 0)
    return Gauge(file, kept, min(max(read + kept - now, 0.0), kept))
