"""The column plan of a table: what its columns are called on the wire, and how they are read."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pyiceberg.schema import Schema

from smug_platform.errors import LakeError
from smug_platform.lake.state import Fill, State
from smug_platform.lake.target import Target
from smug_platform.lake.types import LakeType, SourceColumn, common_type, duckdb_type
from smug_platform.lake.variants import as_wide, common
from smug_platform.tables.table import FLAG


@dataclass(frozen=True)
class Column:
    """How one lake column is read: its type, its names on the wire, the fills that concern it.

    One that the platform makes, as a flag, has not its own name among those.
    """

    name: str
    type: LakeType
    wire: tuple[str, ...]
    fills: tuple[Fill, ...] = ()

    def expression(self, text: str, *, raises: bool = False) -> str:
        """The SQL expression of the value that has this text; raises: as `LakeType` has it."""
        value = self.type.expression(text, raises=raises)
        kind = duckdb_type(self.type.iceberg)
        for fill in self.fills:
            when = f"_shard = {quote(fill.shard)} and _position < {fill.before}"
            value = f"case when {when} then cast({literal(fill.value)} as {kind}) else {value} end"
        return value

    def text(self, row: str) -> str:
        """The SQL expression of the value's text."""
        names = dict.fromkeys(self.spelling(name) for name in self.wire)
        return f"coalesce({', '.join(f'{row}.{identifier(name)}' for name in names)}, null)"

    @property
    def is_made(self) -> bool:
        """Whether the source has no such column."""
        return self.name not in self.wire

    def spelling(self, name: str) -> str:
        """The first of its names on the wire that differs from this one in case alone, if at all.

        DuckDB tells no two of them apart.
        """
        return next(known for known in self.wire if known.lower() == name.lower())


def identifier(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote(text: str) -> str:
    """A quoted SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def literal(text: str | None) -> str:
    """A quoted SQL literal, or NULL."""
    return "null" if text is None else quote(text)


def plan(target: Target, state: State) -> list[Column]:
    """The column plan: the union of the shards' schemas, old names included.

    Flags of zero dates come last. Raises LakeError when two shards declare a column in ways that no
    type holds, or when one has the name of a flag.
    """
    variants: dict[str, list[SourceColumn]] = {}
    for column in state.columns():
        variants.setdefault(column.name, []).append(column)
    columns = [
        Column(
            name=name,
            type=_with_zero_dates(target, name, common(target.table.name, found)),
            wire=(name, *(old for old in state.aliases if state.alias(old) == name)),
            fills=tuple(fill for fill in state.fills if state.alias(fill.column) == name),
        )
        for name, found in variants.items()
    ]
    return [*columns, *_flags(target, columns)]


def _with_zero_dates(target: Target, name: str, kind: LakeType) -> LakeType:
    """The type with the day that the contract has for its zero dates."""
    policy = target.table.zero_dates.get(name, FLAG)
    return replace(kind, instead=policy) if kind.none and policy != FLAG else kind


def _flags(target: Target, columns: list[Column]) -> list[Column]:
    """The columns that tell zero dates, of those for which the contract asks for one."""
    flags = [
        Column(f"{column.name}_is_zero", column.type.flag, column.wire)
        for column in columns
        if column.type.none and target.table.zero_dates.get(column.name) == FLAG
    ]
    if taken := {flag.name for flag in flags} & {column.name for column in columns}:
        raise LakeError(
            f"{target.table.name} has a column {min(taken)}, the name of a flag of zero dates",
            remedy="name a day for them in the table's `zero_dates`, or rename it",
        )
    return flags


def fitted(target: Target, columns: list[Column], state: State, schema: Schema) -> list[Column]:
    """The plan for a table that has wider types already; raises LakeError as `common_type` does."""
    held = {state.alias(field.name): field.field_type for field in schema.fields}
    found = []
    for column in columns:
        kind = held.get(column.name, column.type.iceberg)
        wide = common_type(target.name, column.name, kind, column.type.iceberg)
        found.append(replace(column, type=as_wide(column.type, wide)))
    return found


def row_id(columns: Iterable[str]) -> str:
    """The SQL expression of a row's content hash: over its values that are not NULL.

    So a column that is added and NULL everywhere changes no hash.
    """
    parts = [
        f"{quote(name + '=')} || length({identifier(name)}::varchar) || ':'"
        f" || {identifier(name)}::varchar"
        for name in sorted(columns)
    ]
    return f"md5(concat_ws('|', {', '.join(parts)}))"
