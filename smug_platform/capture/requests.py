"""Which table a shard's capture reads next: one that was declared since, or that is asked for.

A table that can't be read waits, in sight of the status, and has no other wait for it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from smug_platform.capture import server
from smug_platform.capture.config import captured, streamed
from smug_platform.capture.contract import quoted
from smug_platform.capture.doctor import preflight
from smug_platform.capture.failures import SourceUnavailable
from smug_platform.capture.filters import filtered
from smug_platform.capture.state import State, Unread
from smug_platform.capture.status import Meter
from smug_platform.capture.store import Hold
from smug_platform.errors import SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source, Table

_log = logging.getLogger(__name__)
_REFUSED_SECONDS = 30.0  # between two whole looks at a table, which take the server many questions


@dataclass(frozen=True)
class _Refusal:
    """When a table was looked at that can't be captured, and what was seen of it: None before it is
    looked at for the second time.
    """

    at: float
    seen: tuple[Table, str | None] | None


class Requests:
    """What is to be read of a shard while it streams.

    source: what is streamed; declared: gives what is declared at that moment.
    """

    def __init__(
        self,
        hold: Hold,
        shard: Shard,
        source: Source,
        *,
        declared: Callable[[], Source],
        meter: Meter,
    ) -> None:
        self._hold, self._shard, self._source = hold, shard, source
        self._declared, self._meter = declared, meter
        self._hidden: set[str] = set()
        self._refused: dict[str, _Refusal] = {}

    def hide(self, table: str, why: SourceError) -> None:
        """Tell of a table that is streamed and can't be read, until it can."""
        self._hidden.add(table)
        self._meter.wait_for(table, str(why))

    def next(self, state: State, *, busy: bool) -> tuple[str, int] | None:
        """The table to be read, and when that was asked; None for none at the moment.

        state: from before this call. Were it looked at after what is asked for, a table that comes
        to its end in between would be read once more. busy: what is unread there is being read.
        Returns "" where this run is to end, because less is declared than it captures.
        """
        declared, asked = self._declared(), self._hold.asked()
        if captured(streamed(declared, state.tables)) != captured(self._source):
            return "", 0
        self._hidden = {name for name in self._hidden if not self._is_readable(declared, name)}
        if busy:
            return None
        known, unread = self._source.names, {one.table for one in state.unread}
        added = [(name, asked.get(name, 0)) for name in declared.names if name not in known]
        again = [(name, at) for name, at in asked.items() if name in known and name not in unread]
        for name, at in (*added, *again):
            if self._is_readable(declared, name):
                return name, at
        return None

    def filtered(self, state: State) -> list[Unread]:
        """What of the rows that are asked for can be begun with, of each table one.

        What the source does not take, for it was altered since, is told and asked for no more.
        """
        declared, found = self._declared(), dict[str, Unread]()
        taken = {one.table for one in state.unread}
        for one in self._hold.filtered():
            name = one.table
            if name in taken or name in found or name not in self._source.names:
                continue
            if name in declared.names and self._is_readable(declared, name):
                try:
                    unread = filtered(self._shard, declared, name, one.where)
                except SourceUnavailable:
                    continue
                except SourceError as error:
                    _log.error("%s: %s is not read: %s", self._shard.name, name, error)
                    self._hold.answer(name, one.at, one.where)
                else:
                    found[name] = replace(unread, asked_at=one.at)
        return list(found.values())

    def _is_readable(self, declared: Source, name: str) -> bool:
        """Whether a table can be read and captured; says what it waits for."""
        now, before = time.monotonic(), self._refused.pop(name, None)
        try:
            seen = self._see(declared, name) if before else None
            if before and before.seen == seen and now - before.at < _REFUSED_SECONDS:
                self._refused[name] = before
                return False
            preflight(self._shard, replace(declared, tables=(declared.table(name),))).readable()
        except SourceUnavailable:
            return False
        except SourceError as error:
            self._meter.wait_for(name, str(error))
            self._refused[name] = _Refusal(now, seen)
            return False
        self._meter.go_on(name)
        return True

    def _see(self, declared: Source, name: str) -> tuple[Table, str | None]:
        """What of a table is seen at little cost: how it is declared, and how the server has it."""
        place = f"{quoted(declared.database)}.{quoted(name)}"
        with server.connect(self._shard) as connection:
            is_open = server.may_select(connection, place)
            return declared.table(name), server.definition(connection, place) if is_open else ""
