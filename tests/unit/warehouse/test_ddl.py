from datetime import UTC, datetime

import pyarrow as pa
import pytest

from smug_platform.errors import WarehouseError
from smug_platform.warehouse import ddl
from smug_platform.warehouse.ddl import Column


def test_each_lake_type_has_a_column_type() -> None:
    schema = pa.schema(
        [
            ("flag", pa.bool_()),
            ("small", pa.int32()),
            ("big", pa.int64()),
            ("unsigned", pa.decimal128(20, 0)),
            ("price", pa.decimal128(10, 2)),
            ("single", pa.float32()),
            ("ratio", pa.float64()),
            ("text", pa.string()),
            ("long_text", pa.large_string()),
            ("bytes", pa.binary()),
            ("long_bytes", pa.large_binary()),
            ("hash", pa.binary(16)),
            ("day", pa.date32()),
            ("wall_clock", pa.timestamp("us")),
            ("instant", pa.timestamp("us", "UTC")),
        ]
    )
    assert [column.type for column in ddl.columns(schema)] == [
        "BOOLEAN",
        "INTEGER",
        "BIGINT",
        "DECIMAL(20,0)",
        "DECIMAL(10,2)",
        "FLOAT",
        "DOUBLE",
        "VARCHAR",
        "VARCHAR",
        "BLOB",
        "BLOB",
        "BLOB",
        "DATE",
        "TIMESTAMP",
        "TIMESTAMP WITH TIME ZONE",
    ]


@pytest.mark.parametrize(
    "arrow", [pa.timestamp("ns"), pa.decimal256(40, 0), pa.list_(pa.int32()), pa.uint64()]
)
def test_a_type_that_would_lose_something_is_refused(arrow: pa.DataType) -> None:
    with pytest.raises(WarehouseError, match="column 'x' has the type"):
        ddl.columns(pa.schema([("x", arrow)]))


def test_create_table_text() -> None:
    columns = [Column("id", "DECIMAL(20,0)"), Column('odd"name', "VARCHAR")]
    assert ddl.create_table("photos", columns) == (
        'create or replace table warehouse."photos" (\n'
        '  "id" DECIMAL(20,0),\n'
        '  "odd""name" VARCHAR\n'
        ")"
    )


def test_evolve_adds_and_widens_and_leaves_the_rest() -> None:
    current = [
        Column("id", "DECIMAL(20,0)"),
        Column("bytes", "INTEGER"),
        Column("price", "DECIMAL(10,2)"),
        Column("wide_already", "BIGINT"),
        Column("retired", "VARCHAR"),
    ]
    wanted = [
        Column("id", "DECIMAL(20,0)"),
        Column("bytes", "BIGINT"),
        Column("price", "DECIMAL(14,4)"),
        Column("wide_already", "INTEGER"),
        Column("alt_text", "VARCHAR"),
    ]
    assert ddl.evolve("photos", current, wanted) == (
        'alter table warehouse."photos" alter column "bytes" type BIGINT',
        'alter table warehouse."photos" alter column "price" type DECIMAL(14,4)',
        'alter table warehouse."photos" add column "alt_text" VARCHAR',
    )


@pytest.mark.parametrize(("held", "wanted"), [("BOOLEAN", "DATE"), ("BLOB", "VARCHAR")])
def test_a_change_that_would_lose_values_is_refused(held: str, wanted: str) -> None:
    with pytest.raises(WarehouseError, match="load the table in full"):
        ddl.evolve("photos", [Column("x", held)], [Column("x", wanted)])


def test_delete_and_insert_texts() -> None:
    assert ddl.delete_changed("accounts_history", ("_shard", "id", "_position"), "feed") == (
        'delete from warehouse."accounts_history" as t using feed as f\n'
        'where t."_shard" = f."_shard" and t."id" = f."id" and t."_position" = f."_position"'
    )
    columns = [Column("id", "BIGINT"), Column("_shard", "VARCHAR")]
    assert ddl.insert("photos", columns, "feed", datetime(2026, 3, 1, 12, tzinfo=UTC)) == (
        'insert into warehouse."photos" ("id", "_shard", "_loaded_at")\n'
        'select "id", "_shard", timestamptz \'2026-03-01 12:00:00+00:00\' from feed'
    )


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        ("INTEGER", "BIGINT", True),
        ("BIGINT", "INTEGER", False),
        ("FLOAT", "DOUBLE", True),
        ("BIGINT", "DOUBLE", False),
        ("DECIMAL(10,2)", "DECIMAL(12,4)", True),
        ("DECIMAL(10,2)", "DECIMAL(12,2)", True),
        ("DECIMAL(10,2)", "DECIMAL(11,4)", False),
        ("DECIMAL(38,0)", "VARCHAR", True),
        ("INTEGER", "DECIMAL(20,0)", True),
        ("BIGINT", "DECIMAL(20,2)", False),
        ("VARCHAR", "BLOB", False),
        ("DATE", "TIMESTAMP", True),
        ("BLOB", "BLOB", False),
    ],
)
def test_widens(narrow: str, wide: str, expected: bool) -> None:
    assert ddl.widens(narrow, wide) is expected
