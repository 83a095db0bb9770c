"""The declared tables as a source shard holds them, and what of that capture can't bear."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pymysql

from smug_platform.capture.finding import Finding, Severity
from smug_platform.capture.server import LACKS_PRIVILEGE, Connection, ask_all, definition
from smug_platform.tables.table import Source, Table

_INEXACT = frozenset({"float", "double"})
_LOOKS = 4
_DATES = frozenset({"date", "datetime", "timestamp"})
_CASCADING = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})

# Of severity, check, problem and remedy.
_Make: TypeAlias = Callable[[Severity, str, str, str], Finding]


@dataclass(frozen=True)
class Columns:
    """The columns of one table that a snapshot has to ask for in its own way.

    floats: as text the server prints them with six digits. hidden: `*` leaves them out.
    """

    floats: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass
class Held:
    """A table as one shard holds it.

    rows: about how many, by the server's statistics. types: of each column, as SHOW CREATE TABLE
    tells it; kinds: without length and sign. unique: the columns of each unique index, by its name.
    cascades: names of foreign keys by which the server changes rows of this table without a word in
    the binlog.
    """

    engine: str
    partitioned: bool
    rows: int = 0
    types: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    nullable: set[str] = field(default_factory=set)
    hidden: list[str] = field(default_factory=list)
    unique: dict[str, set[str]] = field(default_factory=dict)
    cascades: list[str] = field(default_factory=list)

    @property
    def columns(self) -> Columns:
        """What a snapshot has to ask for in its own way."""
        floats = tuple(name for name, kind in self.kinds.items() if kind == "float")
        return Columns(floats, tuple(self.hidden))

    @property
    def keys(self) -> list[set[str]]:
        """The columns of each unique index that takes no NULL."""
        return [columns for columns in self.unique.values() if not columns & self.nullable]


def quoted(name: str) -> str:
    """A name as SQL has it.

    >>> quoted("a`b")
    '`a``b`'
    """
    return "`" + name.replace("`", "``") + "`"


def read_tables(connection: Connection, source: Source) -> dict[str, Held]:
    """The declared tables that the shard has and that this user sees.

    information_schema does not see a table, or its indexes, at the end of an ALTER that copies it:
    what is doubtful is looked up again once that is over.
    """
    for _ in range(_LOOKS - 1):
        found = _look_up(connection, source)
        doubtful = [table for table in source.tables if _is_doubtful(table, found.get(table.name))]
        if not any(_is_there(connection, source, table) for table in doubtful):
            return found
    return _look_up(connection, source)


def _is_doubtful(table: Table, held: Held | None) -> bool:
    return held is None or not held.types or (bool(table.key) and set(table.key) not in held.keys)


def _is_there(connection: Connection, source: Source, table: Table) -> bool:
    """Whether a table can be read; waits while an ALTER of it ends."""
    name = f"{quoted(source.database)}.{quoted(table.name)}"
    try:
        return definition(connection, name) is not None
    except pymysql.err.MySQLError as error:
        if error.args and error.args[0] in LACKS_PRIVILEGE:
            return False
        raise


def _look_up(connection: Connection, source: Source) -> dict[str, Held]:
    names = {table.name for table in source.tables}
    found = {
        str(row["name"]): Held(
            str(row["engine"]), "partitioned" in str(row["options"]), int(row["count"] or 0)
        )
        for row in ask_all(
            connection,
            "SELECT table_name AS name, engine AS engine, create_options AS options,"
            " table_rows AS count"
            " FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'",
            (source.database,),
        )
        if row["name"] in names
    }
    _read_columns(connection, source, found)
    _read_indexes(connection, source, found)
    return found


def _read_columns(connection: Connection, source: Source, found: Mapping[str, Held]) -> None:
    for row in ask_all(
        connection,
        "SELECT table_name AS held, column_name AS name, column_type AS type, data_type AS kind,"
        " extra AS extra, is_nullable AS nullable FROM information_schema.columns"
        " WHERE table_schema = %s ORDER BY table_name, ordinal_position",
        (source.database,),
    ):
        if held := found.get(str(row["held"])):
            name = str(row["name"])
            held.types[name] = str(row["type"])
            held.kinds[name] = str(row["kind"]).lower()
            if row["nullable"] == "YES":
                held.nullable.add(name)
            if "INVISIBLE" in str(row["extra"]).upper():
                held.hidden.append(name)


def _read_indexes(connection: Connection, source: Source, found: Mapping[str, Held]) -> None:
    for row in ask_all(
        connection,
        "SELECT table_name AS held, index_name AS name, column_name AS col"
        " FROM information_schema.statistics WHERE table_schema = %s AND non_unique = 0",
        (source.database,),
    ):
        if held := found.get(str(row["held"])):
            held.unique.setdefault(str(row["name"]), set()).add(str(row["col"]))
    for row in ask_all(
        connection,
        "SELECT table_name AS held, constraint_name AS name, delete_rule AS gone,"
        " update_rule AS changed FROM information_schema.referential_constraints"
        " WHERE constraint_schema = %s",
        (source.database,),
    ):
        held = found.get(str(row["held"]))
        if held and {str(row["gone"]), str(row["changed"])} & _CASCADING:
            held.cascades.append(str(row["name"]))


def find_in_table(source: Source, table: Table, held: Held | None, shard: str) -> Iterator[Finding]:
    """The findings of one declared table. held: None where the shard lacks it."""
    where = f"{shard}: table {source.database}.{table.name}"

    def finding(severity: Severity, check: str, problem: str, remedy: str) -> Finding:
        return Finding(severity, check, shard, f"{where} {problem}", remedy)

    if held is None:
        yield finding(
            "blocking",
            "table_missing",
            "is declared but the source lacks it, or this user may not read it",
            "create it, grant SELECT on it, or take it out of smug_platform/tables",
        )
        return
    yield from _of_columns(table, held, finding=finding)
    if not table.key:
        yield _of_none(held, finding=finding)
    elif set(table.key) <= held.types.keys():
        yield from _of_key(table, held, finding=finding)
    yield from _of_engine(held, finding=finding)


def _of_columns(table: Table, held: Held, *, finding: _Make) -> Iterator[Finding]:
    remedy = "correct its record in smug_platform/tables"
    declared = (*table.key, *table.excluded, *table.zero_dates, *table.warehouse_columns)
    for name in dict.fromkeys(declared):
        if name not in held.types:
            yield finding("blocking", "column_missing", f"has no column {name!r}", remedy)
        elif name in table.zero_dates and held.kinds[name] not in _DATES:
            problem = f"has zero dates declared for {name!r}, a {held.types[name]}"
            yield finding("blocking", "zero_dates", problem, remedy)
    personal = (*table.pii, table.account) if table.account else ()
    for name in personal:
        if name not in held.types:
            problem = f"has no column {name!r}, which is declared for the sake of personal values"
            yield finding("warning", "personal_column_missing", problem, remedy)


def _of_key(table: Table, held: Held, *, finding: _Make) -> Iterator[Finding]:
    key = ", ".join(table.key)
    if set(table.key) not in held.keys:
        yield finding(
            "blocking",
            "key_not_unique",
            f"has no unique index on its declared key ({key})",
            "declare the key that the source has, or key=() and key_scope='shard'",
        )
    if inexact := [name for name in table.key if held.kinds[name] in _INEXACT]:
        yield finding(
            "warning",
            "key_type",
            f"is told apart by {inexact[0]!r}, a {held.types[inexact[0]]}",
            "declare a key of exact type: two numbers that print alike would be one row",
        )


def _of_none(held: Held, *, finding: _Make) -> Finding:
    if held.keys:
        key = ", ".join(sorted(held.keys[0]))
        return finding(
            "warning",
            "no_key",
            f"is declared without a key and has one ({key})",
            "declare it: without, each change is looked for by the whole row",
        )
    return finding(
        "note",
        "no_key",
        "has no key",
        "nothing, its rows are kept as a multiset; give it a unique key if it changes often",
    )


def _of_engine(held: Held, *, finding: _Make) -> Iterator[Finding]:
    if held.cascades:
        yield finding(
            "warning",
            "cascade",
            f"is changed by the foreign key {held.cascades[0]}, which the binlog does not tell",
            "drop the cascade and change the rows by statements; until then `smug verify` finds"
            " what is missing",
        )
    if held.engine.upper() != "INNODB":
        yield finding(
            "warning",
            "engine",
            f"is of engine {held.engine}, which takes no part in the snapshot's transaction",
            "ALTER it to InnoDB, or let nobody write to it during a snapshot",
        )
    if held.partitioned:
        yield finding(
            "note",
            "partitions",
            "has partitions",
            "nothing; DROP, TRUNCATE and EXCHANGE PARTITION change rows without a word in the"
            " binlog, so the table is then read anew by itself",
        )
