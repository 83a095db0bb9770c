"""Go on, or begin anew: what a start of capture does, decided from state and server alone.

Binlog numbers order changes only as long as they are numbers of one history. The epoch rises when
that history ends: another server, a restore, RESET MASTER. Where the history goes on but a piece
of it can't be had (purged, drifted, lost with the stream), the snapshot is taken in the same
epoch: it stands after everything published before, and readers take it as a floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from smug_platform.capture.position import file_number
from smug_platform.capture.state import State


@dataclass(frozen=True)
class Server:
    """What tells a server and its binlog from another.

    uuid: None where the server has none (MariaDB). logs: its binlog files, oldest first, with
    their sizes. mark_found: whether the events at the state's mark are still those; None when
    that can't be told.
    """

    server_id: int
    uuid: str | None
    logs: Sequence[tuple[str, int]]
    mark_found: bool | None = None


@dataclass(frozen=True)
class Stream:
    """The stream that is published to, and what came of it.

    landed: whether all that was published on the state's stream is in the raw table; matters only
    when that stream is another. epoch: the highest that raw has of this source shard, 0 if none.
    """

    incarnation: str
    landed: bool = False
    epoch: int = 0


@dataclass(frozen=True)
class Decision:
    """How a start begins.

    snapshot: forget offsets and history and read the tables anew. reason: why, "" where there is
    nothing to tell.
    """

    epoch: int
    snapshot: bool
    reason: str = ""


def decide(
    state: State | None, server: Server, *, stream: Stream, tables: tuple[str, ...]
) -> Decision:
    """What to do at start. tables: those that are to come with the stream.

    A state that was lost, or one from before what raw holds, says nothing of the binlogs since:
    their numbers may have begun anew, so a new epoch begins above raw's.

    >>> decide(None, Server(1, None, [("binlog.000001", 400)]), stream=Stream("a"), tables=())
    Decision(epoch=1, snapshot=True, reason='')
    """
    if state is None:
        return Decision(stream.epoch + 1, snapshot=True, reason=_lost(stream))
    if state.epoch < stream.epoch:
        reason = f"the state is of epoch {state.epoch}, raw has epoch {stream.epoch} already"
        return Decision(stream.epoch + 1, snapshot=True, reason=reason)
    if state.in_snapshot and state.position is None:
        return Decision(state.epoch, snapshot=True)
    if reason := _other_history(state, server):
        return Decision(state.epoch + 1, snapshot=True, reason=reason)
    if reason := _gap(state, server, stream, tables):
        return Decision(state.epoch, snapshot=True, reason=reason)
    return Decision(state.epoch, snapshot=False)


def _lost(stream: Stream) -> str:
    return f"the state was lost, raw has epoch {stream.epoch}" if stream.epoch else ""


def _other_history(state: State, server: Server) -> str:
    """Why the server's binlog is not the one the state speaks of."""
    if state.renumbered:
        return state.renumbered
    if state.server_uuid and server.uuid and state.server_uuid != server.uuid:
        return f"another server (uuid {server.uuid}, was {state.server_uuid})"
    if state.server_id != server.server_id:
        return f"another server (server_id {server.server_id}, was {state.server_id})"
    if state.log is None or not server.logs:
        return ""
    file, pos = state.log
    newest, size = server.logs[-1]
    if (file_number(file), pos) > (file_number(newest), size):
        return f"the binlog numbering began anew ({newest}:{size}, captured up to {file}:{pos})"
    if any(name == file and pos > end for name, end in server.logs):
        return f"{file} ends before {pos}, up to where it was captured"
    if server.mark_found is False:
        return f"{file} holds other events than those that were captured"
    return ""


def _gap(state: State, server: Server, stream: Stream, tables: tuple[str, ...]) -> str:
    """Why the same history can't simply go on."""
    if state.resnapshot:
        return state.resnapshot
    if state.in_snapshot:
        return "the snapshot did not get to its end"
    if state.log and state.log[0] not in {name for name, _ in server.logs}:
        return f"binlog {state.log[0]} was purged before it was captured"
    if not set(tables) <= set(state.tables):
        return "the declared tables are not those that were captured"
    if state.incarnation != stream.incarnation and not stream.landed:
        return "the stream lost changes that had not landed"
    return ""
