"""How a start of capture finds its place: state, server and files brought together.

The state is written before files are removed. Killed anywhere in here, the next start decides the
same again.
"""

import json
from dataclasses import replace
from pathlib import Path

from smug_platform.capture import server as source_server
from smug_platform.capture.config import HISTORY, OFFSETS, captured
from smug_platform.capture.epoch import Decision, Server, Stream, decide
from smug_platform.capture.jvm import write_offsets
from smug_platform.capture.sink import Landed, Sink
from smug_platform.capture.state import State, load_state, save_state
from smug_platform.settings import Shard
from smug_platform.tables.table import Source


def begin(
    folder: Path, shard: Shard, source: Source, sink: Sink, *, landed: Landed
) -> tuple[State, Decision]:
    """Put a capture folder into the shape in which Debezium goes on, or begins with a snapshot.

    The virtual machine must run. Raises SourceError.
    """
    before = load_state(folder)
    with source_server.connect(shard) as connection:
        server = source_server.read_server(connection, before.mark if before else None)
        decision = _decide(folder, before, server, source=source, sink=sink, landed=landed)
        state = first_state(before, server, decision, sink.incarnation, captured(source))
        save_state(folder, state)
        if decision.snapshot:
            for name in (OFFSETS, HISTORY):
                (folder / name).unlink(missing_ok=True)
            if state.position is not None:
                source_server.advance_binlog(connection)
        elif state.offset is not None:
            write_offsets(folder / OFFSETS, shard.name, state.offset)
    return state, decision


def _decide(
    folder: Path,
    before: State | None,
    server: Server,
    *,
    source: Source,
    sink: Sink,
    landed: Landed,
) -> Decision:
    has_landed = False
    if before and before.published and before.incarnation != sink.incarnation:
        has_landed = landed.covers(folder.name, before.published)
    stream = Stream(sink.incarnation, has_landed, landed.epoch(folder.name))
    decision = decide(before, server, stream=stream, tables=captured(source))
    if not decision.snapshot and not repair_history(folder / HISTORY):
        return Decision(decision.epoch, snapshot=True, reason="the schema history was lost")
    return decision


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
    return fresh if decision.snapshot else replace(fresh, offset=before.offset, mark=before.mark)


def repair_history(path: Path) -> bool:
    """Cut off a last line that a kill left unfinished; False when nothing is left.

    Debezium appends to the history before it hands over the changes that need it, so what is cut
    off here it will read from the binlog again.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return False
    lines = text.splitlines(keepends=True)
    if lines and not _is_whole(lines[-1]):
        lines.pop()
        path.write_text("".join(lines))
    return bool(lines)


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith("\n")
