"""The rows that a table holds already, for schema changes and TRUNCATEs that concern them all."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.iceberg import LakeFiles
from smug_platform.lake.index import Index
from smug_platform.lake.target import Target

_TIMES = 16  # what deciding rows takes at most, of their bytes in memory


def fit(files: LakeFiles, memory: int) -> bool:
    """Whether all rows of the table may be decided at once. memory: bytes that this may take."""
    return files.rows <= _at_once(files, memory)


def stored_rows(files: LakeFiles, target: Target) -> pa.Table:
    """What decides of all rows of the table: identity, meta columns and places."""
    return files.read(_names(target))


def in_pieces(files: LakeFiles, target: Target, index: Index, memory: int) -> Iterator[pa.Table]:
    """The same of a table with a key, so many at once as memory holds.

    Which copy of a key is the live one is decided of all its copies: keys that stand on several
    shards come last, all of them at once. They are few, or all of a small table.
    """
    most = _at_once(files, memory)
    if files.rows <= most:
        yield stored_rows(files, target)
        return
    several = []
    for number in range(len(files.data)):
        rows = files.read(_names(target), [number])
        if target.table.key_scope == "global" and not target.history:
            is_several = pa.array(index.has_several(index.keys(rows).group))
            several.append(rows.filter(is_several))
            rows = rows.filter(pc.invert(is_several))
        for start in range(0, rows.num_rows, most):
            yield rows.slice(start, most)
    if any(part.num_rows for part in several):
        yield pa.concat_tables(several)


def _at_once(files: LakeFiles, memory: int) -> int:
    return max(memory // _TIMES // files.row_bytes(), 1)


def _names(target: Target) -> list[str]:
    return list(dict.fromkeys([*target.identity, *target.meta]))
