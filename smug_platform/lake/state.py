"""What a lake table knows beside its rows: each shard's schema, floors, fills and watermarks.

The state is a value. It is committed with the rows, in the table's properties, and moves on by
`evolve`, a pure function of the state and one schema change. Shards may differ for as long as they
like: the table's columns are the union of theirs.

floor: rows of a shard before it are gone (TRUNCATE, DROP, or the table was read anew by a
snapshot), whenever they arrive. fill: rows of a shard before a position read as the default of a
column that was added there; the binlog holds no events for them. dropped: events of a shard before
a position may hold a column that it has no more; such values are left out. watermark: how far a
table without a key has been applied, per shard; its rows have no position of their own. behind:
the shards that lack something of the union, for people; nothing is decided by it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from smug_platform.capture.change import CHANGED, UNKEYED
from smug_platform.errors import LakeError
from smug_platform.lake.defaults import default_of, fill_value, is_unfilled, unescaped
from smug_platform.lake.drift import Behind, follow_drift
from smug_platform.lake.target import RESERVED
from smug_platform.lake.types import SourceColumn, is_real
from smug_platform.stamps import known, readable
from smug_platform.tables.table import Table

FORMAT = 1

_NAME = r"[`\"]?([^\s`\"(]+)[`\"]?"
_RENAMES = (
    re.compile(rf"\bRENAME\s+COLUMN\s+{_NAME}\s+TO\s+{_NAME}", re.IGNORECASE),
    re.compile(rf"\bCHANGE\s+(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?{_NAME}\s+{_NAME}", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True)
class Fill:
    """Rows of `shard` before position `before` read `value` in `column`; None reads as NULL."""

    shard: str
    column: str
    before: int
    value: str | None


@dataclass(frozen=True)
class State:
    """A lake table's state. Positions are ordinals; schemas hold (position, columns) by shard."""

    schemas: Mapping[str, tuple[int, tuple[SourceColumn, ...]]] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)
    watermarks: Mapping[str, int] = field(default_factory=dict)
    fills: tuple[Fill, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    behind: Behind = field(default_factory=dict)

    def columns(self) -> list[SourceColumn]:
        """The union of the shards' columns under their present names, shard by shard.

        A column that two shards declare differently comes once for each declaration.
        """
        found: dict[SourceColumn, None] = {}
        for _, (_, columns) in sorted(self.schemas.items()):
            for column in columns:
                found[replace(column, name=self.alias(column.name), default=None)] = None
        return list(found)

    def alias(self, name: str) -> str:
        """The present name of a column that may have been renamed."""
        while name in self.aliases:
            name = self.aliases[name]
        return name

    def to_json(self) -> str:
        """The state as text; the inverse of `from_json`."""
        # positions have up to 38 digits: orjson stops at 64 bits
        return json.dumps(asdict(self) | {"format": FORMAT})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The state that `to_json` wrote; raises NewerState."""
        found = json.loads(text)
        readable("the state of a lake table", found, FORMAT)
        schemas = {
            shard: (position, tuple(map(_source_column, columns)))
            for shard, (position, columns) in found["schemas"].items()
        }
        return cls(
            schemas=schemas,
            floors=found["floors"],
            watermarks=found["watermarks"],
            fills=tuple(Fill(**known(Fill, fill)) for fill in found["fills"]),
            aliases=found["aliases"],
            dropped=found.get("dropped", {}),
            behind=found.get("behind", {}),
        )


def truncate(state: State, shard: str, position: int) -> State:
    """Rows of the shard before the position are gone; later truncates count, earlier don't."""
    floor = max(position, state.floors.get(shard, 0))
    return replace(state, floors={**state.floors, shard: floor})


def evolve(state: State, table: Table, shard: str, position: int, event: Any) -> State:
    """The state after one schema-change event of Debezium (parsed JSON) at that position.

    An event that the shard's schema has already passed changes nothing: schema changes come
    through every lane of the stream. Raises LakeError for a default that can't be worked out.
    """
    if position < state.schemas.get(shard, (0, ()))[0]:
        return state
    for change in event["tableChanges"]:
        if change["id"].split(".")[-1].strip('"') != table.name:
            continue
        _check_told(table, shard, change["type"], event["ddl"])
        if change["type"] in {"DROP", "CREATE"}:
            state = truncate(state, shard, position)
        if change["table"] is not None:
            columns = _columns(table, change["table"]["columns"])
            if change["type"] == "ALTER":
                before = state.schemas.get(shard, (0, ()))[1]
                columns = _still_real(columns, before, dict(_renames(event)))
                state = _alter(state, table, shard, (position, columns), event)
            state = _drop(state, shard, position, columns)
            state = _hold(state, shard, (position, columns), at=event["source"]["ts_ms"])
    return state


def _check_told(table: Table, shard: str, kind: str, ddl: str) -> None:
    """Raise LakeError for what does not tell which rows are which."""
    told = f"`{' '.join(ddl.split())[:300]}`"
    if kind == CHANGED:
        raise LakeError(
            f"{table.name}: a statement changed rows of {shard}, and the binlog does not tell"
            f" which: {told}",
            remedy="see that each session there has binlog_format ROW, then `smug snapshot"
            f" {table.name}`",
        )
    if kind == UNKEYED:
        raise LakeError(
            f"{table.name}: its key ({', '.join(table.key)}) is no unique index of {shard} any"
            f" more: {told}",
            remedy="declare the key that it has now in smug_platform/tables: it is then read anew"
            f" by itself. Where it has the old one again: `smug snapshot {table.name}`",
        )


def _hold(
    state: State, shard: str, schema: tuple[int, tuple[SourceColumn, ...]], *, at: int
) -> State:
    """The state with a shard's new schema. at: when it came, in milliseconds since 1970."""
    schemas = {**state.schemas, shard: schema}
    if schemas == state.schemas:
        return state
    behind = follow_drift(state.behind, state.schemas, schemas, renamed=state.aliases, at=at)
    return replace(state, schemas=schemas, behind=behind)


def _renames(event: Any) -> list[tuple[str, str]]:
    """The old and the new name of each column that the statement may rename."""
    return [pair for pattern in _RENAMES for pair in pattern.findall(event["ddl"])]


def _still_real(
    columns: tuple[SourceColumn, ...],
    before: tuple[SourceColumn, ...],
    renames: Mapping[str, str],
) -> tuple[SourceColumn, ...]:
    """The columns after an ALTER: rows that came while one was a REAL stay what they are, also when
    it is a DOUBLE then, of that name or another. Only a new snapshot brings their values.
    """
    reals = {renames.get(column.name, column.name) for column in before if is_real(column)}
    return tuple(replace(c, type="REAL") if c.name in reals else c for c in columns)


def _drop(state: State, shard: str, position: int, columns: tuple[SourceColumn, ...]) -> State:
    """Note which columns the shard had before, and has no more."""
    here = {column.name for column in columns}
    gone = {c.name: position for c in state.schemas.get(shard, (0, ()))[1] if c.name not in here}
    before = {**state.dropped.get(shard, {}), **gone}
    kept = {name: at for name, at in before.items() if name not in here}
    return replace(state, dropped={**state.dropped, shard: kept})


def _columns(table: Table, columns: list[dict[str, Any]]) -> tuple[SourceColumn, ...]:
    names = {column["name"] for column in columns} - set(table.excluded)
    if taken := sorted(name for name in names if name.lower() in RESERVED):
        raise LakeError(
            f"{table.name} has a column {taken[0]}, a name that the lake needs itself",
            remedy="name it in the table's `excluded`, or rename it",
        )
    return tuple(
        SourceColumn(
            name=column["name"],
            type=_type(column),
            length=column["length"],
            scale=column["scale"],
            optional=column["optional"],
            default=default_of(column),
            members=_members(column["enumValues"] or ()),
        )
        for column in sorted(columns, key=lambda column: column["position"])
        if column["name"] not in table.excluded
    )


def _type(column: Mapping[str, Any]) -> str:
    """The name of a column's type; a text of bytes, as the server makes of it, is one of those."""
    name = str(column["typeName"]).upper()
    is_text = "CHAR" in name or "TEXT" in name
    return "BLOB" if is_text and column["charsetName"] == "binary" else name


def _source_column(found: dict[str, Any]) -> SourceColumn:
    """The column that `to_json` wrote."""
    members = tuple((come, real) for come, real in found.get("members", ()))
    return SourceColumn(**known(SourceColumn, found) | {"members": members})


def _members(literals: Iterable[str]) -> tuple[tuple[str, str], ...]:
    r"""The members that Debezium gives in another spelling when it reads the binlog.

    It takes them as they were written between the quotes, with quotes made single and a backslash
    before a comma; a snapshot has them from the server.

    >>> _members(["'a'", "'a,b'", "'it''s'", r"'x\ny'"]) == ((r"a\,b", "a,b"), (r"x\ny", "x\ny"))
    True
    """
    written = [literal[1:-1] for literal in literals]
    spelled = [text.replace(",", r"\,").replace(r"\'", "'").replace("''", "'") for text in written]
    pairs = zip(spelled, map(unescaped, written), strict=True)
    return tuple((come, real) for come, real in pairs if come != real)


def _alter(
    state: State, table: Table, shard: str, new: tuple[int, tuple[SourceColumn, ...]], event: Any
) -> State:
    position, columns = new
    old = {column.name for column in state.schemas.get(shard, (0, ()))[1]}
    added = {column.name for column in columns} - old
    dropped = old - {column.name for column in columns}
    pairs = _renames(event)
    names = old | {column.name for column in columns}
    for before, after in pairs:
        reused = before in old - dropped or after in old
        if before != after and reused and {before, after} <= names:
            raise LakeError(
                f"{table.name}: `{' '.join(event['ddl'].split())}` gives one column the name of"
                " another, and rows that are there can't be told apart from new ones",
                remedy="take a new snapshot of the table",
            )
    renamed = {before: after for before, after in pairs if before in dropped and after in added}
    aliases = {k: v for k, v in state.aliases.items() if k not in added} | renamed
    again = state.dropped.get(shard, {})
    fills = [
        Fill(shard, column.name, position, fill_value(table, column, event))
        for column in columns
        if column.name in added - set(renamed.values())
        and (column.name in again or not is_unfilled(column, event))
        and old
    ]
    return replace(state, aliases=aliases, fills=state.fills + tuple(fills))
