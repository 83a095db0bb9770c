"""Rows as Redshift can take them: what is too long is cut or left out, each with the reason.

A text that is longer in bytes than its column is cut at a character. A row is left out whose key,
JSON or binary value is too long, for half of one is another or none; whose text holds the character
NUL; or whose JSON is none.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.warehouse.redshift_types import KEY, Column

_FRACTION = re.compile(r"(\.\d*[1-9])0+")


@dataclass(frozen=True)
class Reject:
    """A row that Redshift can't take. key: the values of its identity, as `KEY` joins them."""

    key: str
    column: str
    reason: str


@dataclass(frozen=True)
class Fitted:
    """The rows that fit, those that do not, and how many texts were cut."""

    rows: pa.Table
    rejects: list[Reject]
    cut: int


def fit(rows: pa.Table, columns: Sequence[Column], identity: Sequence[str]) -> Fitted:
    r"""The rows as a table with those columns takes them; columns that the rows lack are passed by.

    >>> rows = pa.table({"id": [1, 2], "name": ["caf\u00e9", "a\0"]})
    >>> found = fit(rows, [Column("name", "VARCHAR(4)")], ["id"])
    >>> found.rows["name"].to_pylist(), found.cut, found.rejects[0].reason
    (['caf'], 1, 'it holds the character NUL')
    """
    reasons: dict[int, tuple[str, str]] = {}
    cut = 0
    for column in (one for one in columns if one.width and one.name in rows.column_names):
        values = rows[column.name].combine_chunks()
        can_be_cut = column.type.startswith("VARCHAR") and column.name not in identity
        for row, why in _misfits(column, values, can_be_cut=can_be_cut):
            reasons.setdefault(row, (column.name, why))
        if can_be_cut:
            place = rows.column_names.index(column.name)
            shorter, count = _cut(values, column.width or 0)
            rows, cut = rows.set_column(place, rows.schema.field(place), shorter), cut + count
    kept = pa.array([row not in reasons for row in range(rows.num_rows)], pa.bool_())
    left_out = sorted(reasons.items())
    names = keys(rows.take([row for row, _ in left_out]), identity) if left_out else []
    rejects = [Reject(key, *why) for key, (_, why) in zip(names, left_out, strict=True)]
    return Fitted(rows.filter(kept), rejects, cut)


def keys(rows: pa.Table, identity: Sequence[str]) -> list[str]:
    """Each row's identity as one text, its values spelled as Redshift's casts spell them.

    >>> from datetime import datetime
    >>> keys(pa.table({"at": [datetime(2024, 1, 2, 3, 4, 5, 500_000)], "id": [b"a"]}), ["at", "id"])
    ['2024-01-02 03:04:05.5|61']
    """
    values = [map(_spelled, rows[name].to_pylist()) for name in identity]
    return [KEY.join(row) for row in zip(*values, strict=True)]


def _misfits(column: Column, values: pa.Array, *, can_be_cut: bool) -> Iterator[tuple[int, str]]:
    """The rows whose value can't be loaded, even cut, each with the reason."""
    if not can_be_cut:
        for row in _too_long(values, column.width or 0):
            yield row, f"it has {len(_bytes(values[row]))} bytes, and {column.width} fit"
    if not column.type.startswith("VARBYTE"):
        for row in _rows(pc.match_substring(values, "\0")):
            yield row, "it holds the character NUL"
    if column.type == "SUPER":
        for row, text in enumerate(values.to_pylist()):
            if text is not None and not _is_json(text):
                yield row, "it is not JSON"


def _cut(values: pa.Array, width: int) -> tuple[pa.Array, int]:
    """Texts of at most so many bytes, cut at a character, and how many were cut."""
    too_long = _too_long(values, width)
    if not too_long:
        return values, 0
    texts = values.to_pylist()
    for row in too_long:
        texts[row] = texts[row].encode()[:width].decode(errors="ignore")
    return pa.array(texts, values.type), len(too_long)


def _too_long(values: pa.Array, width: int) -> list[int]:
    return _rows(pc.greater(pc.binary_length(values.cast(pa.large_binary())), width))


def _rows(mask: pa.Array) -> list[int]:
    found: list[int] = pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist()
    return found


def _bytes(value: pa.Scalar) -> bytes:
    found = value.as_py()
    return found.encode() if isinstance(found, str) else bytes(found)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _spelled(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case bytes():
            return value.hex()
        case datetime():
            text = value.isoformat(" ").removesuffix(":00") if value.tzinfo else str(value)
            return _FRACTION.sub(r"\1", text)
    return str(value)
