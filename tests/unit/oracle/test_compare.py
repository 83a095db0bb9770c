"""Comparing three sides, with relations made by hand; and the texts that make rows comparable."""

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest

from smug_platform.capture.position import Position
from smug_platform.oracle.arrival import Cut
from smug_platform.oracle.canonical import (
    Column,
    pieces,
    replica_text,
    shown,
    source_piece,
    source_text,
)
from smug_platform.oracle.compare import (
    Slice,
    beyond,
    compare,
    counts,
    load_lake,
    load_source,
    load_warehouse,
    missing,
    replica_query,
    replica_rows,
    types_of,
)
from smug_platform.oracle.differ import differences
from smug_platform.oracle.reconcile import find_ahead
from smug_platform.tables.table import Table

KEYED = Table(name="photos", domain="d", owner="o")
KEYLESS = Table(name="views", domain="d", owner="o", key=(), key_scope="shard")


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def relations(
    connection: duckdb.DuckDBPyConnection, **sides: list[tuple[str, str | None, int | None]]
) -> None:
    for name in ("source", "lake", "warehouse"):
        connection.execute(
            f"create or replace temp table {name} (k varchar, h varchar, late hugeint)"
        )
        if sides.get(name):
            connection.executemany(f"insert into {name} values (?, ?, ?)", sides[name])


@pytest.mark.parametrize(
    ("kind", "value", "type_", "text"),
    [
        ("bigint", 18446744073709551615, "decimal(20,0)", "18446744073709551615"),
        ("int", -5, "integer", "-5"),
        ("int", 5, "double", "5"),
        ("decimal", Decimal("-0.500000"), "decimal(9,6)", "-0.5"),
        ("decimal", Decimal("100"), "decimal(9,0)", "100"),
        ("decimal", Decimal("0.00"), "decimal(9,2)", "0"),
        ("decimal", "1200.1000", "varchar", "1200.1"),
        ("float", 16777217.0, "float", "16777216.0"),
        ("float", 0.1, "float", "0.10000000149011612"),
        ("varchar", "Heizöl ", "varchar", "Heizöl "),
        ("varchar", "", "varchar", ""),
        ("varchar", None, "varchar", None),
        ("binary", b"\x00\xff", "blob", "00FF"),
        ("bit", True, "boolean", "1"),
        ("bit", 257, "bigint", "257"),
        ("date", date(1, 1, 1), "date", "-719162"),
        ("datetime", datetime(9999, 12, 31, 23, 59, 59, 999999), "timestamp", "253402300799999999"),
        ("timestamp", datetime(2020, 1, 2, 3, 4, 5, 6, UTC), "timestamptz", "1577934245000006"),
        ("time", -3020399999999, "bigint", "-3020399999999"),
        ("year", 2009, "integer", "2009"),
        ("json", '{"a": 1}', "varchar", '{"a": 1}'),
    ],
)  # fmt: skip
def test_a_value_has_the_text_that_the_server_gives_it(
    connection: duckdb.DuckDBPyConnection, kind: str, value: object, type_: str, text: str | None
) -> None:
    connection.execute(f"create table t (v {type_})")
    connection.execute("insert into t values (?)", [value])
    expression = replica_text(Column("v", kind), types_of(connection, "t")["v"])
    assert connection.execute(f"select {expression} from t").fetchall() == [(text,)]


def test_pieces_can_be_told_apart_whatever_they_hold() -> None:
    for texts in (["a", "b"], ["a:1", ""], [None, "~"], ["2:é", None, "1:"]):
        joined = "".join("~" if t is None else f"{len(t.encode())}:{t}" for t in texts)
        assert pieces(joined) == texts


def test_the_servers_expressions() -> None:
    assert source_text(Column("z", "int")) == "CAST(`z` + 0 AS CHAR)"
    assert source_text(Column("f", "float")) == "CAST(`f` + 0E0 AS CHAR)"
    assert "TIMESTAMPDIFF(MICROSECOND" in source_text(Column("t", "time"))
    assert source_piece("x").startswith("COALESCE(CONCAT(LENGTH(x)")


def test_what_people_read() -> None:
    assert shown(Column("d", "date"), "-719162") == "0001-01-01"
    assert shown(Column("t", "time"), "-1500000") == "-1.500000 s"
    assert shown(Column("d", "date"), "9999999999") == "9999999999"
    assert shown(Column("b", "blob"), "00FF") == "0x00FF"


