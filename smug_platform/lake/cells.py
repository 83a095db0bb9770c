"""The values of a column, all rows at once: from the JSON that the scanner has found to Arrow.

A type is read by the scanner where `READERS` knows what its expression does; of others the text is
taken, and DuckDB evaluates the expression itself. So the two ways can't say different things.
"""

from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
from pyiceberg.types import (
    DateType,
    DecimalType,
    IcebergType,
    TimestampType,
    TimestamptzType,
)

from smug_platform.capture.zero_dates import NO_DAY, NO_INSTANT, NO_MOMENT
from smug_platform.lake.types import TYPES, LakeType
from smug_platform.scan.native import NOTHING, Array, Odd, Values

Read = Callable[[Values, int], pa.Array]

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # years 1 to 9999, since 1970
_DAY = 86_400_000_000  # microseconds
_EPOCH = date(1970, 1, 1)
_NO_MOMENT = int(NO_MOMENT)
_NONE = {NO_DAY: int(NO_DAY), NO_MOMENT: _NO_MOMENT, NO_INSTANT: _NO_MOMENT}
_DATES: dict[IcebergType, tuple[int, pa.DataType]] = {
    DateType(): (1, pa.date32()),
    TimestampType(): (_DAY, pa.timestamp("us")),
    TimestamptzType(): (_DAY, pa.timestamp("us")),
}


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
    if kind.none:
        return _dates(kind)
    return READERS.get(kind.read)


def lacks_zero_dates(kind: LakeType, values: Values, name: int, read: pa.Array) -> bool:
    """Whether the dates that a reader made are NULL where the JSON is, and nowhere else."""
    return not kind.instead and read.null_count == np.count_nonzero(values.kind[name] == NOTHING)


def zero_dates(kind: LakeType, values: Values, name: int) -> Array:
    """Which of the dates of a column are none."""
    found, valid = _numbers(kind, values, name)
    is_zero: Array = valid & (found == _NONE[kind.none])
    return is_zero


def _numbers(kind: LakeType, values: Values, name: int) -> tuple[Array, Array]:
    """Dates as days or microseconds since 1970, and which are there."""
    if kind.none == NO_INSTANT:
        return values.instants(name)
    return values.wholes(name, _NONE[kind.none], np.iinfo(np.int64).max)


def _dates(kind: LakeType) -> Read | None:
    arrow = _DATES.get(kind.iceberg)
    if arrow is None:
        return None
    unit, made = arrow

    def read(values: Values, name: int) -> pa.Array:
        found, valid = _numbers(kind, values, name)
        low, high = _FIRST_DAY * unit, (_LAST_DAY + 1) * unit
        if not len(found) or (found.min() >= low and found.max() < high):  # 0 where none is there
            return fixed(made, found.astype(np.int32) if made.bit_width == 32 else found, valid)
        is_zero = valid & (found == _NONE[kind.none])
        if (((found < low) | (found >= high)) & ~is_zero).any():
            raise Odd
        if kind.instead:
            found[is_zero] = (date.fromisoformat(kind.instead) - _EPOCH).days * unit
        else:
            valid &= ~is_zero
        return fixed(made, found.astype(np.int32) if made.bit_width == 32 else found, valid)

    return read


def _flags(none: str) -> Read:
    kind = next(each for each in TYPES.values() if each.none == none)
    return lambda values, name: pa.array(zero_dates(kind, values, name))


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


def _truths(values: Values, name: int) -> pa.Array:
    found, valid = values.truths(name)
    return pa.array(found, mask=~valid)


READERS: dict[str, Read] = {
    "$": text,
    "try_cast($ as integer)": _wholes(pa.int32(), -(1 << 31), (1 << 31) - 1),
    "try_cast($ as bigint)": _wholes(pa.int64(), -(1 << 63), (1 << 63) - 1),
    "try_cast($ as boolean)": _truths,
    **{kind.flag.read: _flags(kind.none) for kind in TYPES.values() if kind.none},
}
"""By the DuckDB expression of `LakeType`."""
