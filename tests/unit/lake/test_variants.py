"""Columns of several types: what their values read as, in DuckDB."""

from base64 import b64encode
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import DecimalType, DoubleType, IcebergType, LongType, NestedField

from smug_platform.errors import LakeError
from smug_platform.lake.columns import Column, fitted
from smug_platform.lake.state import State
from smug_platform.lake.target import Target
from smug_platform.lake.types import LakeType, SourceColumn, lake_type
from smug_platform.lake.variants import as_wide, common
from smug_platform.tables.table import Table

TARGET = Target(Table(name="samples", domain="tests", owner="team:tests"))
BITS = b64encode((0x010203).to_bytes(3, "little")).decode()


def value(kind: LakeType, text: str, *, raises: bool = False) -> Any:
    """What a text on the wire reads as."""
    found = duckdb.execute(
        f"select {kind.expression('t', raises=raises)} from (select ? as t)", [text]
    )
    return found.fetchall()[0][0]


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize(
    ("column", "wide", "text", "expected"),
    [
        (SourceColumn("b", "BIT", 24), DecimalType(20, 0), BITS, Decimal(0x010203)),
        (SourceColumn("b", "BIT", 64), DecimalType(22, 2), BITS, Decimal(0x010203)),
        (SourceColumn("b", "INT"), LongType(), "7", 7),
        (SourceColumn("b", "BIGINT"), DecimalType(21, 2), "-7", Decimal(-7)),
        (SourceColumn("b", "FLOAT"), DoubleType(), "0.1", 0.1),
    ],
)
def test_B04_a_wider_type_holds_the_same_values(
    column: SourceColumn, wide: IcebergType, text: str, expected: Any, raises: bool
) -> None:
    kind = as_wide(lake_type(column), wide)
    assert kind.iceberg == wide
    assert value(kind, text, raises=raises) == expected


def test_bits_that_are_none_read_null_as_a_wider_type_too() -> None:
    assert value(as_wide(lake_type(SourceColumn("b", "BIT", 24)), DecimalType(20, 0)), "!") is None


def test_what_is_no_number_raises_as_a_wider_type_too() -> None:
    kind = as_wide(lake_type(SourceColumn("n", "INT")), LongType())
    assert kind.can_raise
    with pytest.raises(duckdb.ConversionException):
        value(kind, "seven", raises=True)


def test_bits_of_any_width_are_read_together() -> None:
    narrow, wide = SourceColumn("b", "BIT", 24), SourceColumn("b", "BIT", 64)
    for variants in ([narrow, wide], [wide, narrow]):
        assert value(common("samples", variants), BITS) == Decimal(0x010203)


@pytest.mark.parametrize("other", [SourceColumn("b", "BIGINT"), SourceColumn("b", "DECIMAL", 5, 1)])
def test_bits_and_numbers_are_not_read_together(other: SourceColumn) -> None:
    bits = SourceColumn("b", "BIT", 24)
    for variants in ([bits, other], [other, bits]):
        with pytest.raises(LakeError, match=r"samples\.b is .*different forms"):
            common("samples", variants)


def test_what_the_table_cannot_hold_is_told_with_the_tables_name() -> None:
    columns = [Column("b", lake_type(SourceColumn("b", "DATE")), ("b",))]
    schema = Schema(NestedField(1, "b", LongType()))
    with pytest.raises(LakeError, match=r"samples\.b changed from long to date"):
        fitted(TARGET, columns, State(), schema)
