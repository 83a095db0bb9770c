"""Values on the wire to values in the lake, and what can't be read."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.raw.quarantine import open_quarantine
from smug_platform.tables.table import Table
from tests.history import Shard, column
from tests.unit.lake.test_merge import land, new_catalog, rows

TABLE = Table(name="samples", domain="tests", owner="team:tests")
ID = column("id", "BIGINT UNSIGNED")
U64 = 2**64 - 1


@pytest.mark.parametrize(
    ("spec", "wire", "value"),
    [
        pytest.param({"typeName": "MEDIUMINT"}, -8388608, -8388608, id="A03"),
        pytest.param({"typeName": "MEDIUMINT UNSIGNED"}, 16777215, 16777215, id="A03-unsigned"),
        pytest.param({"typeName": "INT UNSIGNED"}, 4294967295, 4294967295, id="A04"),
        pytest.param({"typeName": "BIGINT UNSIGNED"}, U64, Decimal(U64), id="A05"),
        pytest.param({"typeName": "BIGINT UNSIGNED"}, 2**63, Decimal(2**63), id="A05-half"),
        pytest.param({"typeName": "INT ZEROFILL", "length": 5}, 42, 42, id="A07"),
        pytest.param({"typeName": "TINYINT", "length": 1}, 127, 127, id="A08"),
        pytest.param({"typeName": "TINYINT", "length": 1}, -1, -1, id="A08-negative"),
        pytest.param(
            {"typeName": "DECIMAL", "length": 10, "scale": 2}, "-0.01", Decimal("-0.01"), id="B01"
        ),
        pytest.param(
            {"typeName": "DECIMAL", "length": 65, "scale": 30},
            "12345678901234567890123456789012345.123456789012345678901234567890",
            "12345678901234567890123456789012345.123456789012345678901234567890",
            id="B03",
        ),
        pytest.param({"typeName": "FLOAT"}, 1.6777216e7, 16777216.0, id="B06"),
        pytest.param({"typeName": "DOUBLE"}, 5e-324, 5e-324, id="B08"),
        pytest.param({"typeName": "DATE"}, -354285, date(1000, 1, 1), id="C05"),
        pytest.param(
            {"typeName": "DATETIME", "length": 6},
            253402300799999999,
            datetime(9999, 12, 31, 23, 59, 59, 999999),
            id="C06",
        ),
        pytest.param(
            {"typeName": "DATETIME", "length": 6},
            -500000,
            datetime(1969, 12, 31, 23, 59, 59, 500000),
            id="C07",
        ),
        pytest.param(
            {"typeName": "TIMESTAMP", "length": 3},
            "2020-01-02T03:04:05.678Z",
            datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
            id="C10",
        ),
        pytest.param({"typeName": "TIME"}, -3020399000000, -3020399000000, id="C15"),
        pytest.param({"typeName": "YEAR"}, 2155, 2155, id="C16"),
        pytest.param({"typeName": "VARCHAR"}, "", "", id="D02"),
        pytest.param({"typeName": "TEXT"}, "a\u0000b 🎉 é", "a\u0000b 🎉 é", id="D03"),
        pytest.param({"typeName": "VARCHAR"}, "Heizölrückstoß", "Heizölrückstoß", id="D04"),
        pytest.param({"typeName": "BINARY"}, "AQIAAA==", b"\x01\x02\x00\x00", id="D10"),
        pytest.param({"typeName": "VARBINARY"}, "AAA=", b"\x00\x00", id="D11"),
        pytest.param({"typeName": "BIT", "length": 1}, True, True, id="E07"),
        pytest.param({"typeName": "BIT", "length": 8}, "/w==", 255, id="E08-8"),
        pytest.param({"typeName": "BIT", "length": 9}, "VQE=", 341, id="E08-9"),
        pytest.param({"typeName": "BIT", "length": 64}, "//////////8=", Decimal(U64), id="E09"),
        pytest.param({"typeName": "JSON"}, '{"b": 1.0, "a":1}', '{"b": 1.0, "a":1}', id="E10"),
        pytest.param({"typeName": "SET"}, "x,z", "x,z", id="E06"),
        pytest.param({"typeName": "POINT"}, {"wkb": "AA==", "srid": 4326}, None, id="E17-text"),
    ],
)
def test_value(tmp_path: Path, spec: dict[str, Any], wire: Any, value: Any) -> None:
    found = merged(tmp_path, column("v", "") | spec, [wire, None])
    if value is None:
        assert found[0].replace(" ", "") == '{"wkb":"AA==","srid":4326}'
    else:
        assert found[0] == value
        assert not isinstance(value, float) or math.copysign(1, found[0]) == math.copysign(1, value)
    assert found[1] is None


def merged(folder: Path, spec: dict[str, Any], values: list[Any]) -> list[Any]:
    catalog = new_catalog(folder)
    shard = Shard("shard_0", "samples", [ID, spec])
    shard.snapshot()
    shard.insert(*[{"id": n, "v": value} for n, value in enumerate(values)])
    land(catalog, shard.deltas)
    result = merge(catalog, Target(TABLE))
    assert result.quarantined == 0
    return [row["v"] for row in sorted(rows(catalog, Target(TABLE)), key=lambda row: row["id"])]


@pytest.mark.parametrize(
    ("kind", "wire", "reason"),
    [
        ("INT", "abc", "v is not of type int"),
        ("BIGINT UNSIGNED", -(10**21), "v is not of type decimal(20, 0)"),
        ("BINARY", "!!", "v is not of type binary"),
    ],
)
def test_unreadable_value_goes_to_quarantine(
    tmp_path: Path, kind: str, wire: Any, reason: str
) -> None:
    catalog = new_catalog(tmp_path)
    shard = Shard("shard_0", "samples", [ID, column("v", kind)])
    shard.snapshot()
    shard.insert({"id": 1, "v": wire})
    shard.insert({"id": 2, "v": None})
    land(catalog, shard.deltas)
    assert merge(catalog, Target(TABLE)).quarantined == 1
    assert [row["id"] for row in rows(catalog, Target(TABLE))] == [2]
    (entry,) = open_quarantine(catalog).scan().to_arrow().to_pylist()
    assert entry["reason"] == reason
    assert b'"id":1' in entry["payload"]
    assert entry["place"] == "1/1:304#0"


def test_column_that_the_schema_does_not_know_goes_to_quarantine(tmp_path: Path) -> None:
    """G24: a column added without the binlog's knowledge."""
    catalog = new_catalog(tmp_path)
    shard = Shard("shard_0", "samples", [ID])
    shard.snapshot()
    shard.insert({"id": 1, "secret": 5})
    land(catalog, shard.deltas)
    assert merge(catalog, Target(TABLE)).quarantined == 1
    (entry,) = open_quarantine(catalog).scan().to_arrow().to_pylist()
    assert entry["reason"] == "not in the schema in force: secret"


def test_quarantine_holds_a_change_once(tmp_path: Path) -> None:
    catalog = new_catalog(tmp_path)
    shard = Shard("shard_0", "samples", [ID, column("v", "INT")])
    shard.snapshot()
    shard.insert({"id": 1, "v": "abc"})
    for _ in range(2):
        land(catalog, shard.deltas)
        merge(catalog, Target(TABLE))
    assert open_quarantine(catalog).scan().to_arrow().num_rows == 1


def test_lake_types_are_the_declared_ones(tmp_path: Path) -> None:
    catalog = new_catalog(tmp_path)
    shard = Shard("shard_0", "samples", [ID, column("at", "DATETIME"), column("ts", "TIMESTAMP")])
    shard.snapshot()
    land(catalog, shard.deltas)
    merge(catalog, Target(TABLE))
    schema = catalog.load_table("lake.samples").schema().as_arrow()
    assert schema.field("id").type == pa.decimal128(20, 0)
    assert schema.field("at").type == pa.timestamp("us")
    assert schema.field("ts").type == pa.timestamp("us", "UTC")
