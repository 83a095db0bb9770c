"""What of a table's changes is on the stream while its rows are read beside it.

A row comes with the piece that it is read in, and its changes from there on. A change of a row
that is yet to be read is left out: the piece stands at a later place of the binlog and has what
became of it. So who adds changes up, as the live numbers do, has each row once, whenever it was
changed.

A kill may leave a piece on the stream, or a part of it, of which that is not known. It is read
again, at a later place. What is done to its rows in between is on the stream, for a row that is
deleted then comes with no piece any more; it is marked, for a row that nobody has yet would be
taken back else. Before the piece comes again every lane is told that it does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from smug_platform.capture.change import Change
from smug_platform.capture.state import State, Unread

_IN_DOUBT = b',"in_doubt":true}'


def without_unread(changes: Sequence[Change], unread: Sequence[Unread]) -> Sequence[Change]:
    """The changes without those of rows that are yet to be read; those of rows that may have been
    sent are marked.

    Where a key is no integer the order of keys is the server's alone: all changes stay.

    >>> table = Unread("t", low=("4",), high=("9",), numbers=("id",), sent=("6",))
    >>> changes = [Change("s.d.t", b'{"id":%d}' % key, b'{"op":"u"}') for key in (4, 5, 7, 9, 10)]
    >>> for change in without_unread(changes, [table]):
    ...     print(change.key.decode(), change.value.decode())
    {"id":4} {"op":"u"}
    {"id":5} {"op":"u","in_doubt":true}
    {"id":10} {"op":"u"}
    """
    tables = {one.table: one for one in unread if one.numbers}
    return list(_told(changes, tables)) if tables else changes


def _told(changes: Sequence[Change], tables: Mapping[str, Unread]) -> Iterator[Change]:
    for change in changes:
        table = tables.get(change.topic.rpartition(".")[2])
        if table is None or change.key is None or "." not in change.topic:
            yield change  # a TRUNCATE has no key
            continue
        told = orjson.loads(change.key)
        key = tuple(int(told[name]) for name in table.numbers)
        if _is_in(key, table.low) or (table.high is not None and not _is_in(key, table.high)):
            yield change
        elif _is_in(key, table.sent):
            yield change._replace(value=change.value[:-1] + _IN_DOUBT)


def _is_in(key: tuple[int, ...], last: Sequence[str] | None) -> bool:
    """Whether a key is among those up to the last."""
    return last is not None and key <= tuple(map(int, last))


def is_being_sent(state: State, *, now: Unread) -> State:
    """The state before rows are sent after which the table is read so far."""
    return _with(state, replace(_of(state, now), high=now.high, sent=_sent(state, now)))


def is_sent(state: State, *, now: Unread) -> State:
    """The state once they are on the stream."""
    return _with(state, replace(now, sent=_sent(state, now)))


def _sent(state: State, now: Unread) -> tuple[str, ...] | None:
    """Up to where rows have been sent: by this run, or by an earlier one that came further."""
    before = _of(state, now).sent
    if not now.numbers or before is None or now.low is None:
        return now.low
    return max(before, now.low, key=lambda key: tuple(map(int, key)))


def _of(state: State, now: Unread) -> Unread:
    return next((one for one in state.unread if one.table == now.table), now)


def _with(state: State, now: Unread) -> State:
    others = (now if one.table == now.table else one for one in state.unread)
    return replace(state, unread=tuple(others))


def read_again(topic: str, unread: Unread, source: Mapping[str, Any], *, at: int) -> Change:
    """What tells every lane that the rows of a table come again that were sent after so many.

    It has the form of a schema change that changes no table, so that it goes where those go.
    source: where in the binlog, as for the rows that follow. at: nanoseconds since 1970.
    """
    value = {
        "source": {**source, "table": None},
        "ts_ms": at // 10**6,
        "ts_us": at // 1000,
        "ts_ns": at,
        "databaseName": source["db"],
        "schemaName": None,
        "ddl": f"# {unread.table} is read again after {unread.rows} rows",
        "tableChanges": [],
        "read_again": {"table": unread.table, "after_rows": unread.rows},
    }
    key = orjson.dumps({"databaseName": source["db"]})
    return Change(topic, key, orjson.dumps(value))
