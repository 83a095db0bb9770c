"""Durability: no commit names a file that is not on the disk."""

import os
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.io.pyarrow import PyArrowFile
from sqlalchemy import event

from smug_platform import iceberg
from smug_platform.iceberg.fileio import DurableFileIO
from tests.unit.iceberg.tables import NAME, SCHEMA, load, new_catalog, put, stage


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The sizes that files and folders had when they were synced, by inode."""
    found: dict[int, int] = {}
    inner = os.fsync

    def note(descriptor: int) -> None:
        state = os.fstat(descriptor)
        found[state.st_ino] = state.st_size
        inner(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_all_is_on_the_disk_before_the_catalog_names_it(
    tmp_path: Path, synced: dict[int, int]
) -> None:
    catalog = new_catalog(tmp_path)
    iceberg.create(catalog, NAME, SCHEMA)
    put(load(catalog), 1, 2)
    folder = tmp_path / "lake" / "lake" / "photos"
    transaction = stage(load(catalog), [2])
    seen: list[Path] = []

    def check(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("UPDATE"):
            return
        for path in folder.rglob("*"):
            state = path.stat()
            assert state.st_ino in synced, path
            assert path.is_dir() or synced[state.st_ino] == state.st_size, path
            seen.append(path)

    event.listen(catalog.engine, "before_cursor_execute", check)
    transaction.commit_transaction()
    kinds = {"".join(path.suffixes[-2:]) for path in seen if path.is_file()}
    assert kinds == {".parquet", ".avro", ".metadata.json"}
    for above in (folder, folder.parent, folder.parent.parent):
        assert above.stat().st_ino in synced


def test_file_is_never_overwritten_by_accident(tmp_path: Path) -> None:
    output = DurableFileIO({}).new_output(f"file://{tmp_path}/a/b/x")
    with output.create() as stream:
        stream.write(b"one")
    with pytest.raises(FileExistsError):
        output.create()
    with output.create(overwrite=True) as stream:
        stream.write(b"three")
    assert len(output) == 5
    assert output.to_input_file().open().read() == b"three"


def test_object_stores_pass_untouched() -> None:
    properties = {"s3.region": "eu-west-1", "s3.endpoint": "http://127.0.0.1:1"}
    assert type(DurableFileIO(properties).new_output("s3://bucket/key")) is PyArrowFile
