"""What waits for the stream, lane by lane, and when each lane may be tried again.

A lane's next record goes only after its last was accepted, so a lane whose record is refused waits;
the others do not wait for it. Lanes that are refused together rest together, so that a stream that
takes nothing is asked once for all of them.
"""

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0


@dataclass(frozen=True, slots=True)
class Packed:
    """One stream record, ready to send. call: the number of the call that brought it."""

    lane: int
    data: bytes
    call: int = 0

    @property
    def label(self) -> str:
        """Its partition key; where it goes is said by the explicit hash key."""
        return f"lane-{self.lane:02d}"

    @property
    def size(self) -> int:
        """Its bytes, as the service counts them."""
        return len(self.data) + len(self.label)


@dataclass
class _Lane:
    waiting: deque[Packed] = field(default_factory=deque)
    refusals: int = 0
    due: float = 0.0


class Backlog:
    """Records in order, by lane. Times are the caller's, in seconds."""

    def __init__(self, lanes: int) -> None:
        self._lanes = [_Lane() for _ in range(lanes)]
        self.size = 0

    def add(self, records: Iterable[Packed]) -> None:
        """Put records behind those that wait in their lanes."""
        for packed in records:
            self._lanes[packed.lane].waiting.append(packed)
            self.size += packed.size

    def wave(self, now: float) -> list[Packed]:
        """The first record of each lane that does not rest."""
        return [lane.waiting[0] for lane in self._lanes if lane.waiting and lane.due <= now]

    def answer(self, wave: Sequence[Packed], accepted: Sequence[Packed], now: float) -> None:
        """Let go of what the stream took; back off, with full jitter, where it took nothing."""
        taken = {packed.lane for packed in accepted}
        for packed in accepted:
            lane = self._lanes[packed.lane]
            lane.waiting.popleft()
            lane.refusals, self.size = 0, self.size - packed.size
        refused = [self._lanes[packed.lane] for packed in wave if packed.lane not in taken]
        for lane in refused:
            lane.refusals += 1
        most = max((lane.refusals for lane in refused), default=0)
        longest = min(_FIRST_PAUSE * 2 ** min(most, 16), _LONGEST_PAUSE)
        due = now + random.uniform(0, longest)
        for lane in refused:
            lane.due = due

    def rest(self, now: float) -> float:
        """Seconds until the next lane may be tried."""
        waiting = [lane.due for lane in self._lanes if lane.waiting]
        return max(min(waiting, default=now) - now, 0.0)

    @property
    def oldest(self) -> int | None:
        """The number of the first call of which something waits; None when nothing does."""
        calls = [lane.waiting[0].call for lane in self._lanes if lane.waiting]
        return min(calls, default=None)
