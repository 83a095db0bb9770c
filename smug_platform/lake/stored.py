"""The rows that a table holds already, for schema changes and TRUNCATEs that concern them all."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from smug_platform.iceberg import LakeFiles
from smug_platform.lake.index import Index
from smug_platform.lake.runs import Array
from smug_platform.lake.target import Target

_TIMES = 16  # what deciding rows takes at most, of their bytes in memory
_ODD = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing, Knuth 6.4: 2^64 over the golden ratio


def fit(files: LakeFiles, memory: int) -> bool:
    """Whether all rows of the table may be decided at once. memory: bytes that this may take."""
    return pieces_of(files, memory) == 1


def pieces_of(files: LakeFiles, memory: int) -> int:
    """In how many pieces its rows are to be decided; one at least."""
    return max(-(-files.rows // _at_once(files, memory)), 1)


def deciding(target: Target) -> list[str]:
    """The columns that decide what becomes of a row."""
    return list(dict.fromkeys([*target.identity, *target.meta]))


def slices(files: LakeFiles, target: Target, memory: int) -> Iterator[pa.Table]:
    """The deciding columns and places of the rows of the table, as many at once as memory holds."""
    if fit(files, memory):
        yield files.read(deciding(target))
        return
    most = _at_once(files, memory)
    for number in range(len(files.data)):
        rows = files.read(deciding(target), [number])
        for start in range(0, rows.num_rows, most):
            yield rows.slice(start, most)


def in_pieces(files: LakeFiles, target: Target, index: Index, memory: int) -> Iterator[pa.Table]:
    """The same of a table with a key, with all that decides of a row in the same piece.

    Which copy of a key is the live one is decided of all its copies: keys that stand on several
    shards come last, in pieces by their keys.
    """
    if fit(files, memory) or target.table.key_scope != "global" or target.history:
        yield from slices(files, target, memory)
        return
    several = 0
    for rows in slices(files, target, memory):
        is_several = index.has_several(index.keys(rows).group)
        several += int(is_several.sum())
        yield rows.filter(pa.array(~is_several))
    pieces = -(-several // _at_once(files, memory))
    for piece in range(pieces):
        found = []
        for rows in slices(files, target, memory):
            groups = index.keys(rows).group
            is_chosen = index.has_several(groups) & (_spread(groups) % pieces == piece)
            found.append(rows.filter(pa.array(is_chosen)))
        yield pa.concat_tables(found)


def _spread(groups: Array) -> Array:
    """Words that fall to each piece alike, also where the keys are every n-th number."""
    return (groups * _ODD) >> np.uint64(32)


def _at_once(files: LakeFiles, memory: int) -> int:
    return max(memory // _TIMES // files.row_bytes, 1)
