"""One text for one value, whoever holds it: MySQL, the lake, or the warehouse.

Two sets of SQL expressions, one for the source and one for DuckDB, give the same text for the same
value; so a row's text can be hashed on either side and compared. Nothing here shares code with the
decoding of changes: an error there must not be repeated here. Types come from the source's
information_schema. Numbers are compared exactly; FLOAT and DOUBLE, whose texts differ between
engines, stand apart from the text and are compared as the same 64-bit numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

Kind = Literal["number", "float", "text", "bytes", "bits", "date", "moment", "time"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(
        ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year"), "number"
    ),
    **dict.fromkeys(("float", "double"), "float"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "bytes"),
    "bit": "bits",
    "date": "date",
    "datetime": "moment",
    "timestamp": "moment",
    "time": "time",
}

_MIDNIGHT = "TIMESTAMP'1970-01-01 00:00:00'"
# An INT ZEROFILL prints its zeros unless it is made a number.
_SOURCE: dict[Kind, str] = {
    "number": "CAST({0} + 0 AS CHAR)",
    "text": "CONVERT({0} USING utf8mb4)",
    "bytes": "HEX({0})",
    "bits": "CAST({0} + 0 AS CHAR)",
    "date": "DATEDIFF({0}, '1970-01-01')",
    "moment": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', {0})",
    "time": f"TIMESTAMPDIFF(MICROSECOND, {_MIDNIGHT}, ADDTIME({_MIDNIGHT}, {{0}}))",
}
# By the kind of the source's column, then by DuckDB's type of the replica's; "" is any other.
_REPLICA: dict[Kind, dict[str, str]] = {
    "float": {"FLOAT": "({0}::double)::varchar"},
    "bytes": {"BLOB": "hex({0})"},
    "bits": {"BOOLEAN": "({0}::integer)::varchar"},
    "date": {
        "DATE": "({0} - date '1970-01-01')::varchar",
        "TIMESTAMP": "(epoch_us({0}) // 86400000000)::varchar",
    },
    "moment": {
        "TIMESTAMP": "epoch_us({0})::varchar",
        "TIMESTAMP WITH TIME ZONE": "epoch_us({0})::varchar",
    },
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the source. type: information_schema's data_type, in lower case. zero: the day
    that the replica holds for a date that is none, by the contract; "" for NULL.
    """

    name: str
    type: str
    zero: str = ""

    @property
    def kind(self) -> Kind:
        """How its values are compared.

        >>> Column("id", "bigint").kind, Column("exif", "longtext").kind
        ('number', 'text')
        """
        return _KINDS.get(self.type, "text")


def source_text(column: Column) -> str:
    """The MySQL expression of a column's text; a FLOAT's has all its digits.

    >>> source_text(Column("coupon", "varbinary"))
    'HEX(`coupon`)'
    """
    name = f"`{column.name}`"
    if column.kind == "float":
        return f"CAST({name} + 0E0 AS CHAR)"
    text = _SOURCE[column.kind].format(name)
    if column.kind in {"date", "moment"}:
        text = f"IF({name} < '0001-01-01', NULL, {text})"
        if column.zero:  # where no NULL is taken, `IS NULL` holds for a zero date
            zero = _SOURCE[column.kind].format(f"'{column.zero}'")
            text = f"IF(CAST({name} AS CHAR) IS NULL, NULL, IFNULL({text}, {zero}))"
    if column.type != "decimal":
        return text
    text = f"CAST({name} AS CHAR)"
    return (
        f"IF(LOCATE('.', {text}), TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text})), {text})"
    )


def replica_text(column: Column, held_as: str) -> str:
    """The DuckDB expression of the text of a replica's column of DuckDB type `held_as`.

    >>> replica_text(Column("coupon", "varbinary"), "BLOB")
    'hex("coupon")'
    >>> replica_text(Column("id", "bigint"), "DECIMAL(20,0)")
    '"id"::varchar'
    """
    name = quoted(column.name)
    form = _REPLICA.get(column.kind, {}).get(held_as)
    if form is not None:
        return form.format(name)
    text = f"{name}::varchar"
    # A decimal may have got more digits after the point from another shard, or be kept as text.
    if column.kind == "number" and not held_as.endswith(("INT", "INTEGER", ",0)")):
        return f"if(contains({text}, '.'), rtrim(rtrim({text}, '0'), '.'), {text})"
    return text


def source_piece(text: str) -> str:
    """A text with its length before it, in MySQL: pieces joined can be told apart again.

    >>> source_piece("`a`")
    "COALESCE(CONCAT(LENGTH(`a`), ':', `a`), '~')"
    """
    return f"COALESCE(CONCAT(LENGTH({text}), ':', {text}), '~')"


def replica_piece(text: str) -> str:
    """The same in DuckDB.

    >>> replica_piece("a")
    "coalesce(strlen(a) || ':' || a, '~')"
    """
    return f"coalesce(strlen({text}) || ':' || {text}, '~')"


def pieces(joined: str) -> list[str | None]:
    """The texts that were joined; None for NULL.

    >>> pieces("2:42~0:3:ö:")
    ['42', None, '', 'ö:']
    """
    rest, found = joined.encode(), list[str | None]()
    while rest:
        if rest[:1] == b"~":
            found.append(None)
            rest = rest[1:]
            continue
        length, _, rest = rest.partition(b":")
        found.append(rest[: int(length)].decode())
        rest = rest[int(length) :]
    return found


def shown(column: Column, text: str | None) -> str:
    """A value's text as a person reads it.

    >>> shown(Column("at", "datetime"), "1577934245678000")
    '2020-01-02 03:04:05.678000'
    >>> shown(Column("title", "varchar"), ""), shown(Column("title", "varchar"), None)
    ("''", 'NULL')
    """
    if text is None:
        return "NULL"
    try:
        if column.kind == "moment":
            return str(datetime(1970, 1, 1) + timedelta(microseconds=int(text)))  # noqa: DTZ001
        if column.kind == "date":
            return str(date(1970, 1, 1) + timedelta(days=int(text)))
        if column.kind == "time":
            return f"{int(text) / 1_000_000:.6f} s"
    except (ValueError, OverflowError):
        return text
    if column.kind == "bytes":
        return f"0x{text}"
    return repr(text) if column.kind == "text" else text


def quoted(name: str) -> str:
    """A name as DuckDB's identifier.

    >>> quoted('odd"name')
    '"odd""name"'
    """
    return '"' + name.replace('"', '""') + '"'


def apart(columns: Sequence[Column]) -> list[Column]:
    """The columns that are compared beside the row's text."""
    return [column for column in columns if column.kind == "float"]


def together(columns: Sequence[Column]) -> list[Column]:
    """The columns that make the row's text, in the order of their names, which all sides share."""
    return sorted((c for c in columns if c.kind != "float"), key=lambda column: column.name)