def test_equal_sides_are_equal_and_each_kind_of_difference_is_found(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows: list[tuple[str, str | None, int | None]] = [("a", "1", None), ("b", "2", None)]
    relations(connection, source=rows, lake=rows, warehouse=rows)
    assert compare(connection).different == frozenset()
    for side in ("lake", "warehouse", "source"):
        sides = dict.fromkeys(("source", "lake", "warehouse"), rows)
        for other in (rows[:1], [*rows, ("c", "3", None)], [rows[0], ("b", "9", None)]):
            relations(connection, **{**sides, side: other})
            assert len(compare(connection).different) == 1
        relations(connection, **{**sides, side: [*rows, rows[0]]})
        assert compare(connection).different == {"a"}
        twice = 2
        assert twice in counts(connection, ["a"])["a"]


def test_what_changed_since_is_left_out(connection: duckdb.DuckDBPyConnection) -> None:
    source: list[tuple[str, str | None, int | None]] = [("a", "1", None), ("b", "2", None)]
    lake: list[tuple[str, str | None, int | None]] = [("a", "9", 11), ("b", None, 11)]
    relations(connection, source=source, lake=lake, warehouse=[("a", "1", None)])
    found = compare(connection)
    assert (found.rows, found.late, found.different) == (2, 2, frozenset())


def test_what_stands_after_the_source_was_not_changed_since(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """A lake of epoch 2 under a capture that has fallen back to epoch 1."""
    since, later = Position(1, 7, 300).ordinal, Position(2, 1, 50).ordinal
    source: list[tuple[str, str | None, int | None]] = [("a", "1", None), ("b", "2", None)]
    lake: list[tuple[str, str | None, int | None]] = [("a", "1", since), ("b", "9", later)]
    relations(connection, source=source, lake=lake, warehouse=[*source, ("c", None, later)])
    assert compare(connection).different == frozenset()
    assert beyond(connection, Position(1, 7, 200).ordinal) == (3, later, later)
    found = find_ahead(connection, Cut("shard_0", 1, 7, 400))
    assert found is not None
    assert found.keys == 2
    assert str(found.difference) == (
        "2 rows _position: source is only at 1/7:400, lake 2/1:50#0, warehouse 2/1:50#0"
    )
    assert find_ahead(connection, Cut("shard_0", 2, 1, 50)) is None


def test_floats_are_compared_as_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    columns = (Column("id", "int"), Column("rating", "float"))
    cut = Slice(KEYED, "s", columns, 10, {})
    connection.execute(
        "create table t as select 1 as id, 0.1::float as rating, 's' as _shard,"
        " 5::decimal(38,0) as _position, false as _is_deleted, null::varchar as _moved_to"
    )
    text = repr(0.10000000149011612)
    (row,) = connection.execute("select md5('1:1')").fetchall()
    for given, equal in ((text, True), ("0.1", False), (None, False)):
        part = pa.table([["1:1"], [row[0]], pa.array([given], pa.string())], names=["k", "h", "f0"])
        load_source(connection, [part], 1)
        query = replica_query(cut, "t", types_of(connection, "t"))
        connection.execute(f"create or replace temp table lake as {query}")
        connection.execute("create or replace temp table warehouse as from lake")
        assert (compare(connection).different == frozenset()) is equal


def test_rows_of_a_table_without_a_key_are_counted(connection: duckdb.DuckDBPyConnection) -> None:
    cut = Slice(KEYLESS, "s", (Column("v", "varchar"),), 10, {})
    connection.execute(
        "create table t as select unnest(['a', 'a', 'b', 'gone', 'new']) as v, 's' as _shard,"
        " unnest([1, 1, 1, 1, 11])::decimal(38,0) as _position,"
        " unnest([false, false, false, true, false]) as _is_deleted, null::varchar as _moved_to"
    )
    query = replica_query(cut, "t", types_of(connection, "t"))
    connection.execute(f"create or replace temp table lake as {query}")
    connection.execute("create or replace temp table warehouse as from lake")
    hashes = connection.execute("select md5('1:a'), md5('1:b')").fetchall()[0]
    for numbers, different in (((2, 1), 0), ((1, 1), 1), ((2, 0), 1)):
        keys = [key for key, n in zip(hashes, numbers, strict=True) for _ in range(n)]
        load_source(connection, [pa.table([keys, keys], names=["k", "h"])], 0)
        found = compare(connection)
        assert (len(found.different), found.late) == (different, 1)


def test_a_replica_that_is_not_there_or_lacks_a_column_holds_nothing(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    cut = Slice(KEYED, "s", (Column("id", "int"), Column("title", "text")), 10, {"title": "name"})
    load_lake(connection, None, cut)
    load_warehouse(connection, None, cut)
    assert connection.execute("select count(*) from lake").fetchall() == [(0,)]
    assert missing(cut, ["id", "name"]) == []
    assert missing(cut, ["id", "title"]) == ["title"]
    connection.execute("create schema warehouse; create table warehouse.photos (id int)")
    load_warehouse(connection, connection, cut)
    assert connection.execute("select count(*) from warehouse").fetchall() == [(0,)]
    assert replica_rows(connection, "warehouse.photos", cut, ["1:1"]) == {}


def test_what_differs_is_shown_with_its_values(connection: duckdb.DuckDBPyConnection) -> None:
    columns = (Column("id", "int"), Column("title", "text"))
    cut = Slice(KEYED, "s", columns, 10, {})
    connection.execute(
        "create schema warehouse; create table warehouse.photos as select 1 as id, '' as title,"
        " 's' as _shard, 5::decimal(38,0) as _position, false as _is_deleted,"
        " null::varchar as _moved_to"
    )
    same: list[tuple[str, str | None, int | None]] = [("1:1", "x", None), ("1:2", "y", None)]
    relations(connection, source=same, warehouse=[("1:1", "z", None)])
    compare(connection)

    class View:
        def rows(self, *_: object) -> dict[str, list[str | None]]:
            return {"1:1": ["1", None], "1:2": ["2", "b"]}

    found = differences(connection, cut, ["1:1", "1:2"], (View(), None, connection))  # type: ignore[arg-type]
    assert [str(one) for one in found] == [
        "id=1 (rows): source 1, lake 0, warehouse 1",
        "id=1 title: source NULL, lake no row, warehouse ''",
        "id=2 (rows): source 1, lake 0, warehouse 0",
    ]
