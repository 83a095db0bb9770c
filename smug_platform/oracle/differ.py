"""What differs: the values of single rows on the three sides, as a person reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
from pyiceberg.table import Table as Iceberg

from smug_platform.oracle.canonical import Column, pieces, quoted, shown
from smug_platform.oracle.compare import Slice, counts, missing, replica_rows, types_of
from smug_platform.oracle.shard import View

_Rows = dict[str, list[str | None]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not the same on three sides. column: `(rows)` where their number differs."""

    key: str
    column: str
    source: str
    lake: str
    warehouse: str

    def __str__(self) -> str:
        """
        >>> str(Difference("id=7", "title", "'a'", "'b'", "'b'"))
        "id=7 title: source 'a', lake 'b', warehouse 'b'"
        """
        return (
            f"{self.key} {self.column}: source {self.source}, lake {self.lake},"
            f" warehouse {self.warehouse}"
        )


def differences(
    connection: duckdb.DuckDBPyConnection,
    cut: Slice,
    keys: Sequence[str],
    sides: tuple[View, Iceberg | None, duckdb.DuckDBPyConnection | None],
) -> list[Difference]:
    """What differs in the rows with those keys, on a connection in which they were compared."""
    view, lake, warehouse = sides
    replica = f"warehouse.{quoted(cut.table.name)}"
    lake_names = [field.name for field in lake.schema().fields] if lake else []
    warehouse_names = list(types_of(warehouse, replica)) if warehouse else []
    found = list(_columns(cut, lake_names, warehouse_names))
    rows = (
        view.rows(cut.table, cut.columns, keys),
        _lake_rows(connection, lake, cut, keys),
        replica_rows(warehouse, replica, cut, keys) if warehouse else {},
    )
    numbers = counts(connection, keys)
    for key in keys:
        found += _of_key(cut, key, numbers.get(key, (0, 0, 0)), rows)
    return found


def _columns(cut: Slice, lake: Sequence[str], warehouse: Sequence[str]) -> Iterator[Difference]:
    """The columns that a replica lacks; a replica that is not there at all lacks no column."""
    for name in cut.columns:
        sides = [
            "no column" if names and missing(cut, names) and cut.held_as(name) not in names else "-"
            for names in (lake, warehouse)
        ]
        if sides != ["-", "-"]:
            yield Difference("all rows", name.name, name.type, *sides)


def _lake_rows(
    connection: duckdb.DuckDBPyConnection, lake: Iceberg | None, cut: Slice, keys: Sequence[str]
) -> _Rows:
    if lake is None:
        return {}
    connection.register("part", lake.scan().to_arrow_batch_reader())
    try:
        return replica_rows(connection, "part", cut, keys)
    finally:
        connection.unregister("part")


def _of_key(
    cut: Slice, key: str, numbers: tuple[int, int, int], sides: tuple[_Rows, _Rows, _Rows]
) -> Iterator[Difference]:
    rows = [side.get(key) for side in sides]
    name = _key_shown(cut, key, next(filter(None, rows), None))
    if len(set(numbers)) > 1:
        yield Difference(name, "(rows)", *map(str, numbers))
    for place, column in enumerate(cut.columns):
        values = [None if row is None else shown(column, row[place]) for row in rows]
        present = {_comparable(column, value) for value in values if value is not None}
        if len(present) > 1:
            yield Difference(name, column.name, *(value or "no row" for value in values))


def _comparable(column: Column, value: str) -> str | float:
    return float(value) if column.kind == "float" and value != "NULL" else value


def _key_shown(cut: Slice, key: str, row: Sequence[str | None] | None) -> str:
    if cut.table.key:
        return ", ".join(f"{n}={t}" for n, t in zip(cut.table.key, pieces(key), strict=True))
    texts = row or []
    return ", ".join(f"{c.name}={shown(c, t)}" for c, t in zip(cut.columns, texts, strict=False))
