"""What a merge is about to commit, gathered part after part, and its entry in the index."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table as Iceberg
from pyiceberg.table import Transaction

from smug_platform import iceberg
from smug_platform.iceberg import FILE, ROW, Change, LakeFiles
from smug_platform.lake.index import Index
from smug_platform.lake.keys import Keys, positions
from smug_platform.lake.net import Counts
from smug_platform.lake.runs import Array
from smug_platform.lake.schema import shaped

_MOST_ENTERED = 2_000_000  # rows of parts; those of more are read by the next merge


@dataclass
class Planned:
    """Rows to append, and the rows of the table that they replace.

    Rows of a part are written before the next part comes, so that memory holds one part alone. A
    batch of one part is written by the commit, together with what it replaces.
    """

    transaction: Transaction
    index: Index
    schema: Schema
    counts: Counts = field(default_factory=Counts)
    quarantined: int = 0
    refused: int = 0
    zero_dates: int = 0
    written: int = 0
    deleted: int = 0
    watermarks: dict[str, int] = field(default_factory=dict)
    _rows: pa.Table | None = None
    _replaced: list[pa.Table] = field(default_factory=list)
    _files: list[DataFile] = field(default_factory=list)
    _entries: list[tuple[Keys, tuple[Array, Array]]] = field(default_factory=list)

    @property
    def replaced(self) -> int:
        """Rows of the table that go."""
        return sum(part.num_rows for part in self._replaced)

    def add(self, rows: pa.Table, counts: Counts, *, is_part: bool) -> None:
        """Add rows, with FILE and ROW of those that they replace. is_part: there may be more."""
        self.counts += counts
        self.written += rows.num_rows
        self.deleted += pc.sum(rows["_is_deleted"]).as_py() or 0
        self._replaced.append(rows.filter(pc.is_valid(rows[FILE])).select([FILE, ROW]))
        if not is_part:
            self._rows = rows
        elif rows.num_rows:
            (file,) = iceberg.write(self.transaction, shaped(rows, self.schema))
            self._files.append(file)
            if self.written <= _MOST_ENTERED:
                self._entries.append((self.index.keys(rows), positions(rows)))

    def reach(self, watermarks: Mapping[str, int]) -> None:
        """A part has reached these positions of a table without a key."""
        for shard, position in watermarks.items():
            self.watermarks[shard] = max(position, self.watermarks.get(shard, 0))

    def change(self) -> Change:
        """All of it."""
        rows = None if self._rows is None else shaped(self._rows, self.schema)
        return Change(rows, pa.concat_tables(self._replaced), written=self._files)

    def enter(self, table: Iceberg, files: LakeFiles, snapshot_id: int) -> None:
        """Enter the rows in the index, once they are committed; as `enter` has it."""
        for file, entry in zip(self._files, self._entries, strict=False):
            self.index.add(file.file_path, *entry)
        if self._rows is not None:
            enter(self.index, table, files, snapshot_id, self._rows)


def enter(index: Index, table: Iceberg, files: LakeFiles, snapshot_id: int, rows: pa.Table) -> None:
    """Enter the rows of a commit in the index; what is not entered is read by the next merge.

    files: those before the commit. snapshot_id: the commit's own; the table may be past it.
    """
    before = {file.file_path for file in files.data}
    after = LakeFiles(table.io, table.schema(), table.snapshot_by_id(snapshot_id))
    added = [file for file in after.data if file.file_path not in before]
    if len(added) == 1:
        index.add(added[0].file_path, index.keys(rows), positions(rows))
