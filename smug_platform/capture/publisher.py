"""From the engine's thread to the sink: batches in order, remembered once they are durable.

It runs on a thread of its own, so that Debezium reads and converts the next batch while this one
is sent. The queue between them is short: a slow stream holds the engine back, and the engine holds
back the server's binlog. What the stream refuses of some keys holds back no others: batches go on,
and are remembered in their order as they become durable. A kill before that has them sent again.
"""

import json
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from smug_platform.capture.change import Change
from smug_platform.capture.consumer import Batch
from smug_platform.capture.history import History
from smug_platform.capture.places import changes_before, check_order, place_of
from smug_platform.capture.position import Position
from smug_platform.capture.sink import Sink
from smug_platform.capture.state import State
from smug_platform.capture.status import Meter
from smug_platform.capture.store import Hold
from smug_platform.capture.walk import without_unread

_log = logging.getLogger(__name__)

_BATCHES, _TICK_SECONDS, _SHORT_SECONDS = 2, 0.05, 0.002
_HERE = (0, 0)
_Step = Callable[[State], State]


class Closed(Exception):
    """The publisher takes no more batches."""


def _as_it_is(state: State) -> State:
    return state


@dataclass(frozen=True)
class _Offered:
    """A batch that is to be remembered once the sink's calls up to `call` are durable.

    position: of its last change, None without any; at: when the source committed that (seconds).
    """

    call: int
    offset: str
    events: int = 0
    position: Position | None = None
    at: float = 0.0


