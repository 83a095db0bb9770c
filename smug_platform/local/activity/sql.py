"""SQL text from Python values, for MySQL: literals, and inserts, updates and deletes of rows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pymysql.converters import escape_string

Value = str | int | float | Decimal | bytes | date | datetime | timedelta | None

# More rows in one INSERT gain nothing, and a statement stays far below max_allowed_packet.
_ROWS_A_STATEMENT = 400


class Expression(str):
    """SQL that stands as it is, such as `storage_bytes + 5`."""

    __slots__ = ()


def literal(value: Value) -> str:
    r"""The SQL literal of a value; raises TypeError for a type that has none here.

    >>> literal("it's"), literal(b""), literal(b"\x00\xff"), literal(None), literal(True)
    ("'it\\'s'", "''", "X'00ff'", 'NULL', '1')
    >>> literal(datetime(1969, 7, 20, 20, 17, 40, 5)), literal(timedelta(hours=-30, seconds=0.5))
    ("'1969-07-20 20:17:40.000005'", "'-29:59:59.500000'")
    """
    write = _LITERALS.get(type(value))
    if write is None:
        raise TypeError(f"no SQL literal for {type(value).__name__}")
    return write(value)


def _bytes(value: bytes) -> str:
    return f"X'{value.hex()}'" if value else "''"


def _datetime(value: datetime) -> str:
    zoneless = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return f"'{zoneless.isoformat(sep=' ', timespec='microseconds')}'"


def _timedelta(value: timedelta) -> str:
    """TIME has no days: hours go on past 24."""
    sign, size = ("-", -value) if value < timedelta(0) else ("", value)
    seconds, micros = divmod(size // timedelta(microseconds=1), 1_000_000)
    return f"'{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}'"


_LITERALS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    Expression: str,
    str: lambda value: f"'{escape_string(value)}'",
    bytes: _bytes,
    bool: lambda value: str(int(value)),
    int: str,
    float: repr,
    Decimal: lambda value: f"{value:f}",
    timedelta: _timedelta,
    datetime: _datetime,
    date: lambda value: f"'{value.isoformat()}'",
}


def insert(table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> str:
    """One INSERT of some rows.

    >>> insert("t", ("a", "b"), [(1, None), (2, "x")])
    "INSERT INTO `t` (`a`,`b`) VALUES (1,NULL),(2,'x')"
    """
    names = ",".join(f"`{column}`" for column in columns)
    values = ",".join(f"({','.join(map(literal, row))})" for row in rows)
    return f"INSERT INTO `{table}` ({names}) VALUES {values}"


def update(table: str, values: Mapping[str, Value], where: Mapping[str, Value]) -> str:
    """An UPDATE of the rows that have these values.

    >>> update("t", {"n": Expression("n + 1")}, {"id": 7})
    'UPDATE `t` SET `n`=n + 1 WHERE `id`=7'
    """
    settings = ",".join(f"`{column}`={literal(value)}" for column, value in values.items())
    return f"UPDATE `{table}` SET {settings} WHERE {condition(where)}"


def delete(table: str, where: Mapping[str, Value], *, limit: int | None = None) -> str:
    """A DELETE of the rows that have these values.

    >>> delete("t", {"a": None, "b": 1}, limit=1)
    'DELETE FROM `t` WHERE `a` IS NULL AND `b`=1 LIMIT 1'
    """
    end = "" if limit is None else f" LIMIT {limit}"
    return f"DELETE FROM `{table}` WHERE {condition(where)}{end}"


def condition(where: Mapping[str, Value]) -> str:
    """A WHERE condition that all these values meet, NULL included.

    >>> condition({"a": None, "b": "x"})
    "`a` IS NULL AND `b`='x'"
    """
    return " AND ".join(
        f"`{column}` IS NULL" if value is None else f"`{column}`={literal(value)}"
        for column, value in where.items()
    )


@dataclass
class Transaction:
    """Statements of one shard that commit together, in order; inserts in a row are gathered.

    rows: how many row changes they are expected to make; kinds: what members did, counted.

    >>> t = Transaction()
    >>> t.insert("t", {"id": 1}); t.insert("t", {"id": 2}); t.delete("t", {"id": 1})
    >>> t.statements(), t.rows
    (['INSERT INTO `t` (`id`) VALUES (1),(2)', 'DELETE FROM `t` WHERE `id`=1'], 3)
    """

    rows: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    _done: list[str] = field(default_factory=list)
    _open: dict[tuple[str, ...], list[tuple[Value, ...]]] = field(default_factory=dict)

    def insert(self, table: str, row: Mapping[str, Value]) -> None:
        """A new row."""
        gathered = self._open.setdefault((table, *row), [])
        gathered.append(tuple(row.values()))
        self.rows += 1
        if len(gathered) >= _ROWS_A_STATEMENT:
            self._close()

    def update(self, table: str, values: Mapping[str, Value], where: Mapping[str, Value]) -> None:
        """A change of one row."""
        self._close()
        self._done.append(update(table, values, where))
        self.rows += 1

    def delete(
        self, table: str, where: Mapping[str, Value], *, rows: int = 1, limit: int | None = None
    ) -> None:
        """The end of `rows` rows; nothing is sent for none."""
        if rows:
            self._close()
            self._done.append(delete(table, where, limit=limit))
            self.rows += rows

    def statements(self) -> list[str]:
        """What to send, in order."""
        self._close()
        return self._done

    def _close(self) -> None:
        for (table, *columns), rows in self._open.items():
            self._done.append(insert(table, columns, rows))
        self._open.clear()
