"""The values of a column, all rows at once: from the JSON that the scanner has found to Arrow.

A type is read by the scanner where `READERS` knows what its expression does; of others the text is
taken, and DuckDB evaluates the expression itself. So the two ways can't say different things.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from pyiceberg.types import DecimalType

from smug_platform.lake.types import LakeType
from smug_platform.scan.native import Array, Values

Read = Callable[[Values, int], pa.Array]

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # years 1 to 9999, since 1970
_DAY = 86_400_000_000  # microseconds


def fixed(kind: pa.DataType, values: Array, valid: Array) -> pa.Array:
    """An Arrow array of numbers as they are in memory. valid: which of them are there."""
    return pa.Array.from_buffers(kind, len(valid), [_bitmap(valid), pa.py_buffer(values)])


def text(values: Values, name: int, *, literals: bool = False) -> pa.Array:
    """The strings of a column. literals: numbers, true and false are texts too."""
    found, offsets, valid = values.texts(name, literals=literals)
    buffers = [_bitmap(valid), pa.py_buffer(offsets), pa.py_buffer(found)]
    return pa.Array.from_buffers(pa.string(), len(valid), buffers)


def reader(kind: LakeType) -> Read | None:
    """What reads a type without DuckDB; None where nothing does. It raises Odd."""
    if isinstance(kind.iceberg, DecimalType):
        precision, scale = kind.iceberg.precision, kind.iceberg.scale
        is_cast = kind.read == f"try_cast($ as decimal({precision},{scale}))"
        return _decimals(precision, scale) if is_cast else None
    return READERS.get(kind.read)


def _bitmap(valid: Array) -> pa.Buffer | None:
    return None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _wholes(kind: pa.DataType, low: int, high: int) -> Read:
    def read(values: Values, name: int) -> pa.Array:
        found, valid = values.wholes(name, low, high)
        return fixed(kind, found.astype(np.int32) if kind.bit_width == 32 else found, valid)

    return read


def _decimals(precision: int, scale: int) -> Read:
    def read(values: Values, name: int) -> pa.Array:
        return fixed(pa.decimal128(precision, scale), *values.decimals(name, precision, scale))

    return read


def _instants(values: Values, name: int) -> pa.Array:
    return fixed(pa.timestamp("us"), *values.instants(name))


def _truths(values: Values, name: int) -> pa.Array:
    found, valid = values.truths(name)
    return pa.array(found, mask=~valid)


READERS: dict[str, Read] = {
    "$": text,
    "try_cast($ as integer)": _wholes(pa.int32(), -(1 << 31), (1 << 31) - 1),
    "try_cast($ as bigint)": _wholes(pa.int64(), -(1 << 63), (1 << 63) - 1),
    "try_cast($ as boolean)": _truths,
    "try_cast($ as timestamp)": _instants,
    "make_timestamp(try_cast($ as bigint))": _wholes(
        pa.timestamp("us"), _FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1
    ),
    "date '1970-01-01' + try_cast($ as integer)": _wholes(pa.date32(), _FIRST_DAY, _LAST_DAY),
}
"""By the DuckDB expression of `LakeType`."""
