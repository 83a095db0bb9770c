"""A table whose key is declared otherwise: its rows are told apart anew.

Rows that were told apart by the former key may lack columns of the new one, or be one row by it. So
none of them is kept: capture reads a table anew whose key changes, on every shard, and the first
rows of that begin a new generation. The commit before them takes all rows away; the warehouse then
loads the table whole. Until a shard is read, its rows are not there. Old snapshots keep them.
"""

from collections.abc import Mapping

import orjson
from pyiceberg.table import Table as Iceberg

from smug_platform import iceberg
from smug_platform.errors import LakeError
from smug_platform.iceberg import LakeFiles
from smug_platform.lake.batch import Batch
from smug_platform.lake.target import Target

KEY = "smug.key"
"""The table's property that says by which key its rows are told apart."""


def key_of(target: Target) -> str:
    """The key as that property has it."""
    return orjson.dumps([target.table.key_scope, *target.table.key]).decode()


def rekey(table: Iceberg, target: Target, batch: Batch, summary: Mapping[str, str]) -> bool:
    """Begin a new generation where the key is another; whether it was, and the table is to be
    loaded again.

    batch: what comes next. summary: of the commit that takes the rows away. Raises LakeError while
    no shard has been read anew, and for a history, of which nothing is taken away.
    """
    if table.properties.get(KEY, key_of(target)) == key_of(target):
        return False
    if target.history:
        raise LakeError(
            f"{target.name} can't be told apart by another key: what it has goes by the former",
            remedy="declare the former key, or drop the lake table to begin a new history",
        )
    if not batch.read_anew:
        raise LakeError(
            f"{target.name} has the key ({', '.join(target.table.key)}) now, and waits for its rows"
            " to be read anew",
            remedy="nothing to do where capture runs with that declaration: it reads them anew",
            passes=True,
        )
    transaction = table.transaction()
    given = LakeFiles(table.io, table.schema(), table.current_snapshot())
    transaction.set_properties({KEY: key_of(target)})
    if given.data:
        change = iceberg.Change(removed=[*given.data, *given.deletes])
        iceberg.commit(transaction, given, change, summary=summary)
    transaction.commit_transaction()
    return True
