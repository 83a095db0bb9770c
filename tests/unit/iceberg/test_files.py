"""Reading: the rows that are asked for, out of the row groups that hold them."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import DecimalType, LongType, NestedField

from smug_platform import iceberg
from smug_platform.iceberg import FILE, ROW, Change, datafiles
from smug_platform.iceberg.catalog import LocalCatalog
from tests.unit.iceberg.tables import NAME, SCHEMA, files_of, load, new_catalog, put, rows


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCatalog:
    monkeypatch.setattr(datafiles, "_GROUP", 10)
    monkeypatch.setattr(datafiles, "_MEASURED", 50)
    catalog = new_catalog(tmp_path)
    iceberg.create(catalog, NAME, SCHEMA)
    put(load(catalog), *range(100))
    put(load(catalog), *range(100, 105))
    return catalog


def test_rows_come_from_their_row_groups_only(
    catalog: LocalCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []
    inner = pq.ParquetFile.read_row_groups

    def note(file: pq.ParquetFile, groups: list[int], **more: Any) -> Any:
        read.append(groups)
        return inner(file, groups, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", note)
    files = files_of(load(catalog))
    assert [file.record_count for file in files.data] == [5, 100]
    places = [(1, 99), (0, 3), (1, 2), (1, 90), (1, 35)]
    found = files.rows_at(
        pa.table(
            {
                FILE: pa.array([file for file, _ in places], pa.int32()),
                ROW: pa.array([row for _, row in places], pa.int64()),
            }
        )
    )
    assert sorted(read) == [[0], [0, 3, 9]]
    expected = {(1, 99, 99), (0, 3, 103), (1, 2, 2), (1, 90, 90), (1, 35, 35)}
    got = zip(*(found[name].to_pylist() for name in (FILE, ROW, "id")), strict=True)
    assert set(got) == expected


def test_no_places_no_rows(catalog: LocalCatalog) -> None:
    places = pa.schema([(FILE, pa.int32()), (ROW, pa.int64())]).empty_table()
    found = files_of(load(catalog)).rows_at(places)
    assert (found.num_rows, found.column_names) == (0, ["id", "title", FILE, ROW])


def test_larger_files_have_bounds_and_small_ones_their_count(catalog: LocalCatalog) -> None:
    small, large = files_of(load(catalog)).data
    assert not small.lower_bounds
    assert large.lower_bounds[1] == (0).to_bytes(8, "little")
    assert large.upper_bounds[1] == (99).to_bytes(8, "little")
    # pyiceberg prunes by them, and does not prune what has none.
    found = load(catalog).scan("id >= 99").to_arrow()["id"].to_pylist()
    assert sorted(found) == [99, 100, 101, 102, 103, 104]


def test_deletes_of_several_files_stand_in_one(catalog: LocalCatalog) -> None:
    table = load(catalog)
    files = files_of(table)
    held = files.read(["id"])
    gone = held.filter(pa.compute.is_in(held["id"], pa.array([0, 55, 101])))
    transaction = table.transaction()
    change = Change(rows(0), gone.select([FILE, ROW]))
    iceberg.commit(transaction, files, change, summary={})
    transaction.commit_transaction()
    after = files_of(load(catalog))
    assert len(after.deletes) == 1
    found = {path: sorted(rows.tolist()) for path, rows in after.deleted().items()}
    small, large = files.data
    assert found == {small.file_path: [1], large.file_path: [0, 55]}
    with table.io.new_input(after.deletes[0].file_path).open() as stream:
        written = pq.read_table(stream)
    assert written["file_path"].to_pylist() == sorted(written["file_path"].to_pylist())
    assert load(catalog).scan().to_arrow().num_rows == after.rows == 103


def test_columns_with_odd_names_and_decimals(catalog: LocalCatalog) -> None:
    """MySQL allows them; files have them as pyiceberg's own would, and are read by field id."""
    odd = Schema(
        NestedField(1, "a.b", LongType()),
        NestedField(2, "price in $", DecimalType(18, 2)),
        NestedField(3, "größe", DecimalType(38, 0)),
    )
    table = iceberg.create(catalog, "lake.odd", odd)
    given = {
        "a.b": list(range(60)),
        "price in $": [Decimal("-123456789012345.67")] * 60,
        "größe": [Decimal(10**37)] * 60,
    }
    change = Change(pa.table(given).cast(odd.as_arrow()))
    transaction = table.transaction()
    iceberg.commit(transaction, files_of(table), change, summary={})
    transaction.commit_transaction()
    assert files_of(table).read(list(given)).select(list(given)).to_pydict() == given
    assert table.scan().to_arrow().to_pydict() == given
    (file,) = files_of(table).data
    assert file.upper_bounds[1] == (59).to_bytes(8, "little")
    with table.io.new_input(file.file_path).open() as stream:
        stored = pq.ParquetFile(stream).schema
    kinds = [stored.column(number).physical_type for number in range(3)]
    assert kinds == ["INT64", "INT64", "FIXED_LEN_BYTE_ARRAY"]


def test_rows_of_another_shape_are_refused(catalog: LocalCatalog) -> None:
    table = load(catalog)
    wrong = rows(1).select(["title", "id"])
    with pytest.raises(ValueError, match="names"):
        iceberg.append(table.transaction(), wrong, summary={})
