"""Rows of a snapshot written by the source's own server, as Debezium writes them.

One SQL expression a column gives the JSON that Debezium's converters give for it with the
properties of `config`, and one a table the whole row image. So a row crosses to this machine as
text that is only handed on; one that is long comes value by value, and is put together here. Types
that are not known here are left to Debezium.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pybase64 import b64encode
from pymysql.converters import escape_string

from smug_platform.capture.contract import Held, quoted
from smug_platform.capture.zero_dates import NO_DAY, NO_INSTANT, NO_MOMENT
from smug_platform.tables.table import Table

_PAIRS = re.compile("[\U00010000-\U0010ffff]")
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "year")
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json")
_LONG_BYTES = ("mediumblob", "longblob")
_BYTES = ("binary", "varbinary", "tinyblob", "blob", *_LONG_BYTES)
_KEY_TEXTS, _KEY_BYTES = ("char", "varchar"), ("binary", "varbinary")

_DAYS = "DATEDIFF({0}, '1970-01-01')"
_MICROS = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {0})"
_INSTANT = (
    "CONCAT('\"', TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM"
    " DATE_FORMAT({0}, '%Y-%m-%dT%H:%i:%s.%f'))), 'Z\"')"
)
# TIME_TO_SEC has a fraction in MariaDB, and none in MySQL.
_TIME = "IF({0} < 0, -1, 1) * (FLOOR(ABS(TIME_TO_SEC({0}))) * 1000000 + MICROSECOND({0}))"
_QUOTED = "CONCAT('\"', {0}, '\"')"
_BASE64 = "CONCAT('\"', REPLACE(TO_BASE64({0}), '\\n', ''), '\"')"
# MariaDB's REPLACE moves all the rest for each line that it joins: 1 ms for 64 KiB, 3 s for 4 MiB.
_LONG_BASE64 = f"IF(LENGTH({{0}}) > 65535, NULL, {_BASE64})"
_TEXT = "CONVERT({0} USING utf8mb4)"
_NO_DATES = {"date": NO_DAY, "datetime": NO_MOMENT, "timestamp": f'"{NO_INSTANT}"'}
_IS_NO_DAY = (
    "{0} < '0001-01-01' OR {0} LIKE '%-00%' OR DAYOFMONTH({0}) > 28"
    " AND DAYOFMONTH({0}) > DAYOFMONTH(LAST_DAY(CONCAT(LEFT({0}, 8), '01')))"
)

_IMAGES: Mapping[str, str] = {
    **dict.fromkeys(_INTEGERS, "{0} + 0"),
    **dict.fromkeys(_TEXTS, f"JSON_QUOTE({_TEXT})"),
    **dict.fromkeys(_BYTES, _BASE64),
    **dict.fromkeys(_LONG_BYTES, _LONG_BASE64),
    "decimal": _QUOTED.format("{0} + 0"),
    "float": "{0} + 0E0",
    "double": "{0} + 0E0",
    "date": _DAYS,
    "datetime": _MICROS,
    "timestamp": _INSTANT,
    "time": _TIME,
}


@dataclass(frozen=True)
class Cell:
    """One value of a long row. sql: bytes and text as they are, of other types the JSON.

    label: as JSON has it. write: what makes JSON of what the server gives for it.
    """

    label: bytes
    sql: str
    write: Callable[[Any], bytes]


@dataclass(frozen=True)
class Image:
    """How one table is read in the order of its key.

    key, row: SQL for the JSON of the key and of the row image, in a session whose zone is UTC; NULL
    for a row that is too long for it. cells: its values for such a row.
    ends: SQL for each key column's value as a text that `between` takes back. columns: the key's,
    quoted. literals: what writes such a text as SQL. numbers: the names of the key's columns where
    all are integers, so that keys can be compared here as well; else empty.
    """

    key: str
    row: str
    cells: tuple[Cell, ...]
    ends: tuple[str, ...]
    columns: tuple[str, ...]
    literals: tuple[Callable[[str], str], ...]
    numbers: tuple[str, ...] = ()

    def between(self, low: Sequence[str] | None, high: Sequence[str]) -> str:
        """A condition for keys after `low` (None: from the first on) up to and with `high`."""
        upper = self._compare("<", high, or_equal=True)
        return upper if low is None else f"{self._compare('>', low)} AND {upper}"

    def written(self, values: Sequence[Any]) -> bytes:
        """The row image. values: what the server gave for the cells."""
        parts = (
            cell.label + cell.write(value) for cell, value in zip(self.cells, values, strict=True)
        )
        return b"{%b}" % b",".join(parts)

    def order(self, direction: str = "") -> str:
        """The list of the key's columns for ORDER BY."""
        return ", ".join(f"{column} {direction}".strip() for column in self.columns)

    def _compare(self, sign: str, values: Sequence[str], *, or_equal: bool = False) -> str:
        """Of rows of values, written out: servers use no index for a comparison of tuples.

        The first column is compared by itself besides, which every server has an index for.
        """
        found = [literal(value) for literal, value in zip(self.literals, values, strict=True)]
        cases = []
        for number, column in enumerate(self.columns):
            is_last = number == len(self.columns) - 1
            same = [f"{c} = {v}" for c, v in zip(self.columns[:number], found, strict=False)]
            equal = "=" if or_equal and is_last else ""
            cases.append(" AND ".join([*same, f"{column} {sign}{equal} {found[number]}"]))
        return f"{self.columns[0]} {sign}= {found[0]} AND ({' OR '.join(cases)})"


