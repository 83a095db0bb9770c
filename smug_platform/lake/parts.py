"""The events of a batch, in parts where it is more than memory holds.

Such a batch is decoded piece after piece, and its events go to temporary files, one for each part:
by the hash of the row's key, or for a table without one, of its contents. So all that decides of a
row is in one part, and the JSON is decoded once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.lake.batch import Batch
from smug_platform.lake.columns import identifier
from smug_platform.lake.conflicts import hold_back
from smug_platform.lake.decode import decode
from smug_platform.lake.runs import Array
from smug_platform.lake.step import Step
from smug_platform.raw.quarantine import Refused


def decoded(
    connection: duckdb.DuckDBPyConnection, step: Step, batch: Batch
) -> Iterator[tuple[pa.Table, list[Refused]]]:
    """The events as `decode` gives them, part after part, and with the first what can't be read."""
    target, columns, dropped = step.target, step.columns, step.new.dropped
    if batch.parts == 1:
        held, back = hold_back(target, step.in_conflict, batch.held)
        events, refused = decode(connection, target, columns, held, dropped)
        yield events, back + refused
        return
    with TemporaryDirectory(prefix="smug-merge-") as folder:
        files, refused, arrived = _Files(Path(folder)), [], 0
        for piece in batch.pieces():
            held, back = hold_back(target, step.in_conflict, piece)
            events, bad = decode(connection, target, columns, held, dropped)
            number = events.schema.get_field_index("_i")
            events = events.set_column(number, "_i", pc.add(events["_i"], arrived))
            files.add(events, _part_of(connection, step, events, batch.parts))
            refused += back + bad
            arrived += piece.num_rows
        files.close()
        for part in range(batch.parts):
            yield files.read(part), [] if part else refused


def _part_of(
    connection: duckdb.DuckDBPyConnection, step: Step, events: pa.Table, parts: int
) -> Array:
    """The part that each event falls to."""
    connection.register("given", events)
    key = ", ".join(identifier(name) for name in step.target.table.key)
    hashed = f"hash({key or step.content})"
    found = connection.sql(f"select ({hashed} % {parts})::integer as part from given")
    numbers: Array = found.to_arrow_table()["part"].to_numpy()
    return numbers


@dataclass
class _Files:
    """Events in files of Arrow's IPC format, one for each part."""

    folder: Path
    _writers: dict[int, pa.ipc.RecordBatchFileWriter] = field(default_factory=dict)
    _schema: pa.Schema | None = None

    def add(self, events: pa.Table, part_of: Array) -> None:
        """Add events. part_of: the part of each."""
        self._schema = self._schema or events.schema
        events = events.cast(self._schema)  # text may come in either of Arrow's two types
        for part in np.unique(part_of):
            if part not in self._writers:
                self._writers[part] = pa.ipc.new_file(self._path(part), self._schema)
            self._writers[part].write_table(events.take(np.flatnonzero(part_of == part)))

    def close(self) -> None:
        """No more will come."""
        for writer in self._writers.values():
            writer.close()

    def read(self, part: int) -> pa.Table:
        """The events of a part, mapped into memory."""
        if part not in self._writers:
            assert self._schema is not None
            return self._schema.empty_table()
        with pa.memory_map(str(self._path(part))) as source:
            return pa.ipc.open_file(source).read_all()

    def _path(self, part: int) -> Path:
        return self.folder / f"{part}.arrow"
