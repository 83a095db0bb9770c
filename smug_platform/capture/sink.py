"""Where an engine puts its changes: what capture asks of the stream, which it never imports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from smug_platform.capture.change import Change
from smug_platform.capture.position import Position
from smug_platform.errors import StreamError


class Sink(Protocol):
    """A durable stream of changes."""

    @property
    def incarnation(self) -> str:
        """What tells this stream from another that had its name before."""

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        """Return only when every change is durable in the stream, in order; else raise."""

    def tips(self, shard: str) -> Mapping[str, str]:
        """The last sequence number this sink got for the shard's changes, by stream shard."""

    def close(self) -> None:
        """Give back what it holds; called once, when nothing is being published."""


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


Landed = Callable[[str, Published], bool]
"""Whether everything that was published of this source shard is in the raw table."""


def nothing_landed(_shard: str, _published: Published) -> bool:
    """The `Landed` of a caller that can't tell: a lost stream is then captured anew."""
    return False
