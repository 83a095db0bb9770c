"""Where Debezium hands over its batches: one crossing from Java to Python a batch.

A batch comes as one string that Java joined. JSON never holds a raw tab or newline, so fields are
separated by tabs and records by newlines; a record without a key says `null`, which no key is.
"""

# mypy: disable-error-code="untyped-decorator"

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jpype
import orjson

from smug_platform.capture.change import HEARTBEAT, Change


@dataclass(frozen=True)
class Batch:
    """What one call of the engine brought: changes without heartbeats, and the offset after it."""

    changes: Sequence[Change]
    offset: str


@jpype.JImplements("io/debezium/engine/DebeziumEngine$ChangeConsumer", deferred=True)
class Consumer:
    """Debezium's ChangeConsumer.

    It never marks a record for Debezium: how far capture is stands in the state alone, which is
    written once a batch is published. tables: a pattern of `database.table`; schema changes of
    other tables, which Debezium has to know, are nobody else's business.
    """

    def __init__(self, handle: Callable[[Batch], None], tables: str = ".*") -> None:
        self._handle = handle
        self._reader = BatchReader(tables)

    @jpype.JOverride
    def handleBatch(self, records: Any, _committer: Any) -> None:
        """Called by the engine's thread; what it raises ends the engine."""
        self._handle(self._reader.read(records))

    @jpype.JOverride
    def supportsTombstoneEvents(self) -> bool:
        """Tombstones are off; if one came it would be skipped, as it says nothing new."""
        return True


@jpype.JImplements("io/debezium/engine/DebeziumEngine$CompletionCallback", deferred=True)
class Completion:
    """Keeps how the engine ended: `error` is the Java exception, None after a clean end."""

    def __init__(self) -> None:
        self.error: Any = None
        self.message = ""
        self.done = threading.Event()

    @jpype.JOverride
    def handle(self, success: bool, message: Any, error: Any) -> None:
        """Called once by the engine's thread."""
        self.message = "" if success else str(message)
        self.error = error
        self.done.set()


class BatchReader:
    """Turns Java's records into changes. Numbers the rows that only their number tells apart."""

    def __init__(self, tables: str) -> None:
        self._tables = re.compile(tables)
        self._line = _line_function()
        self._joining = jpype.JClass("java.util.stream.Collectors").joining("\n")
        self._mapper = jpype.JClass("com.fasterxml.jackson.databind.ObjectMapper")()
        self._number = 0

    def read(self, records: Any) -> Batch:
        """The changes of a batch in their order."""
        last = records.get(records.size() - 1)
        text = str(records.stream().map(self._line).collect(self._joining))
        offset = str(self._mapper.writeValueAsString(last.sourceRecord().sourceOffset()))
        changes = []
        for line in text.split("\n"):
            topic, key, value = line.split("\t")
            if topic.startswith(HEARTBEAT) or value == "null":
                continue
            if "." not in topic and not self._concerns(value):
                continue
            if key == "null":
                changes.append(Change(topic, None, value, self._next_number(value)))
            else:
                changes.append(Change(topic, key, value))
        return Batch(changes, offset)

    def _concerns(self, value: str) -> bool:
        """Whether a schema change is of the database, or of one of the tables.

        MariaDB sends a comment for what a replica of MySQL's kind does not know.
        """
        event = orjson.loads(value)
        changed = [change["id"].replace('"', "") for change in event["tableChanges"]]
        if not changed:
            return not event["ddl"].startswith("#")
        return any(map(self._tables.fullmatch, changed))

    def _next_number(self, value: str) -> int:
        """The number of a keyless row of a snapshot, 0 for any other change without a key."""
        if value.rfind('"op":"r"', -200) < 0:
            return 0
        self._number += 1
        return self._number


def _line_function() -> Any:
    """A java.util.function.Function from a change event to `destination TAB key TAB value`.

    It is made of method handles, so that no record crosses into Python by itself.
    """
    invoke = jpype.JPackage("java").lang.invoke
    text, thing = jpype.JClass("java.lang.String"), jpype.JClass("java.lang.Object")
    event = jpype.JClass("io.debezium.engine.ChangeEvent")
    lookup = invoke.MethodHandles.publicLookup()
    get = invoke.MethodType.methodType
    fields = [
        lookup.findVirtual(event, "destination", get(text)),
        lookup.findVirtual(event, "key", get(thing)),
        lookup.findVirtual(event, "value", get(thing)),
    ]
    joined = get(text, [thing.class_, thing.class_, thing.class_])
    concat = invoke.StringConcatFactory.makeConcatWithConstants(
        invoke.MethodHandles.lookup(), "line", joined, "\u0001\t\u0001\t\u0001"
    ).getTarget()
    fields[0] = fields[0].asType(get(thing, [event.class_]))
    line = invoke.MethodHandles.filterArguments(concat, 0, fields)
    same = get(text, [event.class_])
    line = invoke.MethodHandles.permuteArguments(line, same, [0, 0, 0])
    function = jpype.JClass("java.util.function.Function")
    return invoke.MethodHandleProxies.asInterfaceInstance(function, line)
