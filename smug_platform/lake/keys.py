"""The key of a row as two 64-bit words, by which the index tells rows apart.

`group` is the same for all rows that a change of the key may concern: the copies of a global key on
several shards, equal rows of a table without a key. `check` tells those apart. Both are exact for a
key that is one number; of others they are the MD5 of its text, in which two of 50 million keys fall
together with a chance of 10^-23.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.duck import in_memory
from smug_platform.lake.columns import identifier
from smug_platform.lake.runs import Array
from smug_platform.lake.target import ROW_ID, Target

KeyTypes = Mapping[str, pa.DataType]


@dataclass(frozen=True, slots=True)
class Keys:
    """The words of some rows' keys: two arrays of 64-bit words."""

    group: Array
    check: Array

    def __len__(self) -> int:
        return len(self.group)


def key_types(target: Target, schema: pa.Schema) -> KeyTypes:
    """The types in which the values of a table's key are compared, by column.

    An instant is a timestamp in UTC without a zone: whoever reads it sees the same text.
    """
    kinds = {name: schema.field(name).type for name in target.identity}
    return {
        name: pa.timestamp("us") if pa.types.is_timestamp(kind) else kind
        for name, kind in kinds.items()
    }


def keys(target: Target, rows: pa.Table, kinds: KeyTypes) -> Keys:
    """The words of the rows' keys; rows: the identity's columns, of types that `kinds` hold."""
    if not target.table.key:
        return _row_id_keys(rows)
    shard = _shard_words(rows["_shard"])
    column = rows[target.table.key[0]]
    if len(target.table.key) == 1 and not target.history and _is_number(column.type):
        value, rest = _number_words(column)
    else:
        value, rest = _text_words(rows, {n: kind for n, kind in kinds.items() if n != "_shard"})
    if target.table.key_scope == "global" and not target.history:
        return Keys(value, shard ^ rest)
    return Keys(value + shard, shard ^ rest)


def positions(rows: pa.Table) -> tuple[Array, Array]:
    """The two halves of the rows' positions."""
    return _words(rows["_position"].cast(pa.decimal128(38, 0)))


def _shard_words(shards: pa.ChunkedArray) -> Array:
    """One 64-bit word a shard: the start of the MD5 of its name."""
    coded = shards.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    words = [int.from_bytes(hashlib.md5(name.encode()).digest()[:8], "little") for name in names]
    found: Array = np.array(words, dtype=np.uint64)[coded.indices.to_numpy()]
    return found


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or (pa.types.is_decimal128(kind) and kind.scale == 0))


def _number_words(column: pa.ChunkedArray) -> tuple[Array, Array]:
    """A whole number as its low and its high word."""
    high, low = _words(column.cast(pa.decimal128(38, 0)))
    return low, high


def _words(decimals: pa.ChunkedArray) -> tuple[Array, Array]:
    """The high and the low words of decimals, which Arrow holds as 128-bit integers."""
    array = decimals.combine_chunks()
    if array.null_count:
        raise ValueError("a key or a position is NULL")
    words = np.frombuffer(array.buffers()[1], dtype="<u8").reshape(-1, 2)
    words = words[array.offset : array.offset + len(array)]
    return words[:, 1], words[:, 0]


def _text_words(rows: pa.Table, kinds: KeyTypes) -> tuple[Array, Array]:
    """The two words of the MD5 of some columns' values as text, each with its length."""
    parts = [f"length({identifier(n)}::varchar) || ':' || {identifier(n)}::varchar" for n in kinds]
    with in_memory() as connection:
        connection.register("rows", rows.select(list(kinds)).cast(pa.schema(kinds)))
        found = connection.sql(
            f"select md5_number_lower(t) as low, md5_number_upper(t) as high"
            f" from (select {' || '.join(parts)} as t from rows)"
        ).to_arrow_table()
    return found["low"].to_numpy(), found["high"].to_numpy()


def _row_id_keys(rows: pa.Table) -> Keys:
    """Of a table without a key: equal rows of a shard are a group; their ordinals differ."""
    parts = pc.split_pattern(rows[ROW_ID], "-")
    content, ordinal = pc.list_element(parts, 0), pc.list_element(parts, 1)
    return Keys(content_groups(rows["_shard"], content), ordinal.cast(pa.uint64()).to_numpy())


def content_groups(shards: pa.ChunkedArray, contents: pa.ChunkedArray) -> Array:
    """The group words of rows without a key, by the hexadecimal content hash of each."""
    words = [int(content[:16], 16) for content in contents.to_pylist()]
    return np.array(words, dtype=np.uint64) + _shard_words(shards)
