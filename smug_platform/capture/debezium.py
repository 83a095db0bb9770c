"""A Debezium connector that is polled by a thread of ours.

Debezium's own engine hands each record to another thread and back, to be converted there, and
prepares the offset of each for a store that nothing here reads. So its connector's task runs
without it: what the engine does besides is to give it the offsets, and to stop it.
"""

# mypy: disable-error-code="untyped-decorator"

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import jpype

from smug_platform.capture.compiler import java_class
from smug_platform.capture.consumer import Batch, BatchReader
from smug_platform.capture.failures import classify
from smug_platform.capture.jvm import java_map, messages
from smug_platform.capture.statements import Statements
from smug_platform.errors import SourceError

_log = logging.getLogger(__name__)

# Statements about the server, which change no table and which Debezium's parser does not all know:
# FLUSH SSL, by which MariaDB loads another certificate, stands in the binlog.
_OF_SERVER = (r"(?is)\s*FLUSH\s.*", r"(?is)\s*ALTER\s+INSTANCE\s.*")


class Debezium:
    """One connector. take: called with each batch by its thread; what it raises ends it.

    statements: as in `BatchReader`. done: set once it has ended, by itself or by `close`.
    """

    def __init__(
        self,
        name: str,
        properties: Mapping[str, str],
        take: Callable[[Batch], None],
        *,
        statements: Statements | None = None,
    ) -> None:
        self.done = threading.Event()
        properties = {**properties, **_passed_over()}
        self._properties, self._take = properties, take
        self._error: Any = None
        self._closing = threading.Event()
        self._reader = BatchReader(properties, statements)
        self._offsets = _offsets(properties)
        self._task = _task(properties, self._offsets)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to capture."""
        self._thread.start()

    def failure(self, shard: str) -> SourceError:
        """Why it ended."""
        error = self._error
        if isinstance(error, SourceError):
            return error
        return classify(shard, messages(error) if hasattr(error, "getCause") else [repr(error)])

    def close(self, seconds: float) -> None:
        """End it, or leave it after that time; one that has ended by itself is left alone."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._poll()
        except BaseException as error:  # noqa: BLE001  told by `failure`
            self._error = error
        self.done.set()
        try:
            self._task.stop()
        except jpype.JException:  # it never began
            _log.debug("%s", self._properties["name"], exc_info=True)
        self._offsets.stop()

    def _poll(self) -> None:
        self._task.start(java_map(self._properties))
        java_class("Quiet").hush(self._task)
        while not self._closing.is_set():
            batch = self._reader.poll(self._task)
            if batch is not None:
                self._take(batch)


def _passed_over() -> dict[str, str]:
    """The property that says which statements are not looked at: those of Debezium, and ours."""
    known = jpype.JClass("io.debezium.relational.history.SchemaHistory").DDL_FILTER
    patterns = (str(known.defaultValueAsString()), *_OF_SERVER)
    return {str(known.name()): ",".join(patterns)}


def warm_up(properties: Mapping[str, str]) -> None:
    """Load what connectors need; nothing is connected to."""
    BatchReader(properties)
    java_class("Quiet")
    offsets = _offsets(properties)
    _task(properties, offsets)
    offsets.stop()


def _offsets(properties: Mapping[str, str]) -> Any:
    """A Kafka Connect OffsetBackingStore: the file in which the offset to begin at was put."""
    util = jpype.JClass("io.debezium.embedded.KafkaConnectUtil")
    in_memory = properties["offset.storage"].endswith("MemoryOffsetBackingStore")
    store = util.memoryOffsetBackingStore() if in_memory else util.fileOffsetBackingStore()
    store.configure(jpype.JClass("io.debezium.embedded.EmbeddedWorkerConfig")(java_map(properties)))
    store.start()
    return store


def _task(properties: Mapping[str, str], offsets: Any) -> Any:
    """The connector's one task, not started yet."""
    util = jpype.JClass("io.debezium.embedded.KafkaConnectUtil")
    reader = jpype.JClass("org.apache.kafka.connect.storage.OffsetStorageReaderImpl")(
        offsets,
        properties["name"],
        util.converterForOffsetStore(),
        util.converterForOffsetStore(),
    )
    connector = jpype.JClass(properties["connector.class"])()
    task = connector.taskClass().getDeclaredConstructor().newInstance()
    task.initialize(_context(properties, reader))
    return task


def _context(properties: Mapping[str, str], reader: Any) -> Any:
    """A Kafka Connect SourceTaskContext, in which the task finds the offset to begin at."""

    @jpype.JImplements("org.apache.kafka.connect.source.SourceTaskContext")
    class Context:
        @jpype.JOverride
        def configs(self) -> Any:
            return java_map(properties)

        @jpype.JOverride
        def offsetStorageReader(self) -> Any:
            return reader

        @jpype.JOverride
        def pluginMetrics(self) -> Any:
            return None

    return Context()
