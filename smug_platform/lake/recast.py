"""Columns that get a type into which Iceberg does not promote theirs: all rows are written anew.

A DECIMAL with more digits after the point, a whole number that becomes a DECIMAL or a BIGINT
UNSIGNED: the new type holds every value, but files with the old one are not read as it. The rows go
over in one commit of their own, before the merge that needs it; the warehouse then loads the table
whole. The column gets a new field id, old snapshots keep the old one.
"""

from collections.abc import Mapping

from pyiceberg.table import Table as Iceberg
from pyiceberg.types import IcebergType

from smug_platform import iceberg
from smug_platform.errors import LakeError
from smug_platform.iceberg import LakeFiles
from smug_platform.lake.columns import Column
from smug_platform.lake.schema import shaped
from smug_platform.lake.state import State
from smug_platform.lake.target import Target
from smug_platform.lake.types import common_type, is_promoted


def recast(
    table: Iceberg, target: Target, state: State, columns: list[Column], summary: Mapping[str, str]
) -> bool:
    """Give columns the types wanted where promotion does not; whether there were any, and the
    table is to be loaded again.

    summary: of the commit that writes the rows anew. Raises pyiceberg's
    CommitFailedException when another commit comes first, and LakeError where no type holds both.
    """
    wanted = _wanted(table, target, state, columns)
    if not wanted:
        return False
    transaction = table.transaction()
    given = LakeFiles(table.io, table.schema(), table.current_snapshot())
    with transaction.update_schema(allow_incompatible_changes=True) as update:
        for name in wanted:
            update.delete_column(name)
    with transaction.update_schema() as update:
        for name, kind in wanted.items():
            update.add_column(name, kind)
    schema = transaction.table_metadata.schema()
    names = [field.name for field in table.schema().fields]
    written = [
        file
        for number in range(len(given.data))
        for file in iceberg.write(transaction, shaped(given.read(names, [number]), schema))
    ]
    if given.data:
        change = iceberg.Change(removed=[*given.data, *given.deletes], written=written)
        iceberg.commit(transaction, given, change, summary=summary)
    transaction.commit_transaction()
    return True


def _wanted(
    table: Iceberg, target: Target, state: State, columns: list[Column]
) -> dict[str, IcebergType]:
    """The types of the columns that promotion does not bring there, by their names in the table."""
    kinds = {column.name: column.type.iceberg for column in columns}
    found = {}
    for field in table.schema().fields:
        if (kind := kinds.get(state.alias(field.name))) is None:
            continue
        wide = common_type(target.name, field.name, field.field_type, kind)
        if wide == field.field_type or is_promoted(field.field_type, wide):
            continue
        if not target.table.key:  # whose rows are told apart by their contents
            raise LakeError(
                f"{target.name}.{field.name} changed from {field.field_type} to {kind}, and the"
                " table has no key",
                remedy="change it back, or drop the lake table and take a new snapshot of it",
            )
        found[field.name] = wide
    return found
