"""Statements that change rows where the binlog tells of no rows.

A session in binlog_format STATEMENT or MIXED has its INSERT, UPDATE, DELETE, LOAD DATA written as
they are: `events` marks them, and here is worked out which tables each may have changed, through
views, triggers and routines as well. Those stand still in the lake until they are read anew.

And there are schema changes that take rows away or bring some, such as DROP PARTITION. Their tables
are read anew by themselves.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from smug_platform.capture import server as source_server
from smug_platform.capture.contract import read_tables
from smug_platform.capture.events import CUT, MARK
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_NAME = r'(?:`[^`]+`|"[^"]+"|[\w$]+)'
_WORDS = re.compile(rf"(?:({_NAME})\s*\.\s*)?({_NAME})")
_ASIDE = re.compile(
    r"/\*(?!M?!).*?\*/|/\*M?!\d*|\*/|--\s[^\n]*|#[^\n]*|'(?:[^'\\]|\\.)*'", re.DOTALL
)
_FIRST = re.compile(r"[\s(]*(?:SET\s+STATEMENT\s.*?\sFOR\s+)?(\w+)", re.IGNORECASE | re.DOTALL)
# Up to where a statement of that first word names what it changes; a word in backticks is a name.
_TOLD = r"((?:`[^`]*`|.)*?)"
_HEADS = {
    "INSERT": re.compile(rf"{_TOLD}(?:\(|\b(?:VALUES?|SELECT|SET|WITH)\b|$)", re.I | re.S),
    "REPLACE": re.compile(rf"{_TOLD}(?:\(|\b(?:VALUES?|SELECT|SET|WITH)\b|$)", re.I | re.S),
    "UPDATE": re.compile(rf"{_TOLD}(?:\bSET\b|$)", re.I | re.S),
    "DELETE": re.compile(rf"{_TOLD}(?:\bWHERE\b|$)", re.I | re.S),
    "LOAD": re.compile(rf".*?\bINTO\s+TABLE\s+({_NAME}(?:\s*\.\s*{_NAME})?)", re.I | re.S),
}
_UNHEARD = re.compile(
    r"\b(?:TRUNCATE|DROP|EXCHANGE|CONVERT)\s+PARTITION\b|\bCONVERT\s+TABLE\b.*\bTO\s+PARTITION\b"
    r"|\b(?:DISCARD|IMPORT)\b.*\bTABLESPACE\b|\bALTER\s+(?:ONLINE\s+)?IGNORE\b"
    r"|\bCREATE\b.*\bTABLE\b.*\bSELECT\b",
    re.IGNORECASE | re.DOTALL,
)
# What may take a key away: its index goes, or a column of it takes NULL or has another name.
_OF_KEYS = re.compile(r"\b(?:DROP|MODIFY|CHANGE|RENAME)\b", re.IGNORECASE)
_PRIMARY_GOES = re.compile(
    r"\bDROP\s+(?:PRIMARY\s+KEY\b|(?:INDEX|KEY|CONSTRAINT)\s+(?:IF\s+EXISTS\s+)?`?PRIMARY\b)", re.I
)
_PRIMARY = re.compile(r"\bPRIMARY\s+KEY\b", re.I)
_OF_SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


@dataclass(frozen=True)
class Definition:
    """A view's, a trigger's or a routine's text. name: of the view, the trigger's table, or the
    routine; database: where that is.
    """

    name: str
    text: str
    database: str


def is_marked(ddl: str) -> bool:
    """Whether a schema change is none, but a statement that changes rows."""
    return ddl.startswith(MARK)


def unmarked(ddl: str) -> tuple[str, str]:
    """A marked statement, and the database of the session that gave it.

    >>> unmarked(MARK + "flickr*/DELETE FROM photos")
    ('DELETE FROM photos', 'flickr')
    """
    database, _, statement = ddl.removeprefix(MARK).partition("*/")
    return statement, database


def changed_unheard(ddl: str, tables: Collection[str]) -> list[str]:
    """Of some tables those whose rows a schema change may change without a word of them.

    >>> changed_unheard("ALTER TABLE views DROP /* old */ PARTITION p0", ["photos", "views"])
    ['views']
    >>> changed_unheard("ALTER TABLE views DROP COLUMN photos", ["photos", "views"])
    []
    """
    text = _ASIDE.sub(" ", ddl)
    if not _UNHEARD.search(text):
        return []
    names = {name for _, name in _named(text)}
    return [table for table in tables if table.lower() in names]


class Statements:
    """What the statements of one shard's sessions do. source: what is captured. All methods ask the
    server, and raise SourceError.
    """

    def __init__(self, shard: Shard, source: Source) -> None:
        self._shard, self._source = shard, source
        self._definitions: list[Definition] | None = None

    def renew(self) -> None:
        """Ask for definitions anew: what is told from now on may be later than those known."""
        self._definitions = None

    def concerned(self, statement: str, database: str) -> list[str]:
        """The captured tables that a statement may have changed; database: of its session."""
        here, tables = self._source.database, [table.name for table in self._source.tables]
        if self._definitions is None:
            with source_server.connect(self._shard) as connection:
                self._definitions = list(_definitions(connection))
        return concerned(statement, tables, self._definitions, here=here, session=database)

    def unkeyed(self, ddl: str, altered: Collection[str]) -> list[str]:
        """Of the tables that a schema change altered those whose declared key is no unique index
        any more, or was none for a while.
        """
        tables = tuple(t for t in self._source.tables if t.key and t.name in altered)
        if not (tables and _OF_KEYS.search(ddl)):
            return []
        if loses_primary_key(ddl):  # the server may have it again: it is ahead of its binlog
            return [table.name for table in tables]
        with source_server.connect(self._shard) as connection:
            held = read_tables(connection, replace(self._source, tables=tables))
        return [t.name for t in tables if t.name in held and set(t.key) not in held[t.name].keys]


def loses_primary_key(ddl: str) -> bool:
    """Whether a schema change takes a primary key away and gives none.

    >>> loses_primary_key("ALTER TABLE photos DROP /* old */ PRIMARY KEY")
    True
    >>> loses_primary_key("ALTER TABLE photos DROP PRIMARY KEY, ADD PRIMARY KEY (id)")
    False
    """
    text = _ASIDE.sub(" ", ddl)
    rest, gone = _PRIMARY_GOES.subn(" ", text)
    return gone > 0 and not _PRIMARY.search(rest)


def concerned(
    statement: str,
    tables: Sequence[str],
    definitions: Sequence[Definition],
    *,
    here: str,
    session: str,
) -> list[str]:
    """Of the tables of a database those that a statement may have changed.

    here: the database; session: that of the session. What can't be told is all of them.

    >>> concerned("INSERT INTO log SELECT id FROM photos", ["log", "photos"], [], here="f",
    ...           session="f")
    ['log']
    >>> trigger = Definition("log", "UPDATE f.photos SET seen = 1", "other")
    >>> concerned("INSERT INTO log VALUES (?)", ["photos"], [trigger], here="f", session="other")
    ['photos']
    """
    first = _FIRST.match(statement)
    head = _HEADS.get(first[1].upper()) if first else None
    found = head.match(statement) if head else None
    told = found[1] if found else statement
    is_quoted = '"' in told and (head or "WITH" in told.upper())  # a name, if quotes are ANSI's
    if is_quoted or (told == statement and told.endswith(CUT)):
        return list(tables)
    by_name = defaultdict[tuple[str, str], list[Definition]](list)
    for one in definitions:
        by_name[one.database.lower(), one.name.lower()].append(one)
    names = set(_names(told, session)) | (set(_names(statement, session)) & by_name.keys())
    left = set(names)
    while left:
        for one in by_name.get(left.pop(), ()):
            left |= (new := set(_names(one.text, one.database)) - names)
            names |= new
    return [table for table in tables if (here.lower(), table.lower()) in names]


def _names(text: str, database: str) -> Iterator[tuple[str, str]]:
    """What a text, of a session in a database, may name: of which database, and its name there. In
    lower case.
    """
    database = database.lower()
    for qualifier, name in _named(text):
        if qualifier:
            yield qualifier, name
            yield database, qualifier  # a table's column, or what stands after an alias
        yield database, name


def _named(text: str) -> Iterator[tuple[str, str]]:
    """The names in a text with what qualifies them, in lower case and without quotes."""
    for qualifier, name in _WORDS.findall(text):
        yield qualifier.strip('`"').lower(), name.strip('`"').lower()


def _definitions(connection: source_server.Connection) -> Iterator[Definition]:
    """What a change of a table of that name, or a call, does besides."""
    for table, name, text in (
        ("views", "table_name", "view_definition"),
        ("triggers", "event_object_table", "action_statement"),
        ("routines", "routine_name", "routine_definition"),
    ):
        schema = {"views": "table", "triggers": "event_object", "routines": "routine"}[table]
        for row in source_server.ask_all(
            connection,
            f"SELECT {schema}_schema AS place, {name} AS name, {text} AS text"
            f" FROM information_schema.{table} WHERE {schema}_schema NOT IN %s",
            (_OF_SYSTEM,),
        ):
            yield Definition(str(row["name"]), str(row["text"] or ""), str(row["place"]))
