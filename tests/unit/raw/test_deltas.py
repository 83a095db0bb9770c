"""The table of deltas: a file a table and commit, found by commit however long ago."""

from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.iceberg import change
from smug_platform.raw import deltas as raw
from smug_platform.raw import quarantine as module
from smug_platform.raw.quarantine import Refused, counts, open_quarantine, quarantine
from tests.history import Shard, arrow, column


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    uri = f"sqlite:///{tmp_path}/catalog.db"
    properties = {"type": "sql", "uri": uri, "warehouse": f"file://{tmp_path}"}
    catalog = iceberg.open_catalog(properties)
    catalog.create_namespace("raw")
    return catalog


def land(catalog: Catalog, *names: str) -> int:
    """One delta of each of those tables, in one commit; its sequence number."""
    found: list[dict[str, Any]] = []
    for name in names:
        shard = Shard("shard_0", name, [column("id", "BIGINT")])
        shard.insert({"id": 1}, {"id": 2})
        found += shard.deltas
    table = raw.open_deltas(catalog)
    transaction = table.transaction()
    iceberg.append(transaction, arrow(found), summary={"smug.stream": "x"})
    transaction.commit_transaction()
    return raw.sequence(table)


def test_commit_writes_a_file_a_table(catalog: Catalog) -> None:
    land(catalog, "photos", "albums", "photos")
    table = raw.open_deltas(catalog)
    files = list(raw.delta_files(table))
    assert sorted((file.table, file.rows) for file in files) == [("albums", 2), ("photos", 4)]
    assert all(f"/table_name={file.table}/landed_hour=" in file.path for file in files)
    read = raw.read(table, files)
    assert read.num_rows == table.scan().to_arrow().num_rows == 6
    (photos,) = [file for file in files if file.table == "photos"]
    assert raw.read(table, [photos])["table_name"].unique().to_pylist() == ["photos"]
    assert table.scan("table_name = 'albums'").to_arrow().num_rows == 2


def test_files_are_found_by_commit_after_folding_and_expiry(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "_FOLD", 3)
    table = raw.open_deltas(catalog)
    table.transaction().set_properties({change.KEEP: "2"}).commit_transaction()
    sequences = [land(catalog, "photos", "albums") for _ in range(20)]
    table = raw.open_deltas(catalog)
    assert len(table.metadata.snapshots) <= 4
    for done in (0, 7, 18, 20):
        found = [
            file.sequence for file in raw.delta_files(table, sequences[done - 1] if done else 0)
        ]
        assert found == sorted([*sequences[done:], *sequences[done:]])
    assert raw.summary(table)["smug.stream"] == "x"


def test_two_that_quarantine_at_once_lose_nothing(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (
        Refused("lake", name, "shard_0", "1/2:3#0", "no number", b"x")
        for name in ("photos", "albums")
    )
    inner = module._add

    def after_another(table: Any, refused: Any) -> int:
        monkeypatch.setattr(module, "_add", inner)
        assert quarantine(catalog, [first]) == 1
        return inner(table, refused)

    open_quarantine(catalog)
    monkeypatch.setattr(module, "_add", after_another)
    assert quarantine(catalog, [second, first]) == 1
    assert counts(catalog) == {"albums": 1, "photos": 1}
