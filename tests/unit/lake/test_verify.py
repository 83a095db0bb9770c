"""The checks of a lake table: each found right, and each found wrong."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.iceberg.files import LakeFiles
from smug_platform.lake.merge import SEQUENCE, merge, name_of
from smug_platform.lake.target import Target
from smug_platform.lake.verify import check_keys, waiting
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Table
from tests.history import Shard, arrow, column
from tests.unit.lake.test_merge import new_catalog

PHOTOS = Target(Table(name="photos", domain="photos", owner="team:photos"))
VIEWS = Target(Table(name="views", domain="photos", owner="team:photos", key=(), key_scope="shard"))
COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR")]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return new_catalog(tmp_path)


def shard(name: str, table: str = "photos") -> Shard:
    made = Shard(name, table, COLUMNS)
    made.snapshot()
    return made


def land(catalog: Catalog, *shards: Shard) -> None:
    for each in shards:
        raw.open_deltas(catalog).append(arrow(each.deltas))
        each.deltas.clear()


def append(catalog: Catalog, target: Target, row: Mapping[str, Any]) -> None:
    """What no merge would do: a row beside the others."""
    table = catalog.load_table(name_of(target))
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    names = [field.name for field in table.schema().fields]
    like = files.read(names).select(names).to_pylist()[0]
    rows = pa.Table.from_pylist([like | row], schema=table.schema().as_arrow())
    transaction = table.transaction()
    summary = {"smug.kind": "merge", SEQUENCE: table.properties[SEQUENCE]}
    iceberg.commit(transaction, files, iceberg.Change(rows), summary=summary)
    transaction.commit_transaction()


def test_keys_are_unique_over_shards_moves_and_tombstones(catalog: Catalog) -> None:
    first, second = shard("shard_0"), shard("shard_1")
    first.insert({"id": 1, "title": "a"}, {"id": 2, "title": "gone"})
    first.delete({"id": 2})
    first.delete({"id": 1})
    second.insert({"id": 1, "title": "moved here"})
    land(catalog, first, second)
    merge(catalog, PHOTOS)
    keys = check_keys(catalog, PHOTOS)
    assert (keys.unique, keys.rows) == (True, 3)


def test_a_table_that_is_not_there_has_nothing_twice(catalog: Catalog) -> None:
    assert check_keys(catalog, PHOTOS).unique


def test_a_row_that_is_there_twice_is_found(catalog: Catalog) -> None:
    one = shard("shard_0")
    one.insert({"id": 1, "title": "a"})
    land(catalog, one)
    merge(catalog, PHOTOS)
    assert check_keys(catalog, PHOTOS).unique
    append(catalog, PHOTOS, {"title": "again"})
    keys = check_keys(catalog, PHOTOS)
    assert (keys.unique, keys.copies, keys.live_twice) == (False, 1, 1)
    assert keys.sample == "_shard=shard_0, id=1"


def test_a_key_that_is_live_on_two_shards_is_found(catalog: Catalog) -> None:
    one = shard("shard_0")
    one.insert({"id": 7, "title": "a"})
    land(catalog, one)
    merge(catalog, PHOTOS)
    append(catalog, PHOTOS, {"_shard": "shard_1", "_position": Decimal(1)})
    keys = check_keys(catalog, PHOTOS)
    assert (keys.copies, keys.live_twice, keys.sample) == (0, 1, "id=7")


def test_equal_rows_of_a_table_without_a_key_are_not_copies(catalog: Catalog) -> None:
    views = Shard("shard_0", "views", COLUMNS, key=())
    views.snapshot()
    views.insert({"id": 1, "title": "same"}, {"id": 1, "title": "same"})
    land(catalog, views)
    merge(catalog, VIEWS)
    keys = check_keys(catalog, VIEWS)
    assert (keys.unique, keys.rows) == (True, 2)


def test_what_has_landed_waits_until_it_is_merged(catalog: Catalog) -> None:
    one = shard("shard_0")
    one.insert({"id": 1, "title": "a"})
    land(catalog, one)
    deltas = raw.open_deltas(catalog)
    assert waiting(catalog, deltas, PHOTOS) == 3
    merge(catalog, PHOTOS)
    assert waiting(catalog, deltas, PHOTOS) == 0
    one.update({"id": 1}, title="b")
    land(catalog, one)
    assert waiting(catalog, deltas, PHOTOS) == 0, "it landed after that look at raw"
    assert waiting(catalog, raw.open_deltas(catalog), PHOTOS) == 1