def image_of(table: Table, held: Held) -> Image | None:
    """How a table is read; None for one without a key, or with a type that is not known here."""
    names = [name for name in held.types if name not in table.excluded]
    images = {name: _image(held, name) for name in names}
    literals = [_LITERALS.get(held.kinds.get(name, "")) for name in table.key]
    known = {name: image for name, image in images.items() if image is not None}
    chosen = [literal for literal in literals if literal is not None]
    if not chosen or len(chosen) < len(literals) or len(known) < len(images):
        return None
    return Image(
        key=_object({name: known[name] for name in table.key}),
        row=_object(known),
        cells=tuple(_cell(held, name, image) for name, image in known.items()),
        ends=tuple(_end(held.kinds[name]).format(quoted(name)) for name in table.key),
        columns=tuple(map(quoted, table.key)),
        literals=tuple(chosen),
        numbers=table.key if all(held.kinds[name] in _INTEGERS for name in table.key) else (),
    )


def key_text(written: str) -> str:
    r"""A key's JSON as Debezium spells it, which escapes what takes two units of UTF-16: one key is
    one text, by which its changes find their lane.

    >>> key_text('{"id":"\U0001f600"}')
    '{"id":"\\uD83D\\uDE00"}'
    """
    return written if written.isascii() else _PAIRS.sub(_escaped, written)


def _escaped(found: re.Match[str]) -> str:
    digits = found[0].encode("utf-16-be").hex().upper()
    return f"\\u{digits[:4]}\\u{digits[4:]}"


def _cell(held: Held, name: str, image: str) -> Cell:
    label, kind = f"{_label(name)}:".encode(), held.kinds[name]
    if kind in _BYTES:
        return Cell(label, quoted(name), _base64)
    if kind in _TEXTS:
        return Cell(label, _TEXT.format(quoted(name)), orjson.dumps)
    return Cell(label, f"CAST({image} AS BINARY)", bytes)


def _base64(value: bytes | None) -> bytes:
    return b"null" if value is None else b'"%b"' % b64encode(value)


def _label(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _image(held: Held, name: str) -> str | None:
    """SQL for one value's JSON. It is NULL where the server can't hold it in one packet, or takes
    too long, and so is the whole row's then: no value is lost without a word.
    """
    kind, column = held.kinds[name], quoted(name)
    if kind == "bit":
        image: str | None = _bits(held.types[name])
    else:
        image = _IMAGES.get(kind)
    if image is None:
        return None
    told = image.format(column)
    if kind in _NO_DATES:
        is_none, none = _IS_NO_DAY.format(column), f"'{_NO_DATES[kind]}'"
        told = f"IF({is_none}, {none}, IFNULL({told}, {none}))"
    return f"IF({column} IS NULL, 'null', {told})" if name in held.nullable else told


def _bits(type_: str) -> str:
    """One bit is true or false, more are bytes with the lowest first."""
    count = int(re.sub(r"\D", "", type_) or 1)
    if count == 1:
        return "IF({0}, 'true', 'false')"
    digits = 2 * -(-count // 8)
    return _BASE64.format(f"REVERSE(UNHEX(LPAD(HEX({{0}} + 0), {digits}, '0')))")


def _object(images: Mapping[str, str]) -> str:
    """SQL for a JSON object."""
    pieces, before = [], "{"
    for name, image in images.items():
        pieces += [f"'{escape_string(f'{before}{_label(name)}:')}'", image]
        before = ","
    return f"CONCAT({', '.join(pieces)}, '}}')"


def _end(kind: str) -> str:
    if kind in _KEY_TEXTS:
        return "HEX(CONVERT({0} USING utf8mb4))"
    return "HEX({0})" if kind in _KEY_BYTES else "{0} + 0" if kind in _INTEGERS else "{0}"


_LITERALS: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys((*_INTEGERS, "decimal"), str),
    **dict.fromkeys(_KEY_TEXTS, lambda value: f"_utf8mb4 x'{value}'"),
    **dict.fromkeys(_KEY_BYTES, lambda value: f"x'{value}'"),
    **dict.fromkeys(_NO_DATES, lambda value: f"'{value}'"),
}
"""For each type that a key may have, how a value of it stands in SQL."""
