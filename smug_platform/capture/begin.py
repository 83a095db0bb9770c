"""How a start of capture finds its place: state, server and files brought together.

Debezium's files are written from the state and belong to this lease alone. Killed anywhere in here,
the next start decides the same again.
"""

from dataclasses import replace
from pathlib import Path
from shutil import rmtree

from smug_platform.capture import server as source_server
from smug_platform.capture.config import (
    HISTORY,
    OFFSETS,
    TRUSTED,
    TRUSTED_PASSWORD,
    captured,
)
from smug_platform.capture.contract import read_tables
from smug_platform.capture.doctor import Checked
from smug_platform.capture.epoch import Decision, Server, Stream, decide
from smug_platform.capture.history import History
from smug_platform.capture.jvm import write_offsets, write_trusted
from smug_platform.capture.pieces import unread_of
from smug_platform.capture.sink import Landed, Sink
from smug_platform.capture.state import State
from smug_platform.capture.store import Hold
from smug_platform.settings import Shard


def begin(
    hold: Hold, folder: Path, shard: Shard, checked: Checked, sink: Sink, *, landed: Landed
) -> tuple[State, Decision, History]:
    """Put a folder into the shape in which Debezium goes on, or begins with a snapshot.

    Of that the tables that can be read in pieces are left out, and unread in the state. A table
    that this user may not read is in no snapshot, and is not captured then; where capture goes on
    it is, for the binlog asks for no right to a table.
    folder: of this lease's own, named by its counter. The virtual machine must run. Raises
    SourceError, and LeaseLost before anything was asked of the server as a replica.
    """
    _prepare(folder, shard)
    before = hold.state()
    source = checked.source
    history = History(hold, folder / HISTORY, before.history if before else ())
    with source_server.connect(shard) as connection:
        server = source_server.read_server(connection, before.mark if before else None)
        has_landed = _has_landed(shard.name, before, sink, landed)
        stream = Stream(sink.incarnation, has_landed, landed.epoch(shard.name))
        decision = decide(before, server, stream=stream, tables=captured(source))
        offset = before.offset if before else None
        if not decision.snapshot and not history.restore(offset):
            decision = Decision(decision.epoch, snapshot=True, reason="the schema history was lost")
        if decision.snapshot:
            source = checked.readable()
        state = first_state(before, server, decision, sink.incarnation, captured(source))
        if decision.snapshot:
            held = read_tables(connection, source)
            found = (unread_of(table, held.get(table.name)) for table in source.tables)
            state = replace(state, unread=tuple(one for one in found if one))
        hold.save(state)
        hold.forget_history(state.history)
        if decision.snapshot:
            history = History(hold, folder / HISTORY)
            for name in (OFFSETS, HISTORY):
                (folder / name).unlink(missing_ok=True)
            if before is not None and before.epoch == state.epoch:
                # Something of an earlier snapshot may be on the stream: this one stands after it.
                source_server.advance_binlog(connection)
        elif state.offset is not None:
            write_offsets(folder / OFFSETS, shard.name, state.offset)
    return state, decision, history


def _prepare(folder: Path, shard: Shard) -> None:
    """Make the folder, with the certificates that are trusted, and remove those of earlier leases
    on this machine: nothing counts that is written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if shard.access.ssl_ca:
        write_trusted(folder / TRUSTED, shard.access.ssl_ca, password=TRUSTED_PASSWORD)
    for other in folder.parent.iterdir():
        if other.name.isdigit() and int(other.name) < int(folder.name):
            rmtree(other, ignore_errors=True)


def _has_landed(shard: str, before: State | None, sink: Sink, landed: Landed) -> bool:
    """Whether all that was published on another stream than the sink's is in the raw table."""
    if before and before.published and before.incarnation != sink.incarnation:
        return landed.covers(shard, before.published)
    return False


def first_state(
    before: State | None,
    server: Server,
    decision: Decision,
    incarnation: str,
    tables: tuple[str, ...],
) -> State:
    """The state with which a start begins."""
    fresh = State(
        epoch=decision.epoch,
        server_id=server.server_id,
        server_uuid=server.uuid,
        incarnation=incarnation,
        tables=tables,
    )
    if before is None or before.epoch != decision.epoch:
        return fresh
    sequences = before.sequences if before.incarnation == incarnation else {}
    fresh = replace(fresh, position=before.position, sequences=sequences)
    if decision.snapshot:
        return fresh
    return replace(
        fresh,
        offset=before.offset,
        mark=before.mark,
        history=before.history,
        unread=before.unread,
        passed=before.passed,
    )
