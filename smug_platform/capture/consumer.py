"""What Debezium hands over: one crossing from Java to Python a batch.

A batch comes as one run of bytes that Java wrote: the offset after it, then topic, key and value of
each record, with a tab after every one, for JSON never holds a raw tab. A record without a key says
`null`, which is none. Coming back from Java a thread waits for the interpreter's lock, up to five
milliseconds while another computes: hence one crossing, and not one for each question.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from smug_platform.capture.change import HEARTBEAT, Change
from smug_platform.capture.compiler import java_class
from smug_platform.capture.jvm import java_map

_CONVERTER, _NULL = "converter.", b"null"


@dataclass(frozen=True)
class Batch:
    """What one poll of the engine brought: changes without heartbeats, and the offset after it."""

    changes: Sequence[Change]
    offset: str


class BatchReader:
    """Turns Java's records into changes. Numbers the rows that only their number tells apart.

    properties: of the engine. Schema changes of other tables than it captures, which Debezium has
    to know, are nobody else's business.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._tables = re.compile(properties["table.include.list"].replace(",", "|"))
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
        rows, changes = self._rows, []
        for name, key, value in zip(fields[0:-1:3], fields[1::3], fields[2::3], strict=True):
            topic = rows.get(name)
            if topic is not None and key != _NULL and value != _NULL:
                changes.append(Change(topic, key, value))
            elif (change := self._other(name.decode(), key, value)) is not None:
                changes.append(change)
        return Batch(changes, offset.decode())

    def _other(self, topic: str, key: bytes, value: bytes) -> Change | None:
        """What is not the row of a table that was met before; None for nobody's business."""
        if topic.startswith(HEARTBEAT) or value == _NULL:
            return None
        if "." not in topic:
            return Change(topic, key, value) if self._concerns(value) else None
        self._rows[topic.encode()] = topic
        if key == _NULL:
            return Change(topic, None, value, self._next_number(value))
        return Change(topic, key, value)

    def _concerns(self, value: bytes) -> bool:
        """Whether a schema change is of the database, or of one of the tables.

        MariaDB sends a comment for what a replica of MySQL's kind does not know.
        """
        event = orjson.loads(value)
        changed = [change["id"].replace('"', "") for change in event["tableChanges"]]
        if not changed:
            return not event["ddl"].startswith("#")
        return any(map(self._tables.fullmatch, changed))

    def _next_number(self, value: bytes) -> int:
        """The number of a keyless row of a snapshot, 0 for any other change without a key."""
        if value.rfind(b'"op":"r"', -200) < 0:
            return 0
        self._number += 1
        return self._number
