"""What a shard's capture is doing right now, for people: a small text on its lease.

It is written with each renewal, about once a second, and is never read to decide anything.
"""

import json
import threading
from collections import deque
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from smug_platform.capture.position import Position
from smug_platform.capture.sink import Heat
from smug_platform.stamps import known

Phase = Literal["starting", "snapshot", "streaming", "waiting", "stopped", "failed"]

_RATE_SECONDS = 5.0
# Heartbeats come every two seconds: a longer silence means that nobody knows how far behind it is.
_SILENCE_SECONDS = 10.0
_APART: tuple[Phase, ...] = ("starting", "failed")


@dataclass(frozen=True)
class Status:
    """One shard's capture at `updated_at` (seconds since 1970).

    position: of the last published change. events: published since this process began; rate:
    events a second over the last five. lag: seconds that the stream is behind the source, 0 when
    the source has nothing newer. note: why it waits or failed, or began a snapshot. heard: whether
    the source has given a sign of life to this engine. heat: how evenly the stream was written
    lately, None when it was not. reading: the table that is read, and how far it is; in_pieces:
    whether another worker would go on there. heard_at: when the source gave its last sign of life,
    to this engine or to one before it, in seconds since 1970; 0 before the first. passed_over:
    statements of no captured table that were not read so far.
    """

    shard: str
    phase: Phase = "starting"
    epoch: int = 0
    position: Position | None = None
    events: int = 0
    rate: float = 0.0
    lag: float = 0.0
    note: str = ""
    updated_at: float = 0.0
    heard: bool = False
    heat: Heat | None = None
    reading: str = ""
    in_pieces: bool = False
    heard_at: float = 0.0
    passed_over: int = 0

    def after(self, heard_at: float, *, passed_over: int = 0) -> "Status":
        """The same after engines that heard the source last then, and passed over so many
        statements: one that does not get to it is as far behind as that is ago.

        >>> Status("shard_0", "failed", updated_at=90.0).after(30.0).lag
        60.0
        """
        heard = max(self.heard_at, heard_at)
        silence = self.updated_at - heard if heard and self.phase in _APART else 0.0
        return replace(
            self,
            heard_at=heard,
            lag=max(self.lag, round(silence, 3)),
            passed_over=self.passed_over + passed_over,
        )


def encode_status(status: Status) -> str:
    """A status as JSON."""
    return json.dumps(asdict(status) | {"position": status.position and str(status.position)})


def decode_status(text: str) -> Status:
    """The status of a JSON text."""
    found = known(Status, json.loads(text))
    position, heat = found["position"], found.get("heat")
    return Status(
        **found
        | {
            "position": Position.parse(position) if position else None,
            "heat": Heat(**known(Heat, heat)) if heat else None,
        }
    )


class Meter:
    """Counts what an engine publishes, and tells the status at any moment.

    Times are seconds since 1970 and are given by the caller. Several threads tell it what they do.
    """

    def __init__(self, shard: str) -> None:
        self._lock = threading.Lock()
        self._status = Status(shard)
        self._totals: deque[tuple[float, int]] = deque([(0.0, 0)])
        self._source_time: float | None = None
        self._heard: float | None = None
        self._note = ""
        self._waits: dict[str, str] = {}

    def begin(self, phase: Phase, epoch: int, position: Position | None, *, note: str) -> None:
        """Begin where the state says; the note is of the whole run."""
        self._note = note
        self._set(phase=phase, epoch=epoch, position=position, note=note)

    def enter(self, phase: Phase, note: str | None = None) -> None:
        """Enter a phase; the note stays when none is given."""
        self._set(phase=phase, **({} if note is None else {"note": note}))

    def count(self, position: Position, events: int, *, source_time: float, now: float) -> None:
        """Count published changes; source_time: when the source committed the last of them."""
        self.add(events, now=now)
        self._source_time = source_time
        self._set(position=position)

    def add(self, events: int, *, now: float) -> None:
        """Count what was published and stands at no place of its own: rows of a snapshot."""
        with self._lock:
            total = self._status.events + events
            while len(self._totals) > 1 and self._totals[1][0] < now - _RATE_SECONDS:
                self._totals.popleft()
            self._totals.append((now, total))
            self._status = replace(self._status, events=total)

    def read_anew(self, table: str, rows: int, about: int, *, in_pieces: bool = False) -> None:
        """A table is read: rows so far, of about so many."""
        of = f" of about {about:,}" if rows < about else ""  # statistics may tell too few
        self._set(phase="snapshot", reading=f"{table}, {rows:,} rows{of}", in_pieces=in_pieces)

    def end_reading(self) -> None:
        """Nothing is read any more, and nothing waits to be."""
        self._set(phase="streaming", reading="", in_pieces=False, note=self._note)

    def wait_for(self, table: str, why: str) -> None:
        """A table waits until a person does something."""
        with self._lock:
            self._waits[table] = f"waits: {why}"

    def go_on(self, table: str) -> None:
        """A table waits no more."""
        with self._lock:
            self._waits.pop(table, None)

    def warm(self, heat: Heat | None) -> None:
        """How evenly the stream was written lately."""
        self._set(heat=heat)

    def hear(self, now: float, *, passed_over: int = 0) -> None:
        """The engine gave a sign of life: changes or a heartbeat, or statements not read."""
        self._heard = now
        if passed_over:
            self._set(passed_over=self._status.passed_over + passed_over)

    def silence(self, now: float) -> float:
        """Seconds since the last sign of life."""
        return now - self._heard if self._heard else 0.0

    def fall_behind(self, source_time: float) -> None:
        """Something that the source committed then is not published yet."""
        self._source_time = source_time

    def catch_up(self) -> None:
        """The source has nothing newer than what was counted."""
        self._source_time = None

    def read(self, now: float) -> Status:
        """The status at this moment."""
        lag = 0.0 if self._source_time is None else max(0.0, now - self._source_time)
        silence = self.silence(now) if self._status.phase == "streaming" else 0.0
        lag = max(lag, silence if silence > _SILENCE_SECONDS else 0.0)
        with self._lock:
            notes = dict.fromkeys(filter(None, (self._status.note, *self._waits.values())))
        before = [total for at, total in tuple(self._totals) if at < now - _RATE_SECONDS]
        counted = self._status.events - (before[-1] if before else 0)
        return replace(
            self._status,
            rate=round(counted / _RATE_SECONDS, 1),
            lag=round(lag, 3),
            heard=self._heard is not None,
            note="; ".join(notes),
            heard_at=self._heard or 0.0,
            updated_at=now,
        )

    def _set(self, **told: Any) -> None:
        with self._lock:
            self._status = replace(self._status, **told)
