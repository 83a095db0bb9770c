"""A small table for the tests of this folder, in a catalog of its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from smug_platform import iceberg
from smug_platform.iceberg import FILE, ROW, Change, LakeFiles, Table
from smug_platform.iceberg.catalog import LocalCatalog

NAME = "lake.photos"
SCHEMA = Schema(NestedField(1, "id", LongType()), NestedField(2, "title", StringType()))


def new_catalog(folder: Path) -> LocalCatalog:
    properties = {"uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/lake"}
    catalog = iceberg.open_catalog({"type": "sql", **properties})
    assert isinstance(catalog, LocalCatalog)
    catalog.create_namespace_if_not_exists("lake")
    return catalog


def load(catalog: LocalCatalog, name: str = NAME) -> Table:
    table = iceberg.load(catalog, name)
    assert table is not None
    return table


def files_of(table: Table) -> LakeFiles:
    return LakeFiles(table.io, table.schema(), table.current_snapshot())


def all_files(table: Table) -> list[DataFile]:
    files = files_of(table)
    return [*files.data, *files.deletes]


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": pa.array(ids, pa.int64()), "title": [f"title {i}" for i in ids]})


def stage(table: Table, ids: Sequence[int], change: Change | None = None) -> iceberg.Transaction:
    """A transaction that adds the rows of those ids and deletes what it finds of them."""
    files = files_of(table)
    held = files.read(["id"])
    gone = held.filter(pa.array(np.isin(held["id"].to_numpy(), ids)))
    transaction = table.transaction()
    change = change or Change(rows(*ids), gone.select([FILE, ROW]))
    iceberg.commit(transaction, files, change, summary={"smug.ids": str(list(ids))})
    return transaction


def put(table: Table, *ids: int) -> None:
    stage(table, ids).commit_transaction()


def ids_of(table: Table) -> list[int]:
    """By our reader, which has to agree with pyiceberg's."""
    ours = sorted(files_of(table).read(["id"])["id"].to_pylist())
    assert ours == sorted(table.scan().to_arrow()["id"].to_pylist())
    return ours


def on_disk(folder: Path, pattern: str) -> set[str]:
    return {str(path) for path in folder.rglob(pattern)}
