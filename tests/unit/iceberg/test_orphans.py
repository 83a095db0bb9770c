"""Orphans: what no snapshot names goes, once it is old; nothing else ever does."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.exceptions import CommitFailedException

from smug_platform import iceberg
from smug_platform.iceberg import Change, change, remove_orphans
from smug_platform.iceberg.catalog import LocalCatalog
from tests.unit.iceberg.tables import (
    NAME,
    SCHEMA,
    all_files,
    ids_of,
    load,
    new_catalog,
    on_disk,
    put,
    rows,
    stage,
)

DAY = timedelta(days=1)


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCatalog:
    monkeypatch.setattr(change, "_KEEP", 2)
    catalog = new_catalog(tmp_path)
    iceberg.create(catalog, NAME, SCHEMA)
    return catalog


def grow_old(folder: Path) -> None:
    for path in folder.rglob("*"):
        state = path.stat()
        os.utime(path, (state.st_atime, state.st_mtime - 2 * 86400))


def readable(table: iceberg.Table) -> dict[int, int]:
    """The rows of each snapshot, by pyiceberg's reader."""
    return {
        snapshot.snapshot_id: table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().num_rows
        for snapshot in table.metadata.snapshots
    }


def test_killed_merge_leaves_files_that_go(catalog: LocalCatalog, tmp_path: Path) -> None:
    put(load(catalog), 1, 2)
    before = on_disk(tmp_path, "*.parquet") | on_disk(tmp_path, "*.avro")
    stage(load(catalog), [2])  # and killed before it commits
    left = (on_disk(tmp_path, "*.parquet") | on_disk(tmp_path, "*.avro")) - before
    assert len(left) == 5  # data, deletes, two manifests, their list
    assert remove_orphans(load(catalog), DAY) == 0  # it may be a merge that is under way
    grow_old(tmp_path / "lake")
    assert remove_orphans(load(catalog), DAY) == 5
    assert not any(Path(path).exists() for path in left)
    assert all(Path(path).exists() for path in before)
    assert ids_of(load(catalog)) == [1, 2]


def test_all_that_a_kept_snapshot_names_stays(catalog: LocalCatalog, tmp_path: Path) -> None:
    for number in range(12):
        put(load(catalog), number, number - 1)
        if number == 8:
            whole = Change(rows(*range(9)), removed=all_files(load(catalog)))
            stage(load(catalog), [], whole).commit_transaction()
    table = load(catalog)
    rows_before = readable(table)
    grow_old(tmp_path / "lake")
    assert remove_orphans(table, DAY) > 10
    assert readable(load(catalog)) == rows_before
    assert ids_of(load(catalog)) == list(range(12))
    assert len(on_disk(tmp_path, "*.parquet")) < 12
    assert len(on_disk(tmp_path, "*.json")) <= 11
    put(load(catalog), 50)
    remove_orphans(load(catalog), DAY)
    assert ids_of(load(catalog)) == [*range(12), 50]


def test_loser_of_a_conflict_and_its_metadata_go(catalog: LocalCatalog, tmp_path: Path) -> None:
    put(load(catalog), 1)
    loser = stage(load(catalog), [2])
    put(load(catalog), 3)
    with pytest.raises(CommitFailedException):
        loser.commit_transaction()
    grow_old(tmp_path / "lake")
    assert remove_orphans(load(catalog), DAY) == 4  # data, manifest, list and metadata
    assert ids_of(load(catalog)) == [1, 3]


def test_commit_while_the_files_are_listed_is_safe(
    catalog: LocalCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is named is asked after the listing: the commit of an old file is then seen."""
    put(load(catalog), 1)
    table = load(catalog)
    transaction = stage(load(catalog), [2])
    grow_old(tmp_path / "lake")
    inner = catalog.load_table

    def after_a_commit(*arguments: Any) -> Any:
        monkeypatch.setattr(catalog, "load_table", inner)
        transaction.commit_transaction()
        return inner(*arguments)

    monkeypatch.setattr(catalog, "load_table", after_a_commit)
    assert remove_orphans(table, DAY) == 0
    assert ids_of(load(catalog)) == [1, 2]


def test_table_that_can_not_be_read_loses_nothing(
    catalog: LocalCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(load(catalog), 1)
    grow_old(tmp_path / "lake")
    before = on_disk(tmp_path, "*")
    from smug_platform.iceberg import orphans

    def torn(*_: Any) -> Any:
        raise OSError("torn manifest")

    monkeypatch.setattr(orphans, "entries", torn)
    with pytest.raises(OSError, match="torn"):
        remove_orphans(load(catalog), DAY)
    assert on_disk(tmp_path, "*") == before