class Publisher:
    """Publishes the batches of one shard, and keeps its state.

    hold: under which it is kept. What the sink raises ends it and stands in `failure`, as does a
    lease that is lost: the sink is called no more once others may have the shard. calls: to it.
    """

    def __init__(
        self, hold: Hold, sink: Sink, state: State, meter: Meter, *, history: History
    ) -> None:
        self._hold, self._sink, self._meter, self.history = hold, sink, meter, history
        self._shard = shard = hold.lease.shard
        self._state = state
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._queue: queue.Queue[Batch] = queue.Queue(_BATCHES)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"publish-{shard}", daemon=True)
        self._rows: queue.Queue[tuple[Sequence[Change], _Step, _Step]] = queue.Queue(_BATCHES)
        self._limit: tuple[int, int] | None = None
        self._rest: Batch | None = None
        self._held_at: tuple[int, int] | None = None
        self.has_stopped = threading.Event()
        self.failure: BaseException | None = None
        self._sends, self.calls, self._ahead = False, 0, deque[_Offered]()
        self._position = state.position
        self.begun: tuple[str, int] | None = None

    @property
    def state(self) -> State:
        """What has been published."""
        return self._state

    @property
    def busy(self) -> bool:
        """Whether the sink is at work, or has something that is not durable yet."""
        return self._sends or self.is_behind

    @property
    def is_behind(self) -> bool:
        """Whether the sink has taken something that is not durable yet."""
        return bool(self._ahead)

    @property
    def is_closed(self) -> bool:
        """Whether no more batches are taken."""
        return self._closed.is_set()

    @property
    def is_idle(self) -> bool:
        """Whether all rows that were offered are published."""
        return self._rows.unfinished_tasks == 0 and self.failure is None

    def stop_before(self, place: tuple[int, int] = _HERE) -> None:
        """Publish what the stream brings before a place (binlog file's number, offset) and no more.

        place: by default where the stream is. `has_stopped` is set once all before it is durable,
        and there the rows are published that were offered. What comes then waits for `go_on`.
        """
        with self._turn:
            self.has_stopped.clear()
            self._limit = place

    def go_on(self) -> None:
        """Let the stream go on from where it stopped."""
        with self._turn:
            self._limit = None

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

    def offer_rows(
        self, changes: Sequence[Change], then: _Step = _as_it_is, *, before: _Step = _as_it_is
    ) -> None:
        """Hand over rows that stand where the stream stops; waits while enough are waiting.

        then: what is remembered once they are published; before: before they are. Raises Closed.
        """
        while not self._closed.is_set():
            try:
                return self._rows.put((changes, then, before), timeout=_TICK_SECONDS)
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

    def remember(self, then: Callable[[State], State]) -> None:
        """Remember something that is not published: a mark of the binlog, say."""
        with self._lock:
            before, self._state = self._state, then(self._state)
            if self._state != before:
                self._hold.save(self._state)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._step()
            except queue.Empty:
                continue
            except BaseException as error:  # noqa: BLE001  the engine's thread raises it
                self.failure = error
                self._closed.set()

    def _step(self) -> None:
        """Publish the next that may be: of the stream, or rows while it stands. Raises Empty."""
        self._settle()
        with self._turn:  # rows that are offered once a place was given are not taken before it
            limit = self._limit
            stands = limit is not None and (self._held_at == limit or self.reached >= limit)
            is_there = stands and not self._ahead
            rows = self._rows.get_nowait() if is_there and not self._rows.empty() else None
            if is_there:
                self.has_stopped.set()
        if rows is not None and limit is not None:
            changes, then, first = rows
            self.remember(lambda state: first(replace(state, passed=limit)))
            self._send(changes, then)
            self._rows.task_done()
            return
        if stands:
            self._closed.wait(_SHORT_SECONDS)
            return
        batch = self._rest or self._queue.get(timeout=_TICK_SECONDS)
        changes, epoch = batch.changes, self._state.epoch
        before = changes if limit is None else changes_before(changes, limit, epoch)
        is_past = limit is not None and replace(self._state, offset=batch.offset).place > limit
        if len(before) == len(changes) and not is_past:
            self._rest = self._held_at = None
            self._publish(batch)
        elif self._ahead:  # were it sent to the end here, `go_on` would be waited for in vain
            self._rest = batch
            self._closed.wait(_TICK_SECONDS)
        else:
            # The offset stays. What came before comes twice if this run ends here, and a table that
            # is streamed from the place on has its changes: an offset also passes what nobody takes
            self._send(self._due(before))
            self._rest, self._held_at = replace(batch, changes=changes[len(before) :]), limit

    @property
    def reached(self) -> tuple[int, int]:
        """Up to where the stream has been published: binlog file's number, offset."""
        return self._state.place

    def _due(self, changes: Sequence[Change]) -> Sequence[Change]:
        """What of the stream's changes is to be published: not what an earlier run has sent whose
        offset did not get so far, and not what becomes of rows that are yet to be read.
        """
        passed, epoch = self._state.passed, self._state.epoch
        if passed is not None and self._state.place < passed and changes:
            changes = changes[len(changes_before(changes, passed, epoch)) :]
        return without_unread(changes, self._state.unread)

    def _send(self, changes: Sequence[Change], then: _Step = _as_it_is) -> None:
        """Publish changes that do not move the offset; all that was offered before is durable."""
        self._hold.check()
        if changes:
            self._sends = True
            try:
                self._sink.publish(self._shard, self._state.epoch, changes)
            finally:
                self._sends = False
            self.calls += 1
        with self._lock:
            sequences = {**self._state.sequences, **self._sink.tips(self._shard)}
            self._state = then(replace(self._state, sequences=sequences))
            self._hold.save(self._state)

    def _publish(self, batch: Batch) -> None:
        state = self._state
        self._meter.hear(time.time(), passed_over=batch.passed_over)
        for table in batch.unheard:  # before the offset that passes it
            _log.warning("%s: %s changed without row events, and is read anew", self._shard, table)
            self._hold.ask(table)
        if batch.changes:
            position, at = place_of(batch.changes[-1], state.epoch)
            check_order(self._shard, self._position, position)
            self._hold.check()
            self._sends = True
            try:
                self._sink.offer(self._shard, state.epoch, self._due(batch.changes))
            finally:
                self._sends = False
            self.calls, self._position = self.calls + 1, position
            self._meter.hear(time.time())
            offered = _Offered(self.calls, batch.offset, len(batch.changes), position, at)
        else:
            offered = _Offered(self.calls, batch.offset)
        self._meter.warm(self._sink.heat())
        self._ahead.append(offered)
        self._settle()

    def _settle(self) -> None:
        """Remember the batches that have become durable, in their order."""
        if self._ahead:
            self._hold.check()  # what waits is sent by `unsent`
        durable = self.calls - self._sink.unsent(self._shard)
        while self._ahead and self._ahead[0].call <= durable:
            offered = self._ahead[0]
            if (position := offered.position) is None:
                self._meter.catch_up()
            else:
                self._meter.count(position, offered.events, source_time=offered.at, now=time.time())
            self._remember(offered)
            self._ahead.popleft()
        if self._ahead:
            self._meter.fall_behind(self._ahead[0].at)

    def _remember(self, offered: _Offered) -> None:
        offset = json.loads(offered.offset)
        if "event" in offset:  # then its place is where a transaction begins
            self.begun = str(offset["file"]), int(offset["pos"])
        history = self.history.keep()  # before the offset that needs it
        tips = self._sink.tips(self._shard) if offered.position else {}
        with self._lock:
            now = self._state
            state = replace(
                now,
                offset=offered.offset,
                position=offered.position or now.position,
                sequences={**now.sequences, **tips},
                history=history,
            )
            if now.in_snapshot and not state.in_snapshot and not state.unread:
                self._meter.enter("streaming")
            self._state = state
            self._hold.save(state)
