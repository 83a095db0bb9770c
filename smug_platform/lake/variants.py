"""A column that has several types: as shards declare it, or as the lake's table has it already."""

from dataclasses import replace

from pyiceberg.types import IcebergType

from smug_platform.errors import LakeError
from smug_platform.lake.types import (
    LakeType,
    SourceColumn,
    cast_to,
    common_type,
    duckdb_type,
    lake_type,
)


def as_wide(kind: LakeType, wide: IcebergType) -> LakeType:
    """The same values read as a wider type.

    >>> as_wide(lake_type(SourceColumn("n", "INT")), lake_type(SourceColumn("n", "BIGINT")).iceberg)
    LakeType(iceberg=LongType(), read='try_cast($ as bigint)', can_raise=True, none='', instead='')
    """
    if kind.iceberg == wide:
        return kind
    wider = duckdb_type(wide)
    is_plain = kind.read == cast_to(duckdb_type(kind.iceberg))
    read = cast_to(wider) if is_plain else f"cast(({kind.read}) as {wider})"
    return replace(kind, iceberg=wide, read=read)


def common(table: str, variants: list[SourceColumn]) -> LakeType:
    """The lake type of a column that shards declare in different ways; raises LakeError."""
    members = tuple(dict.fromkeys(pair for variant in variants for pair in variant.members))
    variants = [replace(variant, members=members) if members else variant for variant in variants]
    found = lake_type(variants[0])
    for variant in variants[1:]:
        other = lake_type(variant)
        wide = common_type(table, variant.name, found.iceberg, other.iceberg)
        if _comes_as_bytes(found) != _comes_as_bytes(other):
            raise LakeError(
                f"{table}.{variant.name} is {variants[0].type} on one shard and {variant.type} on"
                " another, whose values come in different forms",
                remedy="make the shards alike, then take a new snapshot of the table",
            )
        nearest = other if wide == other.iceberg != found.iceberg else found
        found = as_wide(nearest, wide)
    return found


def _comes_as_bytes(kind: LakeType) -> bool:
    """Whether its text on the wire is base64."""
    return "from_base64(" in kind.read
