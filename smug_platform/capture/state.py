"""What a shard's capture remembers: one small text, replaced whole after each batch.

It is the only truth about how far capture is. Debezium's own offsets file is written from it before
each start, because Debezium overwrites that file in place: a kill in the middle would leave it
empty, and an empty file means a silent snapshot.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from smug_platform.capture.position import Position, file_number
from smug_platform.capture.sink import Published
from smug_platform.stamps import known, readable

FORMAT = 1


@dataclass(frozen=True)
class Mark:
    """A place in the binlog and a digest of what stands there: the same later, or another log."""

    file: str
    pos: int
    digest: str


@dataclass(frozen=True)
class Unread:
    """A table that is streamed, and whose rows are being read beside the stream.

    asked_at: when that was asked for, in nanoseconds since 1970; 0 if it was not. low, high: the
    last key that has been published and the last of all, as `images` tells them; None before the
    first. rows: published so far. numbers: the key's columns where all are integers, else empty.
    sent: up to which key rows may be on the stream; noted before they are sent.
    where: the condition of the rows that are read, "" for all.
    """

    table: str
    asked_at: int = 0
    low: tuple[str, ...] | None = None
    high: tuple[str, ...] | None = None
    rows: int = 0
    numbers: tuple[str, ...] = ()
    sent: tuple[str, ...] | None = None
    where: str = ""

    @property
    def is_in_doubt(self) -> bool:
        """Whether rows may be on the stream of which it is not known that they are."""
        return self.sent != self.low


@dataclass(frozen=True)
class State:
    """Where one shard's capture stands.

    offset: Debezium's own, as JSON; None before the first batch. position: of the last published
    change. incarnation, sequences: the stream and how far it holds this shard. tables: what is
    captured, so that a changed declaration is seen. history: the parts of the schema history that
    the offset needs. unread: tables to be read beside the stream, the first at work. passed: the
    place in the binlog before which all is published, where the stream was held up past the offset.
    resnapshot, renumbered: why the next start must begin with a snapshot, in this epoch or in the
    next; None when it can go on.
    """

    epoch: int
    server_id: int
    server_uuid: str | None
    incarnation: str
    tables: tuple[str, ...]
    offset: str | None = None
    position: Position | None = None
    sequences: Mapping[str, str] = field(default_factory=dict)
    mark: Mark | None = None
    history: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    passed: tuple[int, int] | None = None
    resnapshot: str | None = None
    renumbered: str | None = None

    @property
    def in_snapshot(self) -> bool:
        """True until Debezium's snapshot has been published to its end. It has not the rows of
        what is `unread`, which is read beside the stream then.
        """
        return self.offset is None or bool(json.loads(self.offset).get("snapshot"))

    @property
    def is_whole(self) -> bool:
        """Whether all rows of all tables have been published."""
        return not self.in_snapshot and not self.unread

    @property
    def log(self) -> tuple[str, int] | None:
        """The binlog file and offset at which capture goes on."""
        if self.offset is None:
            return None
        offset = json.loads(self.offset)
        return str(offset["file"]), int(offset["pos"])

    @property
    def place(self) -> tuple[int, int]:
        """The same as numbers that order: of the file, and the offset; zeros before the first."""
        file, offset = self.log or ("binlog.0", 0)
        return file_number(file), offset

    def due(self, reason: str, *, new_epoch: bool) -> "State":
        """The same, and the next start begins with a snapshot."""
        return replace(self, renumbered=reason) if new_epoch else replace(self, resnapshot=reason)

    @property
    def published(self) -> Published | None:
        """How far this shard has been published; None before the first change."""
        if self.position is None:
            return None
        return Published(self.position, self.incarnation, self.sequences)


def encode_state(state: State) -> str:
    """A state as JSON."""
    told = {"position": state.position and str(state.position), "format": FORMAT}
    return json.dumps(asdict(state) | told)


def decode_state(text: str) -> State:
    """The state of a JSON text; raises ValueError, TypeError or KeyError, and NewerState."""
    read = dict(json.loads(text))
    readable("the state of capture", read, FORMAT)
    found = known(State, read)
    position, mark = found["position"], found["mark"]
    return State(
        **found
        | {
            "position": Position.parse(position) if position else None,
            "tables": tuple(found["tables"]),
            "history": tuple(found["history"]),
            "mark": Mark(**known(Mark, mark)) if mark else None,
            "unread": tuple(map(_unread, found.get("unread", ()))),
            "passed": tuple(found["passed"]) if found.get("passed") else None,
        }
    )


def _unread(found: Mapping[str, Any]) -> Unread:
    texts = {
        name: None if found[name] is None else tuple(found[name])
        for name in ("low", "high", "numbers", "sent")
        if name in found
    }
    return Unread(**known(Unread, found) | texts)
