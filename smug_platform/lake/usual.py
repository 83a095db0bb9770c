"""Decoding as it usually goes: each image has all columns of the plan, and none beside them.

The compiled scanner finds the values and reads them, a piece on each core. What it does not know,
or a value that is not what its column holds, is left to `decode`, which says what is wrong with
which row.
"""

from dataclasses import dataclass
from functools import partial

import duckdb
import numpy as np
import orjson
import pyarrow as pa

from smug_platform.lake import cells
from smug_platform.lake.columns import Column, identifier
from smug_platform.lake.target import Target
from smug_platform.raw.deltas import PLACE
from smug_platform.raw.views import content, of_texts
from smug_platform.scan import native
from smug_platform.scan.native import Array, Odd, Values

_FAILED = (duckdb.InvalidInputException, duckdb.ConversionException)
_TAKEN = ["op", "shard", *PLACE, "committed_at"]
_POSITION = pa.decimal128(38, 0)


@dataclass(frozen=True)
class _Reading:
    """What is read of each image. names: on the wire, in the order of the columns; places: of each
    column's among them.
    """

    columns: list[Column]
    names: list[bytes]
    places: list[int]
    has_key: bool

    def is_native(self, column: Column) -> bool:
        """Whether the scanner reads the column's values."""
        return not column.fills and cells.reader(column.type) is not None


def usual(
    connection: duckdb.DuckDBPyConnection, target: Target, columns: list[Column], deltas: pa.Table
) -> pa.Table | None:
    """The events of the deltas as `decode` gives them; None where something is not as usual."""
    try:
        wire = _names(deltas, columns)
        names = list(dict.fromkeys(wire))
        places = [names.index(name) for name in wire]
        reading = _Reading(columns, names, places, bool(target.table.key))
        given = deltas.select(_TAKEN)
        found = pa.concat_tables(of_texts(partial(_read, reading, given), deltas["payload"]))
        found = _evaluated(connection, reading, found)
    except (Odd, *_FAILED):
        return None
    return None if any(found[name].null_count for name in target.table.key) else found


def _names(deltas: pa.Table, columns: list[Column]) -> list[bytes]:
    """The names on the wire of the columns, by the first image. Raises Odd."""
    if not deltas.num_rows or any(deltas[name].null_count for name in PLACE):
        raise Odd
    try:
        first = orjson.loads(deltas["payload"][0].as_py())
        image = first["after"] or first["before"]
        found = [[name for name in column.wire if name in image] for column in columns]
    except (TypeError, KeyError, ValueError):
        raise Odd from None
    if any(len(names) != 1 or orjson.dumps(names[0])[1:-1] != names[0].encode() for names in found):
        raise Odd
    return [names[0].encode() for names in found]


def _read(reading: _Reading, deltas: pa.Table, payloads: pa.Array, first: int) -> pa.Table:
    """The events of some deltas. payloads: theirs; first: the number of the first. Raises Odd."""
    deltas = deltas.slice(first, len(payloads))
    text, bounds = content(payloads)
    spans, is_read = native.images(text, bounds.astype(np.int64))
    op = deltas["op"].to_numpy()
    if not is_read.all():
        raise Odd
    row, sign, span = _chosen(op, spans, has_key=reading.has_key)
    values = Values(text, *span, reading.names, others=False)
    if (values.found != len(reading.names)).any():
        raise Odd
    given = deltas if reading.has_key else deltas.take(pa.array(row))
    events = {
        "_i": row + first,
        "_op": given["op"].cast(pa.string()),
        "_sign": sign,
        "_same": ((op == "u") & native.same(text, spans))[row],
        "_shard": given["shard"].cast(pa.string()),
        "_position": _positions(given),
        "_committed_at": given["committed_at"].cast(pa.timestamp("us")),
    }
    zeros = np.zeros(len(row), np.int16)
    for place, column in zip(reading.places, reading.columns, strict=True):
        read = cells.reader(column.type) if reading.is_native(column) else None
        events[column.name] = (
            read(values, place) if read else cells.text(values, place, literals=True)
        )
        found = events[column.name]
        if column.type.none and not (
            read and cells.lacks_zero_dates(column.type, values, place, found)
        ):
            zeros += cells.zero_dates(column.type, values, place)
    return pa.table({**events, "_zeros": zeros})


def _chosen(op: Array, spans: Array, *, has_key: bool) -> tuple[Array, Array, tuple[Array, Array]]:
    """Of each event the number of its delta, its sign, and where its image begins and ends: for a
    table without a key, both images of an update.
    """
    goes = op == "d"
    if has_key:
        row, is_before = np.arange(len(op)), goes
    else:
        lost = np.flatnonzero(goes | (op == "u"))
        row = np.concatenate([lost, np.flatnonzero(~goes)])
        is_before = np.arange(len(row)) < len(lost)
    sign = np.where(is_before & (not has_key), -1, 1).astype(np.int32)
    begin, end = (np.where(is_before, spans[row, at], spans[row, at + 2]) for at in (0, 1))
    return row, sign, (begin, end)


def _positions(deltas: pa.Table) -> pa.Array:
    places = native.positions(*(deltas[name].to_numpy() for name in PLACE))
    return cells.fixed(_POSITION, places, np.ones(len(places), bool))


def _evaluated(
    connection: duckdb.DuckDBPyConnection, reading: _Reading, found: pa.Table
) -> pa.Table:
    """The events with the values of the columns whose texts the scanner leaves to DuckDB."""
    others = [column for column in reading.columns if not reading.is_native(column)]
    if not others:
        return found
    if any(column.fills and not column.type.can_raise for column in others):
        raise Odd  # a value that can't be read would look like one that is not there
    names = [column.name for column in others]
    connection.register("texts", found.select([*names, "_shard", "_position"]))
    values = ", ".join(
        f"{column.expression(identifier(column.name), raises=True)} as {identifier(column.name)}"
        for column in others
    )
    read = connection.sql(f"select {values} from texts").to_arrow_table()
    for column in others:
        name, number = column.name, found.column_names.index(column.name)
        if not column.fills and read[name].null_count != found[name].null_count:
            raise Odd  # it gave NULL for what it can't read
        found = found.set_column(number, name, read[name])
    return found
