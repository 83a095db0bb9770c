"""The gate before the load: what would be there twice is not loaded, and the replica stays."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from pyiceberg.catalog import Catalog

from smug_platform.errors import LakeError
from smug_platform.lake.merge import merge
from smug_platform.warehouse.load import loaded
from smug_platform.warehouse.open import DuckDB, unloaded
from smug_platform.warehouse.refresh import refresh
from tests.unit.lake.test_merge import new_catalog
from tests.unit.lake.test_verify import PHOTOS, append, land, shard


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return new_catalog(tmp_path)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def live(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    return connection.execute(
        "select id::bigint, title, _shard from warehouse.photos where not _is_deleted order by id"
    ).fetchall()


def test_a_replica_follows_and_then_has_nothing_to_do(
    catalog: Catalog, connection: duckdb.DuckDBPyConnection
) -> None:
    one = shard("shard_0")
    one.insert({"id": 1, "title": "a"}, {"id": 2, "title": "b"})
    land(catalog, one)
    merged = merge(catalog, PHOTOS)
    assert unloaded(catalog, DuckDB(connection), [PHOTOS]) == {"photos": None}
    first = refresh(catalog, connection, PHOTOS)
    assert first is not None
    assert (first.full, first.rows) == (True, 2)
    assert unloaded(catalog, DuckDB(connection), [PHOTOS]) == {}
    assert refresh(catalog, connection, PHOTOS) is None
    one.update({"id": 1}, title="c")
    land(catalog, one)
    merge(catalog, PHOTOS)
    assert unloaded(catalog, DuckDB(connection), [PHOTOS]) == {"photos": merged.snapshot_id}
    second = refresh(catalog, connection, PHOTOS)
    assert second is not None
    assert (second.full, second.rows) == (False, 1)
    assert live(connection) == [(1, "c", "shard_0"), (2, "b", "shard_0")]


def test_a_moved_row_is_live_once(catalog: Catalog, connection: duckdb.DuckDBPyConnection) -> None:
    first, second = shard("shard_0"), shard("shard_1")
    first.insert({"id": 1, "title": "a"})
    land(catalog, first, second)
    merge(catalog, PHOTOS)
    refresh(catalog, connection, PHOTOS)
    second.insert({"id": 1, "title": "a"})
    first.delete({"id": 1})
    land(catalog, second, first)
    merge(catalog, PHOTOS)
    refresh(catalog, connection, PHOTOS)
    assert live(connection) == [(1, "a", "shard_1")]


@pytest.mark.parametrize("loaded_before", [False, True])
def test_a_key_that_would_be_live_twice_is_not_loaded(
    catalog: Catalog, connection: duckdb.DuckDBPyConnection, loaded_before: bool
) -> None:
    one = shard("shard_0")
    one.insert({"id": 7, "title": "a"})
    land(catalog, one)
    merge(catalog, PHOTOS)
    if loaded_before:
        refresh(catalog, connection, PHOTOS)
    held = loaded(connection)
    append(catalog, PHOTOS, {"_shard": "shard_1", "_position": Decimal(1)})
    with pytest.raises(LakeError, match=r"lake.photos holds .*7.* 2 times, so it is not loaded"):
        refresh(catalog, connection, PHOTOS)
    assert loaded(connection) == held
    if loaded_before:
        assert live(connection) == [(7, "a", "shard_0")]


def test_a_row_that_is_there_twice_is_not_loaded(
    catalog: Catalog, connection: duckdb.DuckDBPyConnection
) -> None:
    one = shard("shard_0")
    one.insert({"id": 1, "title": "gone"})
    one.delete({"id": 1})
    land(catalog, one)
    merge(catalog, PHOTOS)
    append(catalog, PHOTOS, {"title": "a second tombstone"})
    with pytest.raises(LakeError, match="2 times"):
        refresh(catalog, connection, PHOTOS)
