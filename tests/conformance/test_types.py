"""The type cases: the same value and the same destination type on all four paths."""

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from smug_platform.local.mariadb import connect
from smug_platform.settings import Settings
from tests.conformance.cases import PATHS, Typed, row_id
from tests.conformance.corpus import STAGES, Corpus
from tests.conformance.type_cases import TYPE_TABLES, ZERO_DATES, ZERO_DATES_NOT_NULL

_IN_WAREHOUSE = {
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "double": "DOUBLE",
    "decimal(10, 2)": "DECIMAL(10,2)",
    "decimal(20, 0)": "DECIMAL(20,0)",
    "decimal(38, 0)": "DECIMAL(38,0)",
    "decimal(38, 38)": "DECIMAL(38,38)",
}


# A column that takes no NULL is not added in mid-stream: the rows there would need a default.
_PATHS_OF_NOT_NULL = ("snapshot", "stream", "restart")


def _columns() -> Iterator[Any]:
    for table in TYPE_TABLES:
        for column in table.columns:
            yield pytest.param(table.name, column, id=f"{column.case}-{column.name}")


def _paths() -> Iterator[Any]:
    for table in TYPE_TABLES:
        for column in table.columns:
            xfail = [pytest.mark.xfail(reason=column.xfail)] if column.xfail else []
            for path in PATHS if column.null else _PATHS_OF_NOT_NULL:
                marks = xfail if path in column.xfail_on else []
                name = f"{column.case}-{column.name}-{path}"
                yield pytest.param(table.name, column, path, id=name, marks=marks)


@pytest.mark.parametrize(("table", "column"), list(_columns()))
def test_type_is_the_same_however_the_column_came(
    corpus: Corpus, table: str, column: Typed
) -> None:
    for stage in STAGES:
        found = corpus.table(table, stage)
        added = [f"{column.name}_added"] if column.null and stage != "snapshot" else []
        for name in (column.name, *added):
            assert found.lake.types[name] == column.lake
            assert found.warehouse.types[name] == _IN_WAREHOUSE[column.lake]


@pytest.mark.parametrize(("table", "column", "path"), list(_paths()))
def test_values_are_exact(corpus: Corpus, table: str, column: Typed, path: str) -> None:
    expected = [value for _, value in column.pairs]
    first_stage = {"snapshot": 0, "restart": 2}.get(path, 1)
    for stage in STAGES[first_stage:]:
        found = corpus.table(table, stage)
        for copy in (found.lake, found.warehouse):
            rows = {row["id"]: row for row in copy.live("shard_0")}
            held = [rows[row_id(path, index)] for index in range(len(expected))]
            assert [row[column.name] for row in held] == expected
            if path in {"added", "restart"} and column.null:
                assert [row[f"{column.name}_added"] for row in held] == expected


def _flagged() -> Iterator[Any]:
    for table in (ZERO_DATES, ZERO_DATES_NOT_NULL):
        for column in table.columns:
            if table.zero_dates.get(column.name) == "flag":
                yield pytest.param(table.name, column, id=f"{column.case}-{column.name}")


@pytest.mark.parametrize(("table", "column"), list(_flagged()))
def test_a_flag_tells_zero_dates_from_null_and_from_dates(
    corpus: Corpus, table: str, column: Typed
) -> None:
    expected = [literal != "NULL" and value is None for literal, value in column.pairs]
    for stage, path in zip(STAGES, ("snapshot", "stream", "restart", "restart"), strict=True):
        found = corpus.table(table, stage)
        for copy in (found.lake, found.warehouse):
            rows = {row["id"]: row for row in copy.live("shard_0")}
            held = [rows[row_id(path, index)] for index in range(len(expected))]
            assert [row[f"{column.name}_is_zero"] for row in held] == expected


def test_C01_zero_dates_are_counted(corpus: Corpus) -> None:
    """Of each row that came, on one path after the other and all of them once more in the replay;
    of the columns of the first table there are two from the stream on.
    """
    for table, each, paths in ((ZERO_DATES, 12, 6), (ZERO_DATES_NOT_NULL, 9, 3)):
        lake = corpus.stack.platform.lakehouse.catalog.load_table(f"lake.{table.name}")
        summaries = [snapshot.summary for snapshot in lake.snapshots()]
        counts = [
            int(summary.additional_properties.get("smug.zero_dates", "0"))
            for summary in summaries
            if summary is not None
        ]
        assert sum(counts) == 2 * paths * each


def test_C01_the_reconciliation_goes_by_the_contract(corpus: Corpus) -> None:
    found = corpus.compared
    assert [(one.shard, one.table, one.differences) for one in found if not one.equal] == []
    assert len(found) == 4


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        pytest.param("DATETIME", "timestamp", id="C09-C18"),
        pytest.param("TIMESTAMP", "timestamptz", id="C14"),
    ],
)
def test_times_are_those_of_servers_in_other_zones(
    corpus: Corpus, declared: str, kind: str
) -> None:
    """One server is in Chicago, by its machine first and then by name; the other has +05:30."""
    columns = [
        (table.name, column)
        for table in TYPE_TABLES
        for column in table.columns
        if column.ddl.startswith(declared)
    ]
    assert columns
    for name, column in columns:
        found = corpus.table(name)
        assert found.lake.types[column.name] == kind
        for shard, rows in found.source.items():
            held = {row["id"]: row[column.name] for row in found.lake.live(shard)}
            told = {row["id"]: row[column.name] for row in rows}
            given = {key: value for key, value in told.items() if not isinstance(value, str)}
            assert {key: held[key] for key in given} == given, "a zero date comes as text"


@pytest.mark.xfail(
    raises=pymysql.OperationalError,
    reason="MariaDB's JSON is LONGTEXT, whose text is kept as it was written (E10-doc); the binary"
    " JSON whose text depends on who prints it is MySQL's (5.7 and later)",
)
def test_E10_binary_json_has_one_text(shards: Settings) -> None:
    """What the server prints of a binary JSON is the text that the lake should hold."""
    with connect(shards.shards[0]) as cursor:
        cursor.execute("""SELECT JSON_STORAGE_SIZE('{"b": 1, "a": 2.50}')""")
        assert cursor.fetchone() is not None


@pytest.mark.xfail(
    raises=pymysql.OperationalError,
    reason="MariaDB has no binary JSON and no binlog_row_value_options; MySQL 8.0.3 and later have",
)
def test_E14_a_partial_json_update_is_not_dropped(shards: Settings) -> None:
    """A server that can write partial images has to be refused, or read right."""
    with connect(shards.shards[0]) as cursor:
        cursor.execute("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'")
        cursor.execute("SELECT @@SESSION.binlog_row_value_options")
        assert cursor.fetchone() == ("PARTIAL_JSON",)
