"""A Debezium engine that runs on a thread of its own."""

import threading
from collections.abc import Callable
from typing import Any

import jpype

from smug_platform.capture.consumer import Batch, Completion, Consumer
from smug_platform.capture.failures import classify
from smug_platform.capture.jvm import java_properties, messages
from smug_platform.errors import SourceError

# And as long for the publisher: together less than Fargate gives a process to end.
_CLOSE_SECONDS = 10.0


class Debezium:
    """One engine. take: called with each batch by the engine's thread; what it raises ends it."""

    def __init__(
        self, name: str, properties: dict[str, str], take: Callable[[Batch], None]
    ) -> None:
        self.completion = Completion()
        tables = properties["table.include.list"].replace(",", "|")
        self._engine = build(properties, Consumer(take, tables), self.completion)
        self._thread = threading.Thread(target=self._engine.run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to capture."""
        self._thread.start()

    def failure(self, shard: str) -> SourceError:
        """Why it ended."""
        return classify(shard, [self.completion.message, *messages(self.completion.error)])

    def close(self) -> None:
        """End it, in bounded time; one that has ended by itself is left alone."""
        if not self.completion.done.is_set():
            threading.Thread(target=_close_quietly, args=(self._engine,), daemon=True).start()
        self._thread.join(_CLOSE_SECONDS)


def build(properties: dict[str, str], consumer: Any, completion: Completion) -> Any:
    """A Java engine, which captures while its `run` is called; consumer: a ChangeConsumer."""
    json_format = jpype.JClass("io.debezium.engine.format.Json")
    return (
        jpype.JClass("io.debezium.engine.DebeziumEngine")
        .create(json_format)
        .using(java_properties(properties))
        .using(completion)
        .notifying(consumer)
        .build()
    )


def _close_quietly(engine: Any) -> None:
    try:
        engine.close()
    except jpype.JException:  # it has just ended by itself
        return
