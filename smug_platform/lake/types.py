"""Types: what a MySQL column becomes in the lake, and how its text on the wire is read.

`TYPES` is a table of data: the MySQL type's name, the Iceberg type, and the DuckDB expression that
makes the value from `$`, the text of the JSON value. An expression gives NULL for what it can't
read; a row in which that happens goes to quarantine. A date that is none has a text of its own. A
type that is not listed is kept as text.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    StringType,
    TimestampType,
    TimestamptzType,
)

from smug_platform.capture.zero_dates import NO_DAY, NO_INSTANT, NO_MOMENT
from smug_platform.errors import LakeError

MAX_DECIMAL = 38

_BITS = (  # BIT(n) comes as bytes, the lowest first
    "list_sum(list_transform(range(octet_length(try(from_base64($)))), lambda i: ('0x' ||"
    " substr(hex(try(from_base64($))), 2 * i::integer + 1, 2))::hugeint << (8 * i)::integer))"
)
_INSTANT = "try_cast($ as timestamp)"  # ISO 8601 with its offset; DuckDB turns it to UTC


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the source's schema-change events describe it.

    type: the MySQL type's name in capitals, e.g. "BIGINT UNSIGNED"; length and scale as declared;
    default: the literal that rows written before the column was added read as; members: of an ENUM
    or SET, those that come from the binlog in another spelling, as (spelling, member).
    """

    name: str
    type: str
    length: int | None = None
    scale: int | None = None
    optional: bool = True
    default: str | None = None
    members: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LakeType:
    """A column's type in the lake, and the DuckDB expression over its text on the wire.

    can_raise: whether, without its tries, the expression raises for all that it can't read. none:
    the text for a date that is none; instead: the day that is read for it, else NULL.
    """

    iceberg: IcebergType
    read: str
    can_raise: bool = True
    none: str = ""
    instead: str = ""

    def expression(self, text: str, *, raises: bool = False) -> str:
        """The DuckDB expression that reads the value of the SQL expression `text`.

        raises: for what it can't read, instead of giving NULL.
        """
        read = self.read.replace("try_cast(", "cast(").replace("try(", "(") if raises else self.read
        read = read.replace("$", text)
        if not self.none:
            return read
        instead = f"{duckdb_type(self.iceberg)} '{self.instead}'" if self.instead else "null"
        return f"if({text} = '{self.none}', {instead}, {read})"

    @property
    def flag(self) -> "LakeType":
        """Of a date: whether it is none."""
        return LakeType(BooleanType(), f"coalesce($ = '{self.none}', false)", can_raise=False)


def cast_to(to: str) -> str:
    """How a text is read that DuckDB casts to that type of its own."""
    return f"try_cast($ as {to})"


_INT = LakeType(IntegerType(), cast_to("integer"))
_LONG = LakeType(LongType(), cast_to("bigint"))
_TEXT = LakeType(StringType(), "$")
_BINARY = LakeType(BinaryType(), "try(from_base64($))")
_UNSIGNED_64 = LakeType(DecimalType(20, 0), cast_to("decimal(20,0)"))
_FLOAT = LakeType(FloatType(), cast_to("float"))
_DOUBLE = LakeType(DoubleType(), cast_to("double"))
_DATE = LakeType(DateType(), "date '1970-01-01' + try_cast($ as integer)", none=NO_DAY)
_MOMENT = LakeType(TimestampType(), "make_timestamp(try_cast($ as bigint))", none=NO_MOMENT)

TYPES: dict[str, LakeType] = {
    "TINYINT": _INT,
    "TINYINT UNSIGNED": _INT,
    "SMALLINT": _INT,
    "SMALLINT UNSIGNED": _INT,
    "MEDIUMINT": _INT,
    "MEDIUMINT UNSIGNED": _INT,
    "INT": _INT,
    "INT UNSIGNED": _LONG,
    "BIGINT": _LONG,
    "BIGINT UNSIGNED": _UNSIGNED_64,
    "BOOLEAN": _INT,
    "YEAR": _INT,
    "FLOAT": _FLOAT,
    "FLOAT UNSIGNED": _FLOAT,
    "DOUBLE": _DOUBLE,
    "DOUBLE UNSIGNED": _DOUBLE,
    "DOUBLE PRECISION": _DOUBLE,
    "DATE": _DATE,
    "DATETIME": _MOMENT,
    "TIMESTAMP": LakeType(TimestamptzType(), _INSTANT, none=NO_INSTANT),
    "TIME": _LONG,
    "BINARY": _BINARY,
    "VARBINARY": _BINARY,
    "TINYBLOB": _BINARY,
    "BLOB": _BINARY,
    "MEDIUMBLOB": _BINARY,
    "LONGBLOB": _BINARY,
}
_SYNONYMS = {
    "INTEGER": "INT",
    "INT1": "TINYINT",
    "INT2": "SMALLINT",
    "INT3": "MEDIUMINT",
    "INT4": "INT",
    "INT8": "BIGINT",
    "MIDDLEINT": "MEDIUMINT",
    "BOOL": "BOOLEAN",
    "NUMERIC": "DECIMAL",
    "FIXED": "DECIMAL",
    "DEC": "DECIMAL",
    "SERIAL": "BIGINT UNSIGNED",
}


def is_real(column: SourceColumn) -> bool:
    """Whether the statement that made it calls it a REAL, signed or not."""
    return column.type.upper().partition(" ")[0] == "REAL"


