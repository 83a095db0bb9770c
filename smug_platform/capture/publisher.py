"""From the engine's thread to the sink: batches in order, remembered once they are durable.

It runs on a thread of its own, so that Debezium reads and converts the next batch while this one
is sent. The queue between them is short: a slow stream holds the engine back, and the engine holds
back the server's binlog.
"""

import json
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import orjson

from smug_platform.capture.change import Change
from smug_platform.capture.consumer import Batch
from smug_platform.capture.failures import NOTHING_TO_DO, Renumbered
from smug_platform.capture.history import History
from smug_platform.capture.position import Position, file_number
from smug_platform.capture.sink import Sink
from smug_platform.capture.state import Mark, State
from smug_platform.capture.status import Meter
from smug_platform.capture.store import Hold

_BATCHES = 2
_TICK_SECONDS = 0.2


class Closed(Exception):
    """The publisher takes no more batches."""


class Publisher:
    """Publishes the batches of one shard, and keeps its state.

    hold: under which it is kept. What the sink raises ends it and stands in `failure`, as does a
    lease that is lost: nothing is sent any more once others may have the shard.
    """

    def __init__(
        self, hold: Hold, sink: Sink, state: State, meter: Meter, *, history: History
    ) -> None:
        self._hold, self._sink, self._meter, self._history = hold, sink, meter, history
        self._shard = shard = hold.lease.shard
        self._state = state
        self._lock = threading.Lock()
        self._queue: queue.Queue[Batch] = queue.Queue(_BATCHES)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"publish-{shard}", daemon=True)
        self._limit: tuple[int, int] | None = None
        self.has_stopped = threading.Event()
        self.failure: BaseException | None = None
        self.busy = False
        self.begun: tuple[str, int] | None = None

    @property
    def state(self) -> State:
        """What has been published."""
        return self._state

    @property
    def is_closed(self) -> bool:
        """Whether no more batches are taken."""
        return self._closed.is_set()

    @property
    def is_idle(self) -> bool:
        """Whether all that was offered is published."""
        return self._queue.unfinished_tasks == 0 and self.failure is None

    def stop_before(self, place: tuple[int, int]) -> None:
        """Publish what the stream brings before a place (binlog file's number, offset) and no more.

        `has_stopped` is set then. From there on only batches without an offset are published; the
        others are read from the binlog again, by the next start.
        """
        self._limit = self._limit or place

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def offer(self, batch: Batch) -> None:
        """Hand over the next batch; waits while the queue is full. Raises Closed."""
        while not self._closed.is_set():
            try:
                return self._queue.put(batch, timeout=_TICK_SECONDS)
            except queue.Full:
                continue
        raise Closed

    def close(self, seconds: float) -> None:
        """End after the batch under way, or without it after that many seconds.

        Batches that wait are dropped: they are read from the binlog again.
        """
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def set_mark(self, mark: Mark) -> None:
        """Remember a mark of the binlog."""
        with self._lock:
            self._state = replace(self._state, mark=mark)
            self._hold.save(self._state)

    def take_in(self, table: str) -> None:
        """Remember that a table, told as in `State.tables`, has been read and comes from now on."""
        with self._lock:
            if table not in self._state.tables:
                self._state = replace(self._state, tables=(*self._state.tables, table))
                self._hold.save(self._state)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                batch = self._queue.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                continue
            try:
                self._take(batch)
            except BaseException as error:  # noqa: BLE001  the engine's thread raises it
                self.failure = error
                self._closed.set()
            finally:
                self._queue.task_done()

    def _take(self, batch: Batch) -> None:
        """Publish a batch, or of the stream's what comes before the place where it is to stop."""
        if batch.offset is None:
            self._send(batch.changes)
        elif self._limit is None:
            self._publish(batch)
        elif not self.has_stopped.is_set():
            self._approach(batch, self._limit)

    def _approach(self, batch: Batch, limit: tuple[int, int]) -> None:
        """Publish what comes before the limit.

        Where a batch goes past it the offset stays behind it: what came before is then published
        once more by the next start, which readers bear as they do after any restart.
        """
        epoch = self._state.epoch
        before = [
            change
            for change in batch.changes
            if (at := _place(change, epoch)[0]) and (at.file, at.offset) < limit
        ]
        if len(before) < len(batch.changes):
            self._send(before)
            self.has_stopped.set()
            return
        self._publish(batch)
        file, offset = self._state.log or ("binlog.0", 0)
        if (file_number(file), offset) >= limit:
            self.has_stopped.set()

    def _send(self, changes: Sequence[Change]) -> None:
        """Publish changes that do not move the offset."""
        if not changes:
            return
        self._hold.check()
        self.busy = True
        try:
            self._sink.publish(self._shard, self._state.epoch, changes)
        finally:
            self.busy = False
        with self._lock:
            sequences = {**self._state.sequences, **self._sink.tips(self._shard)}
            self._state = replace(self._state, sequences=sequences)
            self._hold.save(self._state)

    def _publish(self, batch: Batch) -> None:
        state = self._state
        self._meter.hear(time.time())
        if batch.changes:
            position, source_time = _place(batch.changes[-1], state.epoch)
            self._check_order(state.position, position)
            self._hold.check()
            self.busy = True
            try:
                self._sink.publish(self._shard, state.epoch, batch.changes)
            finally:
                self.busy = False
            now = time.time()
            self._meter.hear(now)
            self._meter.count(position, len(batch.changes), source_time=source_time, now=now)
            sequences = {**state.sequences, **self._sink.tips(self._shard)}
            state = replace(state, position=position, sequences=sequences)
        else:
            self._meter.catch_up()
        self._meter.warm(self._sink.heat())
        self._remember(replace(state, offset=batch.offset))

    def _remember(self, state: State) -> None:
        offset = json.loads(state.offset or "{}")
        if "event" in offset:  # then its place is where a transaction begins
            self.begun = str(offset["file"]), int(offset["pos"])
        history = self._history.keep()  # before the offset that needs it
        with self._lock:
            if self._state.in_snapshot and not state.in_snapshot:
                self._meter.enter("streaming")
            self._state = replace(state, mark=self._state.mark, history=history)
            self._hold.save(self._state)

    def _check_order(self, before: Position | None, position: Position) -> None:
        if before and (position.file, position.offset) < (before.file, before.offset):
            raise Renumbered(
                f"{self._shard}: the binlog went back from {before} to {position}",
                remedy=NOTHING_TO_DO,
            )


def _place(change: Change, epoch: int) -> tuple[Position, float]:
    """The position of a change, and when the source committed it (seconds since 1970)."""
    source = orjson.loads(change.value)["source"]
    position = Position(epoch, file_number(source["file"]), source["pos"], source.get("row") or 0)
    return position, source["ts_ms"] / 1000
