"""What a case declares. The cases themselves are in `type_cases` and `change_cases`.

A case is one table on both shards and what is done to it: before the snapshot, while capture
streams, and while capture is down. `{t}` in a statement is the table's name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smug_platform.tables.table import KeyScope, Table

PATHS = ("snapshot", "stream", "added", "restart")
SIMPLE = "id INT UNSIGNED PRIMARY KEY, v VARCHAR(40)"
_FIRST_ID = {"snapshot": 100, "stream": 200, "added": 300, "restart": 400}

Statements = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Phases:
    """Statements by phase."""

    before: Statements = ()
    during: Statements = ()
    later: Statements = ()


@dataclass(frozen=True, kw_only=True)
class Case(Phases):
    """One table of the corpus.

    columns: between the parentheses of CREATE TABLE; options: after them. elsewhere: statements
    for the second shard. rows: what the first shard holds at the end, None for "as the source
    says". xfail: why it does not pass. halts: what is said of the table, which then stands still.
    """

    id: str
    columns: str
    options: str = ""
    key: tuple[str, ...] = ("id",)
    key_scope: KeyScope = "global"
    history: bool = False
    zero_dates: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Phases = field(default_factory=Phases)
    rows: tuple[tuple[Any, ...], ...] | None = None
    xfail: str = ""
    halts: str = ""

    @property
    def table(self) -> str:
        return self.id.lower().replace("-", "_")

    @property
    def create(self) -> str:
        return f"CREATE TABLE {self.table} ({self.columns}) {self.options}"

    @property
    def record(self) -> Table:
        return Table(
            name=self.table,
            domain="cases",
            owner="team:tests",
            key=self.key,
            key_scope=self.key_scope,
            history=self.history,
            zero_dates=self.zero_dates,
        )

    def statements(self, phase: str, *, shard: int = 0) -> Statements:
        phases = self.elsewhere if shard else self
        found: Statements = getattr(phases, phase)
        return tuple(statement.replace("{t}", self.table) for statement in found)


@dataclass(frozen=True)
class Typed:
    """A column of a type, its type in the lake, and literals with the values they become.

    case: the id of its case. null: the column takes NULL, which is then among its values. xfail:
    why its values are not right, on the paths of `xfail_on`.
    """

    case: str
    name: str
    ddl: str
    lake: str
    values: Sequence[tuple[str, Any]]
    null: bool = True
    xfail: str = ""
    xfail_on: tuple[str, ...] = PATHS

    @property
    def pairs(self) -> list[tuple[str, Any]]:
        return [*self.values, ("NULL", None)] if self.null else list(self.values)


@dataclass(frozen=True)
class TypeTable:
    """A table of typed columns whose values come on four paths: read by the snapshot, from the
    binlog, in a column added in mid-stream, and after a restart.
    """

    name: str
    columns: tuple[Typed, ...]
    zero_dates: Mapping[str, str] = field(default_factory=dict)

    def case(self) -> Case:
        """The table and its statements. The added columns have the names of the first, `_added`."""
        first = [(column.name, column) for column in self.columns]
        added = [(f"{column.name}_added", column) for column in self.columns if column.null]
        alter = ", ".join(f"ADD COLUMN {name} {column.ddl}" for name, column in added)
        during = [self._insert("stream", first)]
        if added:
            during += [f"ALTER TABLE {{t}} {alter}", self._insert("added", first + added)]
        return Case(
            id=self.name,
            columns="id INT UNSIGNED PRIMARY KEY, "
            + ", ".join(f"{name} {column.ddl}" for name, column in first),
            before=(self._insert("snapshot", first),),
            during=tuple(during),
            later=(self._insert("restart", first + added),),
            zero_dates=self.zero_dates,
        )

    def _insert(self, path: str, columns: list[tuple[str, Typed]]) -> str:
        """A row for each value of the longest column; those of the others come round again."""
        names = ", ".join(["id", *(name for name, _ in columns)])
        rows = []
        for index in range(max(len(column.pairs) for column in self.columns)):
            literals = [column.pairs[index % len(column.pairs)][0] for _, column in columns]
            rows.append(f"({', '.join([str(row_id(path, index)), *literals])})")
        return f"INSERT INTO {{t}} ({names}) VALUES {', '.join(rows)}"


def row_id(path: str, index: int) -> int:
    """The id of the row that holds the value of that index on a path."""
    return _FIRST_ID[path] + index
