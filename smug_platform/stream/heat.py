"""How evenly the stream is written: what of it goes to one lane, and to one key.

A lane lies in one stream shard, which takes 1 MB/s: a key that everything goes to can't be spread,
whatever number of shards there is. So people are told. Counted are bytes before packing, of the
last one to two minutes; of a large batch a sample, for counting each change of a busy stream under
its key took a third of the time of publishing it.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from smug_platform.capture.change import Change
from smug_platform.capture.sink import Heat
from smug_platform.stream.lanes import LANES

_WINDOW_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_SAMPLE = 256
_MOST_KEYS, _KEPT_KEYS = 20_000, 1_000  # a key that is hot stays among those kept


def sample(changes: Sequence[Change]) -> Iterator[tuple[Change, int]]:
    """Some changes of a batch, and how many each stands for: all of a small one, one by one.

    >>> [times for _, times in sample([Change("s.d.t", None, b"{}")] * 3)]
    [1, 1, 1]
    """
    times = max(1, len(changes) // _SAMPLE)
    taken = changes if times == 1 else random.sample(changes, len(changes) // times)
    return ((change, times) for change in taken)


@dataclass
class _Window:
    began: float
    records: int = 0
    lanes: list[int] = field(default_factory=lambda: [0] * LANES)
    keys: dict[tuple[str, bytes | None], int] = field(default_factory=dict)


class Thermometer:
    """Counts what is published. One thread at a time. clock: seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before, self._now = _Window(float("-inf")), _Window(clock())
        self._read = float("-inf")
        self._heat: Heat | None = None

    def count(self, change: Change, lane: int, size: int, times: int = 1) -> None:
        """Count a change of so many bytes, which stands for so many."""
        window = self._now
        size *= times
        window.records += times
        window.lanes[lane] += size
        key = change[:2]
        window.keys[key] = window.keys.get(key, 0) + size

    def read(self) -> Heat | None:
        """What was counted lately, None when nothing was; a second old at most."""
        now = self._clock()
        if now - self._read >= _LOOK_SECONDS:
            self._turn(now)
            self._read, self._heat = now, self._look()
        return self._heat

    def _turn(self, now: float) -> None:
        if now - self._now.began >= _WINDOW_SECONDS:
            is_next = now - self._now.began < 2 * _WINDOW_SECONDS
            self._before = self._now if is_next else _Window(now)
            self._now = _Window(now)
        for window in (self._before, self._now):
            if len(window.keys) > _MOST_KEYS:
                window.keys = dict(Counter(window.keys).most_common(_KEPT_KEYS))

    def _look(self) -> Heat | None:
        lanes = [sum(pair) for pair in zip(self._before.lanes, self._now.lanes, strict=True)]
        total = sum(lanes)
        if not total:
            return None
        lane = max(range(LANES), key=lanes.__getitem__)
        (((topic, key), size),) = (
            Counter(self._before.keys) + Counter(self._now.keys)
        ).most_common(1)
        name = topic.rpartition(".")[2]
        return Heat(
            records=self._before.records + self._now.records,
            bytes=total,
            lane=lane,
            lane_share=lanes[lane] / total,
            key=f"{name} {key.decode()}" if key else name,
            key_share=size / total,
        )
