"""What a column of the lake is in Redshift: its type, its width in bytes, and what widens to what.

Widths come from the source's declaration, four bytes a character, for VARCHAR(n) counts bytes. The
types of files that COPY loads are apart from those of replicas: it reads no time zone and parses no
JSON. Source: Redshift Database Developer Guide, "Data types", "COPY from columnar data formats".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from smug_platform.errors import WarehouseError
from smug_platform.lake.types import SourceColumn
from smug_platform.warehouse.ddl import digits

KEY = "|"  # between the values of a row's identity, where it is told of as one text
LONGEST_TEXT, LONGEST_BYTES = 65_535, 1_024_000  # of VARCHAR and of VARBYTE
_UTF8 = 4  # bytes that a character takes at most
_ENUM_MEMBER = 255  # characters of a member of an ENUM at most
_DIGITS = 80  # of a DECIMAL that the lake keeps as text: 65, a sign, a point, a zero

_TYPES = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "REAL",
    "double": "DOUBLE PRECISION",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
}
_META_WIDTHS = {"_shard": 256, "_moved_to": 256, "_content_id": 64}
_COUNTED = {"CHAR", "VARCHAR", "NCHAR", "NVARCHAR", "BINARY", "VARBINARY"}
_WIDTHS = {
    "TINYTEXT": 255 * _UTF8, "TEXT": 65_535, "TINYBLOB": 255, "BLOB": 65_535,
    "ENUM": _ENUM_MEMBER * _UTF8, "DECIMAL": _DIGITS, "NUMERIC": _DIGITS,
}  # fmt: skip
_WIDENS = {
    "INTEGER": {"BIGINT", "DOUBLE PRECISION"},
    "REAL": {"DOUBLE PRECISION"},
    "BOOLEAN": {"INTEGER", "BIGINT"},
    "DATE": {"TIMESTAMP"},
}
_SIZED = re.compile(r"(VARCHAR|VARBYTE|DECIMAL)\((\d+)(?:,(\d+))?\)")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a replica, and its type in Redshift's words and capitals."""

    name: str
    type: str

    @property
    def staged(self) -> str:
        """The type of a column that COPY loads it into."""
        return {"TIMESTAMPTZ": "TIMESTAMP", "SUPER": f"VARCHAR({LONGEST_TEXT})"}.get(
            self.type, self.type
        )

    @property
    def width(self) -> int | None:
        """Bytes that a text or a binary value may have; None for other types."""
        found = _SIZED.fullmatch(self.staged)
        return int(found[2]) if found and not self.type.startswith("DECIMAL") else None

    def value(self, staged: str) -> str:
        """The SQL expression of the value that stands staged as that expression.

        >>> Column("at", "TIMESTAMPTZ").value("at"), Column("tags", "SUPER").value("tags")
        ("(at at time zone 'UTC')", 'json_parse(tags)')
        """
        if self.type == "TIMESTAMPTZ":
            return f"({staged} at time zone 'UTC')"
        return f"json_parse({staged})" if self.type == "SUPER" else staged


def columns(schema: pa.Schema, declared: Iterable[SourceColumn]) -> tuple[Column, ...]:
    """The columns of the replica of such rows. declared: those of the source, of all shards.

    >>> columns(pa.schema([("name", pa.string())]), [SourceColumn("name", "VARCHAR", 100)])
    (Column(name='name', type='VARCHAR(400)'),)
    """
    by_name: dict[str, list[SourceColumn]] = {}
    for column in declared:
        by_name.setdefault(column.name, []).append(column)
    return tuple(
        Column(field.name, _type(field.name, field.type, by_name.get(field.name, [])))
        for field in schema
    )


def file_type(column: Column | None, arrow: pa.DataType) -> str:
    """The type of a column that COPY loads a file's column of that type into.

    column: of the replica, None for one that it lacks.
    """
    if column is not None and column.width is not None:
        return column.staged
    return _type("", arrow, []).replace("TIMESTAMPTZ", "TIMESTAMP")


def widens(narrow: str, wide: str) -> bool:
    """True when each value of the first type is kept exactly by the other, wider one.

    >>> widens("VARCHAR(40)", "VARCHAR(400)"), widens("BIGINT", "DECIMAL(20,0)")
    (True, True)
    >>> widens("DECIMAL(10,2)", "DECIMAL(10,4)"), widens("BIGINT", "INTEGER")
    (False, False)
    """
    if wide in _WIDENS.get(narrow, set()):
        return True
    small, large = _SIZED.fullmatch(narrow), _SIZED.fullmatch(wide)
    if large is None:
        return False
    if large[1] != "DECIMAL":
        return bool(small and small[1] == large[1] and int(small[2]) < int(large[2]))
    before, after = digits(narrow), digits(wide)
    return (
        before is not None
        and after is not None
        and before != after
        and before[0] <= after[0]
        and before[1] <= after[1]
    )


def grown(
    held: Mapping[str, str], wanted: Sequence[Column]
) -> tuple[list[Column], list[Column], list[Column]]:
    """The columns that a replica lacks, those whose type has to get wider, and those whose type
    holds neither what is there nor what comes. held: its columns' types by name.
    """
    added, wider, others = [], [], []
    for column in wanted:
        kind = held.get(column.name)
        if kind is None:
            added.append(column)
        elif widens(kind, column.type):
            wider.append(column)
        elif kind != column.type and not widens(column.type, kind) and not _is_looser(kind, column):
            others.append(column)
    return added, wider, others


def _is_looser(kind: str, column: Column) -> bool:
    """JSON goes into a column of text as it is."""
    return column.type == "SUPER" and kind.startswith("VARCHAR")


def _type(name: str, arrow: pa.DataType, declared: Sequence[SourceColumn]) -> str:
    if pa.types.is_decimal(arrow) and arrow.precision <= 38:
        return f"DECIMAL({arrow.precision},{arrow.scale})"
    if pa.types.is_timestamp(arrow) and arrow.unit == "us" and arrow.tz:
        return "TIMESTAMPTZ"
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow):
        if declared and all(column.type.upper() == "JSON" for column in declared):
            return "SUPER"
        return f"VARCHAR({_META_WIDTHS.get(name) or _width(declared, LONGEST_TEXT, _UTF8)})"
    if pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow):
        return f"VARBYTE({_width(declared, LONGEST_BYTES, 1)})"
    known = _TYPES.get(str(arrow))
    if known is None:
        raise WarehouseError(
            f"column {name!r} has the type {arrow}, which has no place in Redshift",
            remedy="declare the column as excluded, or give it a type in redshift_types.py",
        )
    return known


def _width(declared: Sequence[SourceColumn], longest: int, bytes_each: int) -> int:
    """Of the widest declaration; as wide as can be where one says nothing of it."""
    widths = []
    for column in declared:
        base = column.type.upper().partition(" ")[0]
        if base in _COUNTED and column.length:
            widths.append(column.length * bytes_each)
        else:
            widths.append(_WIDTHS.get(base, longest))
    return min(max(widths, default=longest), longest)
