"""What we rely on of pyiceberg that it does not promise: a new version has to pass here first."""

import copy
import inspect
from pathlib import Path

import pyiceberg
import pytest
from pyiceberg.avro.file import AvroFile
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.manifest import (
    MANIFEST_ENTRY_SCHEMAS,
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestFile,
)
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadataV2
from pyiceberg.table.update import update_table_metadata
from pyiceberg.types import LongType

from smug_platform import iceberg
from smug_platform.iceberg import change, manifests
from smug_platform.iceberg.catalog import LocalCatalog
from smug_platform.iceberg.table import applied
from tests.unit.iceberg.tables import NAME, SCHEMA, load, new_catalog, put, stage


@pytest.fixture
def catalog(tmp_path: Path) -> LocalCatalog:
    catalog = new_catalog(tmp_path)
    iceberg.create(catalog, NAME, SCHEMA)
    return catalog


def test_version_is_the_one_that_was_read() -> None:
    assert pyiceberg.__version__ == "0.12.0"


def test_updates_leave_what_they_are_given(
    catalog: LocalCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why no copy is needed: each makes new lists, also where it removes something."""
    for number in range(4):
        put(load(catalog), number)
    monkeypatch.setattr(change, "_KEEP", 1)
    table = load(catalog)
    metadata = table.metadata
    before, copied = metadata.model_dump_json(), copy.deepcopy(metadata)
    transaction = stage(table, [1])
    with transaction.update_schema() as update:
        update.add_column("likes", LongType()).rename_column("title", "name")
    transaction.set_properties({"a": "b"})
    transaction.remove_properties("write.parquet.compression-level")
    staged = transaction.table_metadata
    assert metadata.model_dump_json() == before
    assert metadata == copied
    assert staged == update_table_metadata(metadata, transaction._updates)
    assert (len(metadata.snapshots), len(staged.snapshots)) == (4, 3)


def test_ours_is_what_pyiceberg_makes_of_the_updates(catalog: LocalCatalog) -> None:
    put(load(catalog), 1)
    table = load(catalog)
    updates = stage(table, [2])._updates
    at = table.metadata_location
    ours = applied(table.metadata, updates, at)
    theirs = update_table_metadata(table.metadata, updates, metadata_location=at)
    assert ours == theirs


def test_transaction_has_the_fields_that_ours_uses() -> None:
    code = inspect.getsource(Transaction.__init__)
    assert all(f"self.{name} = " in code for name in ("_table", "_updates", "_requirements"))
    assert "_failed" in code
    assert list(inspect.signature(Table._do_commit).parameters) == [
        "self",
        "updates",
        "requirements",
    ]
    # The table takes the new metadata after the catalog has, and not before.
    code = inspect.getsource(Table._do_commit)
    assert code.index("commit_table") < code.index("self.metadata = ")


def test_catalog_sets_sqlite_before_it_is_used() -> None:
    code = inspect.getsource(SqlCatalog.__init__)
    assert code.index("self.engine = ") < code.index("self._init_catalog()")
    names = {"catalog_name", "table_namespace", "table_name", "metadata_location"}
    assert names <= set(IcebergTables.__table__.columns.keys())
    name = "00012-2c3b4de1-98b2-4c0c-a7f0-6c3f0f2f8f4e.metadata.json"
    assert SqlCatalog._parse_metadata_version(f"file:///a/{name}") == 12


def test_files_have_their_path_and_file_system(tmp_path: Path) -> None:
    io = PyArrowFileIO({})
    scheme, netloc, path = io.parse_location(f"file://{tmp_path}/x", {})
    assert (scheme, path) == ("file", f"{tmp_path}/x")
    assert io.parse_location("s3://bucket/key", {}) == ("s3", "bucket", "bucket/key")
    assert PyArrowFile(f"file://{path}", path, io.fs_by_scheme(scheme, netloc))._path == path


def test_manifests_read_as_they_were_written(catalog: LocalCatalog) -> None:
    """Field by field, by pyiceberg's reader, which knows nothing of how they were written."""
    for number in range(9):
        put(load(catalog), number, number - 1)
    table = load(catalog)
    snapshot = table.current_snapshot()
    assert snapshot is not None
    held = manifests.manifests(snapshot, table.io)
    read = snapshot.manifests(table.io)
    assert [list(m._data) for m in read] == [list(m._data) for m in held]
    assert {m.content for m in read} == {ManifestContent.DATA, ManifestContent.DELETES}
    for manifest in held:
        ours = manifests.entries(manifest, table.io)
        theirs = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
        assert [_plain(entry) for entry in ours] == [_plain(entry) for entry in theirs]


def _plain(entry: ManifestEntry) -> list[object]:
    file = entry.data_file
    return [*entry._data[:4], *(value or None for value in file._data), file.spec_id]


def test_manifests_say_what_they_hold(catalog: LocalCatalog) -> None:
    """Other readers ask for these keys of the file's header (spec, "Manifests")."""
    put(load(catalog), 1, 2)
    put(load(catalog), 2)
    table = load(catalog)
    contents = set()
    for manifest in manifests.manifests(table.current_snapshot(), table.io):
        types = {-1: ManifestEntry, 2: DataFile}
        source = table.io.new_input(manifest.manifest_path)
        with AvroFile[ManifestEntry](source, MANIFEST_ENTRY_SCHEMAS[2], types) as file:
            header = file.header
            keys = {"schema", "partition-spec", "partition-spec-id", "format-version", "content"}
            assert keys <= header.meta.keys()
            assert header.meta["format-version"] == "2"
            contents.add(header.meta["content"])
    assert contents == {"data", "deletes"}


def test_records_are_lists_of_the_known_fields() -> None:
    assert len(ManifestFile.from_args(manifest_path="x")._data) == 15
    assert len(ManifestEntry.from_args(status=1)._data) == 5
    assert DataFile.from_args(file_path="x").file_path == "x"


def test_metadata_are_lists_and_dictionaries_of_frozen_things(catalog: LocalCatalog) -> None:
    put(load(catalog), 1)
    metadata = load(catalog).metadata
    assert isinstance(metadata, TableMetadataV2)
    assert set(type(metadata).model_fields) <= set(metadata.__dict__)
    assert type(metadata).model_config["frozen"]
    assert type(metadata.snapshots[0]).model_config["frozen"]