def lake_type(column: SourceColumn) -> LakeType:
    """The lake's type of a source column; raises LakeError for one whose values come wrong.

    >>> lake_type(SourceColumn("id", "BIGINT UNSIGNED")).iceberg
    DecimalType(precision=20, scale=0)
    >>> lake_type(SourceColumn("price", "DECIMAL", 65, 30)).iceberg  # beyond 38 digits: text
    StringType()
    """
    if is_real(column):
        raise LakeError(
            f"{column.name} was made a REAL while capture ran, which Debezium reads in single"
            " precision",
            remedy="make it a DOUBLE, then take a new snapshot of the table",
        )
    name = re.sub(r" (SIGNED|ZEROFILL)", "", column.type.upper())
    base, _, rest = name.partition(" ")
    name = f"{_SYNONYMS.get(base, base)} {rest}".strip()
    if name in {"DECIMAL", "DECIMAL UNSIGNED"}:
        return _decimal(column.length or 10, column.scale or 0)
    if name == "BIT":
        return _bit(column.length or 1)
    if column.members:
        return _spelled(column.members, is_set=name == "SET")
    if name == "FLOAT" and (column.length or 0) > 24 and column.scale is None:
        return _DOUBLE
    return TYPES.get(name, _TEXT)


def _decimal(precision: int, scale: int) -> LakeType:
    if precision > MAX_DECIMAL:
        return _TEXT
    return LakeType(DecimalType(precision, scale), cast_to(f"decimal({precision},{scale})"))


def _spelled(members: Iterable[tuple[str, str]], *, is_set: bool) -> LakeType:
    """Text in which these members are respelled; a SET is a list of them with commas between."""
    cases = " ".join(f"when {_quote(come)} then {_quote(real)}" for come, real in members)
    if not is_set:
        return LakeType(StringType(), f"case $ {cases} else $ end", can_raise=False)
    each = f"list_transform(string_split($, ','), lambda m: case m {cases} else m end)"
    return LakeType(StringType(), f"array_to_string({each}, ',')", can_raise=False)


def _quote(text: str) -> str:
    """A literal without what `LakeType.expression` replaces.

    >>> _quote("a try($)")
    "'a try' || chr(40) || '' || chr(36) || ')'"
    """
    plain = "'" + text.replace("'", "''") + "'"
    return "".join(f"' || chr({ord(c)}) || '" if c in "$(" else c for c in plain)


def _bit(width: int) -> LakeType:
    if width == 1:
        return LakeType(BooleanType(), cast_to("boolean"))
    if width < 64:
        return LakeType(LongType(), f"try_cast({_BITS} as bigint)", can_raise=False)
    return LakeType(DecimalType(20, 0), f"try_cast({_BITS} as decimal(20,0))", can_raise=False)


_WIDENS: tuple[Callable[[IcebergType, IcebergType], bool], ...] = (
    lambda old, new: isinstance(old, IntegerType) and isinstance(new, LongType),
    lambda old, new: isinstance(old, FloatType) and isinstance(new, DoubleType),
    lambda old, new: (
        isinstance(old, DecimalType)
        and isinstance(new, DecimalType)
        and old.scale == new.scale
        and old.precision < new.precision
    ),
)


def is_promoted(old: IcebergType, new: IcebergType) -> bool:
    """Whether files with the old type are read as the new one.

    Source: Iceberg spec, "Schema Evolution": int to long, float to double, decimal to a greater
    precision.
    """
    return any(rule(old, new) for rule in _WIDENS)


def common_type(table: str, column: str, old: IcebergType, new: IcebergType) -> IcebergType:
    """The type that holds all values of both. Raises LakeError where none does.

    >>> common_type("photos", "bytes", IntegerType(), LongType())
    LongType()
    >>> common_type("photos", "price", DecimalType(10, 2), DecimalType(8, 4))
    DecimalType(precision=12, scale=4)
    """
    for narrow, wide in ((old, new), (new, old)):
        if narrow == wide or is_promoted(narrow, wide):
            return wide
    if DecimalType in (type(old), type(new)) and (found := _common_decimal(old, new)):
        return found
    raise LakeError(
        f"{table}.{column} changed from {old} to {new}, which loses values",
        remedy="change it back, or drop the lake table and take a new snapshot of it",
    )


_DIGITS: dict[type, int] = {IntegerType: 10, LongType: 19}


def _common_decimal(*kinds: IcebergType) -> DecimalType | None:
    """The decimal with the digits of all before and after the point."""
    whole, scale = 0, 0
    for kind in kinds:
        if isinstance(kind, DecimalType):
            whole, scale = max(whole, kind.precision - kind.scale), max(scale, kind.scale)
        elif type(kind) in _DIGITS:
            whole = max(whole, _DIGITS[type(kind)])
        else:
            return None
    return DecimalType(whole + scale, scale) if whole + scale <= MAX_DECIMAL else None


_DUCKDB: dict[type, str] = {
    IntegerType: "integer",
    LongType: "bigint",
    BooleanType: "boolean",
    FloatType: "float",
    DoubleType: "double",
    DateType: "date",
    TimestampType: "timestamp",
    TimestamptzType: "timestamp",
    StringType: "varchar",
    BinaryType: "blob",
}


def duckdb_type(kind: IcebergType) -> str:
    """DuckDB's name of a lake type; an instant is a timestamp in UTC there.

    >>> duckdb_type(DecimalType(20, 0))
    'decimal(20,0)'
    """
    if isinstance(kind, DecimalType):
        return f"decimal({kind.precision},{kind.scale})"
    return _DUCKDB[type(kind)]
