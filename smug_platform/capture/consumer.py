"""What Debezium hands over: one crossing from Java to Python a batch.

A batch comes as one run of bytes that Java wrote: the offset after it, then topic, key and value of
each record, with a tab after every one, for JSON never holds a raw tab. A record without a key says
`null`, which is none. Coming back from Java a thread waits for the interpreter's lock, up to five
milliseconds while another computes: hence one crossing, and not one for each question.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from smug_platform.capture.change import CHANGED, HEARTBEAT, UNKEYED, Change
from smug_platform.capture.compiler import java_class
from smug_platform.capture.jvm import java_map
from smug_platform.capture.statements import (
    Statements,
    changed_unheard,
    is_marked,
    unmarked,
)
from smug_platform.capture.unread import is_passed, passed

_log = logging.getLogger(__name__)

_CONVERTER, _NULL = "converter.", b"null"


@dataclass(frozen=True)
class Batch:
    """What one poll of the engine brought: changes without heartbeats, and the offset after it.

    unheard: tables whose rows a schema change among them may have changed without a word.
    passed_over: statements that were not read, for they are of no captured table.
    """

    changes: Sequence[Change]
    offset: str
    unheard: tuple[str, ...] = ()
    passed_over: int = 0


class BatchReader:
    """Turns Java's records into changes. Numbers the rows that only their number tells apart.

    properties: of the engine. Schema changes of other tables than it captures, which Debezium has
    to know, are nobody else's business. statements: None where none come, in a snapshot.
    """

    def __init__(self, properties: Mapping[str, str], statements: Statements | None = None) -> None:
        tables = properties["table.include.list"]
        self._tables = re.compile(tables.replace(",", "|"))
        self._names = [name.rpartition(".")[2] for name in tables.replace("\\", "").split(",")]
        keys = properties.get("message.key.columns", "").replace("\\", "").split(";")
        self._keyed = {key.partition(":")[0].rpartition(".")[2] for key in keys}
        self._database = properties["database.include.list"].replace("\\", "")
        self._statements, self._unheard = statements, list[str]()
        self._passed_over = 0
        settings = {
            name.removeprefix(_CONVERTER): value
            for name, value in properties.items()
            if name.startswith(_CONVERTER)
        }
        self._lines = java_class("Lines")(java_map(settings))
        self._rows: dict[bytes, str] = {}
        self._number = 0

    def poll(self, task: Any) -> Batch | None:
        """What a connector's task has next; None when that is nothing now."""
        found = self._lines.next(task)
        return None if found is None else self._batch(bytes(found))

    def read(self, records: Any) -> Batch:
        """The changes of a list of records, in their order."""
        return self._batch(bytes(self._lines.write(records)))

    def _batch(self, written: bytes) -> Batch:
        offset, *fields = written.split(b"\t")
        if self._statements:  # one look at the server does for what stood in the binlog before it
            self._statements.renew()
        rows, changes = self._rows, []
        for name, key, value in zip(fields[0:-1:3], fields[1::3], fields[2::3], strict=True):
            topic = rows.get(name)
            if topic is not None and key != _NULL and value != _NULL:
                changes.append(Change(topic, key, value))
            elif (change := self._other(name.decode(), key, value)) is not None:
                changes.append(change)
        unheard, self._unheard = tuple(self._unheard), []
        passed_over, self._passed_over = self._passed_over, 0
        return Batch(changes, offset.decode(), unheard, passed_over)

    def _other(self, topic: str, key: bytes, value: bytes) -> Change | None:
        """What is not the row of a table that was met before; None for nobody's business."""
        if topic.startswith(HEARTBEAT) or value == _NULL:
            return None
        if "." not in topic:
            return self._schema_change(topic, key, value)
        is_keyed = topic.rpartition(".")[2] in self._keyed
        if is_keyed:
            self._rows[topic.encode()] = topic
        if key == _NULL or not is_keyed:  # the source may have a key that is not declared
            return Change(topic, None, value, self._next_number(value))
        return Change(topic, key, value)

    def _schema_change(self, topic: str, key: bytes, value: bytes) -> Change | None:
        """A schema change, or a statement that changed rows as a change of each of its tables; None
        where it concerns none that is captured.

        MariaDB sends a comment for what a replica of MySQL's kind does not know.
        """
        event = orjson.loads(value)
        ddl = event["ddl"]
        if is_passed(ddl):
            _log.info("%s: not read, of no captured table: %s", topic, passed(ddl))
            self._passed_over += 1
            return None
        if is_marked(ddl):
            event["ddl"], database = unmarked(ddl)
            assert self._statements is not None, "a snapshot changes no rows"
            concerned = self._statements.concerned(event["ddl"], database)
            event["tableChanges"] = self._changes(CHANGED, concerned)
            return Change(topic, key, orjson.dumps(event)) if concerned else None
        self._unheard += changed_unheard(ddl, self._names)
        changed = [change["id"].replace('"', "") for change in event["tableChanges"]]
        ours = [name.rpartition(".")[2] for name in changed if self._tables.fullmatch(name)]
        if self._statements and ours and (unkeyed := self._statements.unkeyed(ddl, ours)):
            event["tableChanges"] += self._changes(UNKEYED, unkeyed)
            value = orjson.dumps(event)
        return Change(topic, key, value) if ours or not (changed or ddl.startswith("#")) else None

    def _changes(self, kind: str, tables: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {"type": kind, "id": f'"{self._database}"."{table}"', "table": None} for table in tables
        ]

    def _next_number(self, value: bytes) -> int:
        """The number of a keyless row of a snapshot, 0 for any other change without a key."""
        if value.rfind(b'"op":"r"', -200) < 0:
            return 0
        self._number += 1
        return self._number
