"""Loads: what is parsed, what is shared, and what is on the disk."""

from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import PyArrowFile
from pyiceberg.serializers import FromInputFile

from smug_platform import iceberg
from smug_platform.iceberg import Change, files, manifests
from smug_platform.iceberg import catalog as module
from smug_platform.iceberg.cache import Cache
from smug_platform.iceberg.catalog import LocalCatalog
from smug_platform.iceberg.table import Table
from tests.unit.iceberg.tables import NAME, SCHEMA, files_of, ids_of, load, new_catalog, put, rows


@pytest.fixture
def catalog(tmp_path: Path) -> LocalCatalog:
    catalog = new_catalog(tmp_path)
    iceberg.create(catalog, NAME, SCHEMA)
    return catalog


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The locations of the files that are read."""
    found: list[str] = []
    inner = PyArrowFile.open

    def note(file: PyArrowFile, seekable: bool = True) -> Any:
        found.append(file.location.rpartition("/")[2])
        return inner(file, seekable)

    monkeypatch.setattr(PyArrowFile, "open", note)
    return found


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Empties the caches, as in another process."""

    def forget() -> None:
        monkeypatch.setattr(module, "_PARSED", Cache(10))
        monkeypatch.setattr(manifests, "_LISTS", Cache(1000))
        monkeypatch.setattr(manifests, "_ENTRIES", Cache(1000))
        monkeypatch.setattr(manifests, "_FILES", Cache(1000))
        monkeypatch.setattr(files, "_GONE", Cache(1000))

    return forget


def test_what_this_process_wrote_is_not_read_back(catalog: LocalCatalog, opened: list[str]) -> None:
    put(load(catalog), 1, 2)
    put(load(catalog), 2, 3)
    opened.clear()
    assert files_of(load(catalog)).rows == 3
    assert files_of(load(catalog)).deleted()
    assert opened == []


def test_another_process_reads_each_file_once(
    catalog: LocalCatalog, opened: list[str], forget: Any
) -> None:
    put(load(catalog), 1, 2)
    put(load(catalog), 2, 3)
    forget()
    opened.clear()
    files_of(load(catalog)).deleted()
    # metadata, list, two manifests of data files, one of delete files, and the delete file
    assert len(opened) == 6
    files_of(load(catalog)).deleted()
    assert len(opened) == 6
    assert ids_of(load(catalog)) == [1, 2, 3]


def test_one_commit_later_only_the_new_is_read(
    catalog: LocalCatalog, opened: list[str], forget: Any
) -> None:
    put(load(catalog), 1)
    ours = (module._PARSED, manifests._LISTS, manifests._ENTRIES, files._GONE)
    forget()
    put(load(catalog), 2)  # the other process
    for owner, name, cache in zip(
        (module, manifests, manifests, files),
        ("_PARSED", "_LISTS", "_ENTRIES", "_GONE"),
        ours,
        strict=True,
    ):
        setattr(owner, name, cache)
    opened.clear()
    files_of(load(catalog))
    assert len(opened) == 3  # metadata, list, the new manifest


def test_what_a_holder_does_to_its_table_stays_with_it(catalog: LocalCatalog) -> None:
    put(load(catalog), 1)
    mine, other = load(catalog), load(catalog)
    mine.metadata.properties["smug.state"] = "mine"
    mine.metadata.snapshots.clear()
    mine.metadata.refs.clear()
    assert "smug.state" not in load(catalog).properties
    assert "smug.state" not in other.properties
    assert ids_of(other) == ids_of(load(catalog)) == [1]


def test_held_metadata_are_those_of_the_file(catalog: LocalCatalog) -> None:
    for number in range(3):
        put(load(catalog), number)
    table = load(catalog)
    file = FromInputFile.table_metadata(table.io.new_input(table.metadata_location))
    assert table.metadata == file


def test_tables_are_loaded_together(catalog: LocalCatalog) -> None:
    iceberg.create(catalog, "lake.albums", SCHEMA)
    put(load(catalog), 1)
    found = iceberg.load_all(catalog, [NAME, "lake.albums", "lake.missing"])
    assert {name: len(files_of(table).data) for name, table in found.items()} == {
        NAME: 1,
        "lake.albums": 0,
    }
    assert iceberg.load(catalog, "lake.missing") is None


def test_commit_through_another_catalog_is_seen(catalog: LocalCatalog, tmp_path: Path) -> None:
    """Two processes: each has its own engine, and the second has parsed nothing of this."""
    mine = load(catalog)
    put(load(new_catalog(tmp_path)), 1)
    assert ids_of(load(catalog)) == [1]
    with pytest.raises(CommitFailedException):
        put(mine, 2)


def test_any_other_catalog_serves_as_well(tmp_path: Path) -> None:
    """What pyiceberg gives is wrapped, so that its commits are ours."""
    catalog = SqlCatalog("t", uri="sqlite:///:memory:", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("lake")
    table = iceberg.create(catalog, NAME, SCHEMA)
    for number in (1, 2):
        transaction = table.transaction()
        iceberg.commit(transaction, files_of(table), Change(rows(number)), summary={})
        transaction.commit_transaction()
    assert isinstance(iceberg.load_all(catalog, [NAME, "lake.missing"])[NAME], Table)
    assert ids_of(table) == [1, 2]
    catalog.close()


def test_sqlite_is_synced_at_each_commit(catalog: LocalCatalog) -> None:
    with catalog.engine.connect() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2  # full
