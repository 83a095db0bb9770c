"""Merge-on-read tables on Iceberg v2: the one package that touches pyiceberg's internals."""

from smug_platform.iceberg.catalog import PROPERTIES, create, load, load_all, open_catalog
from smug_platform.iceberg.change import Change, append, commit, rewrite, write
from smug_platform.iceberg.files import FILE, ROW, LakeFiles, added_files, memory_of, project
from smug_platform.iceberg.forget import forget
from smug_platform.iceberg.orphans import remove_orphans
from smug_platform.iceberg.table import Table, Transaction

__all__ = [
    "FILE",
    "PROPERTIES",
    "ROW",
    "Change",
    "LakeFiles",
    "Table",
    "Transaction",
    "added_files",
    "append",
    "commit",
    "create",
    "forget",
    "load",
    "load_all",
    "memory_of",
    "open_catalog",
    "project",
    "remove_orphans",
    "rewrite",
    "write",
]
