"""Commits: conflicts, answers that get lost, expiry, folding."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.types import LongType

from smug_platform import iceberg
from smug_platform.iceberg import Change, change
from smug_platform.iceberg.catalog import LocalCatalog
from smug_platform.iceberg.manifests import manifests
from tests.unit.iceberg.tables import (
    NAME,
    SCHEMA,
    all_files,
    files_of,
    ids_of,
    load,
    new_catalog,
    put,
    rows,
    stage,
)


@pytest.fixture
def catalog(tmp_path: Path) -> LocalCatalog:
    catalog = new_catalog(tmp_path)
    iceberg.create(catalog, NAME, SCHEMA)
    return catalog


def test_rows_are_replaced(catalog: LocalCatalog) -> None:
    put(load(catalog), 1, 2, 3)
    put(load(catalog), 2, 4)
    assert ids_of(load(catalog)) == [1, 2, 3, 4]
    assert files_of(load(catalog)).rows == 4
    summary = load(catalog).current_snapshot().summary  # type: ignore[union-attr]
    assert summary is not None
    assert summary["smug.ids"] == "[2, 4]"
    assert (summary["total-records"], summary["total-position-deletes"]) == ("5", "1")


def test_of_two_writers_from_one_base_one_commits(catalog: LocalCatalog) -> None:
    put(load(catalog), 1)
    first, second = load(catalog), load(catalog)
    before = second.metadata.model_dump_json()
    winner, loser = stage(first, [2]), stage(second, [3])
    winner.commit_transaction()
    with pytest.raises(CommitFailedException):
        loser.commit_transaction()
    assert second.metadata.model_dump_json() == before
    assert second.metadata_location != first.metadata_location
    with pytest.raises(RuntimeError, match="has failed"):
        loser.commit_transaction()
    assert ids_of(load(catalog)) == [1, 2]
    put(load(catalog), 3)
    assert ids_of(load(catalog)) == [1, 2, 3]


def test_files_of_another_snapshot_are_refused(catalog: LocalCatalog) -> None:
    put(load(catalog), 1)
    old = files_of(load(catalog))
    put(load(catalog), 1)
    transaction = load(catalog).transaction()
    with pytest.raises(CommitFailedException, match="which is past"):
        iceberg.commit(transaction, old, Change(removed=old.data), summary={})


def test_schema_properties_and_rows_are_one_commit(catalog: LocalCatalog) -> None:
    put(load(catalog), 1)
    table = load(catalog)
    before = table.metadata.model_dump_json()
    transaction = table.transaction()
    with transaction.update_schema() as update:
        update.add_column("likes", LongType())
    transaction.set_properties({"smug.state": "x"})
    more = rows(2).append_column("likes", pa.array([7], pa.int64()))
    iceberg.commit(transaction, files_of(table), Change(more), summary={})
    assert table.metadata.model_dump_json() == before
    assert "likes" not in load(catalog).schema().column_names
    transaction.commit_transaction()
    table = load(catalog)
    assert table.properties["smug.state"] == "x"
    found = files_of(table).read(["id", "likes"]).sort_by("id")
    assert found["likes"].to_pylist() == [None, 7]
    assert len(table.metadata.metadata_log) == 2


def test_lost_answer_is_looked_up_not_repeated(
    catalog: LocalCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog took the commit, but its answer did not arrive."""
    put(load(catalog), 1)
    table = load(catalog)
    transaction = stage(table, [2])
    inner, calls = catalog.commit_table, []

    def lose(*arguments: Any) -> Any:
        calls.append(arguments)
        inner(*arguments)
        raise CommitStateUnknownException("no answer")

    monkeypatch.setattr(catalog, "commit_table", lose)
    transaction.commit_transaction()
    assert len(calls) == 1
    assert table.metadata_location == load(catalog).metadata_location
    assert ids_of(table) == [1, 2]


@pytest.mark.parametrize("error", [OSError("reset"), CommitStateUnknownException("no answer")])
def test_commit_that_did_not_land_raises(
    catalog: LocalCatalog, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    put(load(catalog), 1)
    table = load(catalog)
    transaction = stage(table, [2])

    def lose(*_: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "commit_table", lose)
        with pytest.raises(type(error)):
            transaction.commit_transaction()
    assert ids_of(table) == ids_of(load(catalog)) == [1]
    put(load(catalog), 2)
    assert ids_of(load(catalog)) == [1, 2]


def test_silent_catalog_leaves_it_unknown(
    catalog: LocalCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    transaction = stage(load(catalog), [1])

    def lose(*_: Any) -> Any:
        raise OSError("unreachable")

    monkeypatch.setattr(catalog, "commit_table", lose)
    monkeypatch.setattr(catalog, "load_table", lose)
    with pytest.raises(CommitStateUnknownException, match="unreachable"):
        transaction.commit_transaction()


def test_snapshots_and_manifests_stay_bounded(
    catalog: LocalCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "_KEEP", 3)
    monkeypatch.setattr(change, "_FOLD", 3)
    for number in range(40):
        if number % 10 == 9:
            put(load(catalog), number, number // 2)
        else:
            table = load(catalog)
            transaction = table.transaction()
            iceberg.commit(transaction, files_of(table), Change(rows(number)), summary={})
            transaction.commit_transaction()
    table = load(catalog)
    assert ids_of(table) == list(range(40))
    assert 3 <= len(table.metadata.snapshots) <= 6
    assert len(manifests(table.current_snapshot(), table.io)) <= 12
    # The order of the files is that of their commits, however their manifests were folded.
    newest = [file.file_path for file in files_of(table).data]
    put(table, 100)
    assert [file.file_path for file in files_of(table).data][1:] == newest
    ids = [i for i in files_of(table).read(["id"])["id"].to_pylist() if i not in (4, 9, 14, 19)]
    assert ids == sorted(ids, reverse=True)


def test_rewrite_leaves_one_file_and_no_empty_manifest(catalog: LocalCatalog) -> None:
    for number in range(5):
        put(load(catalog), number, 0)
    table = load(catalog)
    whole = Change(rows(*range(5)), removed=all_files(table))
    stage(table, [], whole).commit_transaction()
    files = files_of(load(catalog))
    assert (len(files.data), len(files.deletes)) == (1, 0)
    put(load(catalog), 7)
    table = load(catalog)
    assert ids_of(table) == [0, 1, 2, 3, 4, 7]
    contents = [manifest.content for manifest in manifests(table.current_snapshot(), table.io)]
    assert len(contents) == 2
