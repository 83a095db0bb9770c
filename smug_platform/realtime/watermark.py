"""The watermark: up to where, in the source's time, the numbers are as good as whole.

It is the time of the last change of that shard which is furthest behind. A shard that sends
nothing while the stream is read to its tip is idle, and holds nobody back. The watermark never
goes back; a change of a window that it has passed is counted all the same, and told as late.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

IDLE_SECONDS = 10.0
Heard = Mapping[str, tuple[int, float]]


def hear(changes: pa.Table, now: float) -> dict[str, tuple[int, float]]:
    """The source's time (microseconds) of the last change of each source shard, and ours."""
    shards = changes["shard"].combine_chunks().dictionary_encode()
    codes = shards.indices.to_numpy()
    times = pc.fill_null(changes["committed_at"].cast(pa.int64()), 0).to_numpy()
    names = shards.dictionary.to_pylist()
    latest = np.zeros(len(names), np.int64)
    np.maximum.at(latest, codes, times)
    return {name: (int(at), now) for name, at in zip(names, latest, strict=True)}


def together(before: Heard, more: Heard) -> dict[str, tuple[int, float]]:
    """What was heard by now.

    >>> together({"a": (7, 1.0)}, {"a": (5, 2.0)})
    {'a': (7, 2.0)}
    """
    found = dict(before)
    for shard, (at, when) in more.items():
        found[shard] = (max(at, found.get(shard, (0, 0.0))[0]), when)
    return found


def advance(watermark: int, heard: Heard, *, at_tip: bool, now: float) -> int:
    """The watermark after that. at_tip: nothing was left to read.

    >>> advance(0, {"a": (7, 100.0), "b": (9, 100.0)}, at_tip=True, now=101.0)
    7
    >>> advance(7, {"a": (7, 100.0), "b": (12, 120.0)}, at_tip=True, now=121.0)
    12
    """
    times = list(_awake(heard, now)) if at_tip else [at for at, _ in heard.values()]
    latest = min(times) if times else max((at for at, _ in heard.values()), default=0)
    return max(watermark, latest)


def _awake(heard: Heard, now: float) -> Iterable[int]:
    return (at for at, when in heard.values() if now - when < IDLE_SECONDS)
