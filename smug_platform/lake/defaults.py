r"""What the rows that are there hold in a column that is added, of which the binlog has no events.

That is the default as the statement writes it, or the zero of the type. What the server works out
row by row (an expression, a number that it counts up, a generated column) can't be known here: the
table then halts, for only a new snapshot tells.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from smug_platform.errors import LakeError
from smug_platform.lake.types import SourceColumn
from smug_platform.tables.table import Table

_ESCAPE = re.compile(r"''|\\.", re.DOTALL)
_ESCAPED = {
    r"\n": "\n", r"\t": "\t", r"\r": "\r", r"\b": "\b", r"\0": "\0", r"\Z": "\x1a",
    r"\%": r"\%", r"\_": r"\_",
}  # fmt: skip
_NUMBERS = ("INT", "DECIMAL", "NUMERIC", "FLOAT", "DOUBLE", "REAL", "BOOL", "YEAR")
_TEXTS = ("CHAR", "TEXT", "ENUM", "SET")
_ZERO_BYTES = r"\x00"  # as DuckDB casts it
_TRUTH = {"TRUE": "1", "FALSE": "0"}
_TOKEN = re.compile(
    r"(?P<bits>b'[01]+'|0b[01]+)|(?P<hex>x'[0-9a-f]+'|0x[0-9a-f]+)"
    r"""|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|[\w.+-]+|[^\s\w]""",
    re.IGNORECASE | re.DOTALL,
)
_TOLD_FUNCTIONS = ("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP")


def default_of(column: dict[str, Any]) -> str | None:
    """What MySQL gives the rows that are there already: the default, or the type's own zero."""
    given: str | None = column["defaultValueExpression"]
    kind = column["typeName"].upper()
    if given is not None or column["optional"]:
        return None if given is None or given.upper() == "NULL" else unescaped(given)
    if kind.startswith("ENUM"):
        return unescaped(str(column["enumValues"][0])[1:-1])
    if kind == "JSON":
        return "null"
    if kind == "BINARY":
        return _ZERO_BYTES * (column["length"] or 1)
    if kind in {"TIME", "BIT"} or any(name in kind for name in _NUMBERS):
        return "0"
    return "" if any(name in kind for name in (*_TEXTS, "BLOB", "VARBINARY")) else None


def unescaped(literal: str) -> str:
    r"""What MySQL reads between the quotes of a literal, which events hold as it was written.

    >>> unescaped(r"it''s so\\so")
    "it's so\\so"
    """
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[0], found[0][-1]), literal)


def fill_value(table: Table, column: SourceColumn, event: Any) -> str | None:
    """What the rows that are there read, as a literal that DuckDB casts to the column's type in the
    lake; None for NULL. Raises LakeError where that can't be known.
    """
    written = list(_written(column.name, event["ddl"]))
    if _is_worked_out(column, written):
        raise _unknown(table, column, " ".join(text for _, text in written))
    default, kind = column.default, column.type
    if default is None:
        return None
    if (
        kind.startswith("TIMESTAMP")
        and not column.length
        and "CURRENT_TIMESTAMP" in default.upper()
    ):
        # the statement's own time; MySQL keeps whole seconds of it in a TIMESTAMP(0)
        return datetime.fromtimestamp(event["source"]["ts_ms"] // 1000, UTC).isoformat()
    if kind.startswith("DATETIME") and default[:4].isdigit():
        return default
    if kind == "BIT" or any(name in kind for name in _NUMBERS):
        return _number(written) or _TRUTH.get(default.upper(), default)
    is_written = any(text.upper() == "DEFAULT" for _, text in written)
    if not is_written or kind == "DATE" or any(name in kind for name in _TEXTS):
        return default
    raise _unknown(table, column, default)


def is_unfilled(column: SourceColumn, event: Any) -> bool:
    """Whether the rows that are there read NULL in a column that the statement adds.

    >>> ddl = "ALTER TABLE t ADD COLUMN a INT, ADD COLUMN b CHAR(36) DEFAULT (uuid())"
    >>> [is_unfilled(SourceColumn(name, "INT"), {"ddl": ddl}) for name in "ab"]
    [True, False]
    """
    if column.default is not None:
        return False
    return not _is_worked_out(column, list(_written(column.name, event["ddl"])))


def _unknown(table: Table, column: SourceColumn, default: str) -> LakeError:
    return LakeError(
        f"{table.name}.{column.name} was added with default {default!r} of type {column.type},"
        " and what the rows there already hold is not in the binlog",
        remedy="take a new snapshot of the table",
    )


def _written(name: str, ddl: str) -> Iterator[tuple[str | None, str]]:
    """The tokens of a column's definition after its name, each with its kind: nothing for a column
    that the statement does not define.
    """
    column = rf"(?:`{re.escape(name)}`|\"{re.escape(name)}\"|\b{re.escape(name)}\b)\s"
    adds = r"(?:\bADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?\(?|[(,])\s*"
    found = re.search(adds + column, ddl, re.IGNORECASE)
    depth = 0
    for token in _TOKEN.finditer(ddl, found.end()) if found else ():
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if depth < 0 or (depth == 0 and token[0] == ","):
            return
        yield token.lastgroup, token[0]


def _is_worked_out(column: SourceColumn, written: list[tuple[str | None, str]]) -> bool:
    """Whether the server makes a value of its own for each row."""
    words = [text.upper() for _, text in written]
    if column.type == "SERIAL" or {"AUTO_INCREMENT", "SERIAL"} & set(words):
        return True
    if any(pair == ("AS", "(") for pair in pairwise(words)):
        return True
    value, *rest = words[words.index("DEFAULT") + 1 :][:2] if "DEFAULT" in words else [""]
    return value == "(" or (rest == ["("] and value not in _TOLD_FUNCTIONS)


def _number(written: list[tuple[str | None, str]]) -> str | None:
    """The default of a number that is written in bits or in hexadecimal digits."""
    words = [text.upper() for _, text in written]
    kind, text = written[words.index("DEFAULT") + 1] if "DEFAULT" in words else (None, "")
    if kind is None:
        return None
    digits = re.sub(r"^(?:0[bx]|[bx])|'", "", text, flags=re.IGNORECASE)
    return str(int(digits, 2 if kind == "bits" else 16))
