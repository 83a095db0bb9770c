"""The Iceberg schema of a lake table: the union of the shards' columns, and how it follows them."""

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table import Transaction
from pyiceberg.types import (
    BooleanType,
    DecimalType,
    IcebergType,
    NestedField,
    StringType,
    TimestamptzType,
)

from smug_platform.lake.columns import Column
from smug_platform.lake.state import State
from smug_platform.lake.target import ROW_ID, Target
from smug_platform.lake.types import common_type

_META_TYPES: dict[str, IcebergType] = {
    "_shard": StringType(),
    "_position": DecimalType(38, 0),
    "_committed_at": TimestamptzType(),
    "_is_deleted": BooleanType(),
    "_moved_to": StringType(),
    ROW_ID: StringType(),
}
_META_DOCS = {
    "_shard": "the source shard of the row",
    "_position": "the source position of the row's last change, as one number",
    "_committed_at": "when the source committed that change",
    "_is_deleted": "the row is not live: deleted, truncated, or moved to another shard",
    "_moved_to": "the shard that holds the live copy of this key",
    ROW_ID: "content hash and ordinal, for a table without a key",
}


def new_schema(target: Target, columns: list[Column]) -> Schema:
    """The schema of a table that is not there yet."""
    kinds = [(column.name, column.type.iceberg) for column in columns]
    kinds += [(name, _META_TYPES[name]) for name in target.meta]
    return Schema(
        *(
            NestedField(number, name, kind, doc=_META_DOCS.get(name))
            for number, (name, kind) in enumerate(kinds, start=1)
        )
    )


def evolve_schema(
    transaction: Transaction, target: Target, state: State, columns: list[Column]
) -> Schema:
    """Bring the Iceberg schema up to the union of the shards': rename, widen, add; never drop."""
    schema = transaction.table_metadata.schema()
    kinds = {field.name: field.field_type for field in schema.fields}
    names = {old: state.alias(old) for old in state.aliases if old in kinds}
    renames = {old: new for old, new in names.items() if new not in kinds}
    present = {renames.get(name, name): kind for name, kind in kinds.items()}
    added = {name: _META_TYPES[name] for name in target.meta if name not in present}
    widened = {}
    for name, kind in ((column.name, column.type.iceberg) for column in columns):
        if name not in present:
            added[name] = kind
        elif (wide := common_type(target.name, name, present[name], kind)) != present[name]:
            widened[name] = wide
    if not (renames or added or widened):
        return schema
    with transaction.update_schema() as update:
        former = {new: old for old, new in renames.items()}
        for name, kind in widened.items():
            update.update_column(former.get(name, name), field_type=kind)
        for old, new in renames.items():
            update.rename_column(old, new)
        for name, kind in added.items():
            update.add_column(name, kind)
    return transaction.table_metadata.schema()


def shaped(rows: pa.Table, schema: Schema) -> pa.Table:
    """The rows under the lake's schema; a column that no shard has any more reads as NULL."""
    arrow = schema_to_pyarrow(schema, include_field_ids=False)
    return pa.table(
        [
            rows[field.name].cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(rows.num_rows, field.type)
            for field in arrow
        ],
        schema=arrow,
    )
