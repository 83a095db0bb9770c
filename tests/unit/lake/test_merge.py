"""The merge: given changes, expected rows."""

from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog

from smug_platform.lake.files import LakeFiles
from smug_platform.lake.merge import merge, pending
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Table
from tests.history import Shard, arrow, column

PHOTOS = Table(name="photos", domain="photos", owner="team:photos")
COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR"), column("n", "INT")]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return new_catalog(tmp_path)


def new_catalog(folder: Path) -> Catalog:
    catalog = SqlCatalog("t", uri="sqlite:///:memory:", warehouse=f"file://{folder}")
    catalog.create_namespace("raw")
    catalog.create_namespace("lake")
    return catalog


def land(catalog: Catalog, deltas: list[dict[str, Any]]) -> None:
    raw.open_deltas(catalog).append(arrow(deltas))


def rows(catalog: Catalog, target: Target) -> list[dict[str, Any]]:
    table = catalog.load_table(f"lake.{target.name}")
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    names = [field.name for field in table.schema().fields]
    ours = files.read(names).select(names)
    assert ours.num_rows == files.rows
    theirs = table.scan().to_arrow()
    order = [(name, "ascending") for name in target.identity]
    assert ours.sort_by(order).to_pylist() == theirs.sort_by(order).to_pylist()
    return ours.to_pylist()


def live(found: list[dict[str, Any]], names: list[str]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[n] for n in names) for row in found if not row["_deleted"])


def test_insert_update_delete(catalog: Catalog) -> None:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a", "n": 1}, {"id": 2, "title": "b", "n": 1})
    shard.update({"id": 1}, title="c")
    shard.delete({"id": 2})
    land(catalog, shard.deltas)
    target = Target(PHOTOS)
    assert pending(catalog, [target]) == {"photos": 6}
    merged = merge(catalog, target)
    assert (merged.written, merged.deleted, merged.merged_away) == (2, 1, 2)
    assert live(rows(catalog, target), ["id", "title"]) == [(1, "c")]
    assert pending(catalog, [target]) == {}
    again = merge(catalog, target)
    assert (again.commits, again.rows) == (0, 2)
