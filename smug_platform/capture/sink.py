"""Where an engine puts its changes: what capture asks of the stream, which it never imports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from smug_platform.capture.change import Change
from smug_platform.capture.position import Position
from smug_platform.errors import StreamError

_TELLING = 1_000  # changes: of a few, one lane gets most by chance


@dataclass(frozen=True)
class Heat:
    """What was published lately, and the share of its bytes that went to one place.

    lane: the one that got most, of the slices that the stream is cut in; key: table and key of the
    row that got most. Shares are from 0 to 1.
    """

    records: int
    bytes: int
    lane: int
    lane_share: float
    key: str
    key_share: float


def is_hot(heat: Heat, share: float) -> bool:
    """Whether one lane got more than that share, of so much that it tells something."""
    return heat.records >= _TELLING and heat.lane_share > share


class Sink(Protocol):
    """A durable stream of changes."""

    @property
    def incarnation(self) -> str:
        """What tells this stream from another that had its name before."""

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """Return only when every change is durable in the stream, in order, as is all that was
        offered; else raise.
        """

    def offer(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """Take changes that come after those before. Some keys' may be durable before others';
        each key's are so in order. What waits is bounded.
        """

    def unsent(self, shard: str) -> int:
        """Of so many of the last calls something is not durable yet; first sends what it can."""

    def tips(self, shard: str) -> Mapping[str, str]:
        """The last sequence number this sink got for the shard's changes, by stream shard."""

    def heat(self) -> Heat | None:
        """How evenly this sink was written to lately; None when it was not."""

    def close(self) -> None:
        """Give back what it holds; called once, when nothing is being published."""


class AtOnce:
    """Of a sink in which all is durable when it returns."""

    def offer(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """Publish."""
        self.publish(shard, epoch, changes)

    def unsent(self, shard: str) -> int:
        """Nothing ever is."""
        del shard
        return 0

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """Return only when every change is durable."""
        raise NotImplementedError


@dataclass(frozen=True)
class Published:
    """How far a source shard has been published, and on which stream.

    position: of the last change; sequences: the last sequence number by stream shard.
    """

    position: Position
    incarnation: str
    sequences: Mapping[str, str]


class StreamRestarted(StreamError):
    """The stream that held the last changes is gone, or can't be reached: a new start may help."""

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(problem, remedy=remedy, passes=True)


class Landed(Protocol):
    """What the raw table holds: what capture asks of it, which it never imports."""

    def covers(self, shard: str, published: Published) -> bool:
        """Whether everything that was published of this source shard is there."""

    def epoch(self, shard: str) -> int:
        """The highest epoch of this source shard's changes, 0 without any."""


class _NothingLanded:
    def covers(self, shard: str, published: Published) -> bool:
        del shard, published
        return False

    def epoch(self, shard: str) -> int:
        del shard
        return 0


NOTHING_LANDED: Landed = _NothingLanded()
"""The `Landed` of a caller without a raw table: a lost stream is then captured anew."""
