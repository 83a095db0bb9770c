"""Which shards are behind the union schema of their table, in what, and since when.

An ALTER reaches the shards one after another. A shard is behind in a column from the moment at
which another one gets it, or gets it with another type, or at which the shard itself drops what
others keep; no longer once they agree.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from smug_platform.lake.types import SourceColumn

LATE_SECONDS = 3600.0  # that shards may differ before people are told

Behind: TypeAlias = Mapping[str, Mapping[str, int]]
"""By shard: the columns in which it is behind, and since when, in milliseconds since 1970."""
_Schemas: TypeAlias = Mapping[str, tuple[int, tuple[SourceColumn, ...]]]
_Kind: TypeAlias = tuple[str, int | None, int | None]


@dataclass(frozen=True)
class SchemaBehind:
    """A shard that is behind the union schema of a table. since: of the column longest so."""

    table: str
    shard: str
    columns: tuple[str, ...]
    since: datetime


def told(table: str, behind: Behind) -> list[SchemaBehind]:
    """What there is to say of a table."""
    return [
        SchemaBehind(table, shard, tuple(columns), _moment(min(columns.values())))
        for shard, columns in sorted(behind.items())
    ]


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def follow_drift(
    behind: Behind, before: _Schemas, after: _Schemas, *, renamed: Collection[str], at: int
) -> Behind:
    """Who is behind after the schema of one shard changed. before, after: of all shards; renamed:
    former names of columns, which nobody needs to have; at: milliseconds since 1970.
    """
    kinds, former = _kinds(after), _kinds(before)
    (changed,) = [shard for shard in kinds if after[shard] != before.get(shard)]
    news = {n: k for n, k in kinds[changed].items() if former.get(changed, {}).get(n) != k}
    found = {}
    for shard, held in kinds.items():
        known, mine = behind.get(shard, {}), {}
        for name in _differing(held, kinds, renamed):
            if shard == changed:
                is_behind = name not in held or (name in known and name not in news)
            else:
                is_behind = name in known or (name in news and held.get(name) != news[name])
            if is_behind:
                mine[name] = known.get(name, at)
        if mine:
            found[shard] = mine
    return found


def _differing(
    held: Mapping[str, _Kind], kinds: Mapping[str, Mapping[str, _Kind]], renamed: Collection[str]
) -> list[str]:
    """The columns of the union that a shard lacks, or has with another type than another shard."""
    union = dict.fromkeys(name for other in kinds.values() for name in other)
    return [
        name
        for name in union
        if name not in renamed
        and any(name in other and other[name] != held.get(name) for other in kinds.values())
    ]


def _kinds(schemas: _Schemas) -> dict[str, dict[str, _Kind]]:
    return {
        shard: {c.name: (c.type, c.length, c.scale) for c in columns}
        for shard, (_, columns) in schemas.items()
    }
