"""What a shard's capture remembers: one small file, replaced atomically after each batch.

It is the only truth about how far capture is. Debezium's own offsets file is written from it before
each start, because Debezium overwrites that file in place: a kill in the middle would leave it
empty, and an empty file means a silent snapshot.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from smug_platform.capture.position import Position
from smug_platform.capture.sink import Published
from smug_platform.errors import SourceError

NAME = "state.json"


@dataclass(frozen=True)
class Mark:
    """A place in the binlog and a digest of what stands there: the same later, or another log."""

    file: str
    pos: int
    digest: str


@dataclass(frozen=True)
class State:
    """Where one shard's capture stands.

    offset: Debezium's own, as JSON; None before the first batch. position: of the last published
    change. incarnation, sequences: the stream and how far it holds this shard. tables: what is
    captured, so that a changed declaration is seen. resnapshot, renumbered: why the next start
    must begin with a snapshot, in this epoch or in the next; None when it can go on.
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
    resnapshot: str | None = None
    renumbered: str | None = None

    @property
    def in_snapshot(self) -> bool:
        """True until the snapshot has been published to its end."""
        return self.offset is None or bool(json.loads(self.offset).get("snapshot"))

    @property
    def log(self) -> tuple[str, int] | None:
        """The binlog file and offset at which capture goes on."""
        if self.offset is None:
            return None
        offset = json.loads(self.offset)
        return str(offset["file"]), int(offset["pos"])

    @property
    def published(self) -> Published | None:
        """How far this shard has been published; None before the first change."""
        if self.position is None:
            return None
        return Published(self.position, self.incarnation, self.sequences)


def load_state(folder: Path) -> State | None:
    """The state in a capture folder, None when capture never ran; raises SourceError."""
    path = folder / NAME
    try:
        found = json.loads(path.read_text())
        return _decode(found)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{path} can't be read ({error})",
            remedy="restore it, or remove the folder to capture this shard from a new snapshot",
        ) from error


def save_state(folder: Path, state: State) -> None:
    """Replace the state; a reader sees the old or the new one."""
    found = asdict(state) | {"position": state.position and str(state.position)}
    write_atomically(folder / NAME, json.dumps(found))


def note_resnapshot(folder: Path, reason: str, *, new_epoch: bool = False) -> None:
    """Make the next start begin with a snapshot."""
    state = load_state(folder)
    if state is not None and new_epoch:
        save_state(folder, replace(state, renumbered=reason))
    elif state is not None:
        save_state(folder, replace(state, resnapshot=reason))


def write_atomically(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace a file so that no one ever sees half of it.

    durable: after a power cut as well.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    with scratch.open("w") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    scratch.replace(path)


def _decode(found: dict[str, Any]) -> State:
    position, mark = found["position"], found["mark"]
    return State(
        **found
        | {
            "position": Position.parse(position) if position else None,
            "tables": tuple(found["tables"]),
            "mark": Mark(**mark) if mark else None,
        }
    )
