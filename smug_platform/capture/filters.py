"""Some rows of a table read anew: those that a condition is true of, in the source's own SQL.

They come as they are, beside the stream, which goes on in full: no DROP and CREATE, for these would
make the other rows go. So nothing goes in this way. A row that the source has no more, or of which
the condition is not true any more, stays as it was until the whole table is read.
"""

import re
from dataclasses import replace

import pymysql

from smug_platform.capture.contract import quoted, read_tables
from smug_platform.capture.pieces import unread_of
from smug_platform.capture.rights import lacks_select
from smug_platform.capture.server import Connection, ask_all, connect, may_select
from smug_platform.capture.state import Unread
from smug_platform.errors import SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_CLIENTS = 2000  # from here on a number of an error is of the client: the connection was lost
_VALUES = re.compile(r"'(?:[^'\\]|\\.|'')*+'?|\"(?:[^\"\\]|\\.|\"\")*+\"?|\b\d[\w.]*", re.DOTALL)
# No column, table or function of that name: words of the server without a value in them.
_OF_NAMES = (1054, 1146, 1305)
_NEVER = "Impossible WHERE"


def filtered(shard: Shard, source: Source, table: str, where: str) -> Unread:
    """What is to be read at a shard; nothing is read of it here, and nothing locked.

    Raises SourceError for a condition that the source does not take, and for a table that can't be
    read in part.
    """
    declared = source.table(table)
    name = f"{quoted(source.database)}.{quoted(table)}"
    with connect(shard) as connection:
        if not may_select(connection, name):
            raise lacks_select(shard, table, name)
        held = read_tables(connection, replace(source, tables=(declared,))).get(table)
        unread = unread_of(declared, held)
        if unread is None:
            raise SourceError(
                f"{shard.name}: {table} can't be read in part: it has no key there, or one or a"
                " column of a type that is not read in pieces",
                remedy="read it whole: smug snapshot, without --where",
            )
        check(connection, name, where)
    # Its changes all come: of a row that is yet to be read nobody knows whether it will be.
    return replace(unread, where=where, numbers=())


def check(connection: Connection, name: str, where: str) -> None:
    """Raise SourceError unless a text is one condition on the rows of a table. name: quoted.

    It has to stand with and without parentheses: `1) OR (1`, a comment that is left open and
    anything that belongs behind a condition stand in one way alone. It is asked as `server` reads
    rows, where "a" is a text whatever the server takes it for; so one that no row can be true of is
    refused as well.
    """
    connection.cursor().execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
    for text in (where, f"({where})"):
        try:
            plan = ask_all(connection, f"EXPLAIN SELECT 1 FROM {name} WHERE {text}")
        except pymysql.err.Error as error:
            if error.args[0] >= _CLIENTS:
                raise
            raise _not_asked(where, name, _words(error)) from None
        if any(row["Extra"] == _NEVER for row in plan):
            raise _not_asked(where, name, 'it is true of no row ("a" is a text, `a` a column)')


def masked(where: str) -> str:
    """A condition without its values, which may be personal: for logs and what is shown.

    >>> masked("email = 'x@y' AND id > 41")
    "email = '?' AND id > ?"
    """
    return _VALUES.sub(lambda found: "?" if found[0][0].isdigit() else "'?'", where)


def _not_asked(where: str, name: str, why: str) -> SourceError:
    return SourceError(
        f"the condition {masked(where)!r} can't be asked of {name}: {why}",
        remedy="write what stands behind WHERE, with columns of that table",
    )


def _words(error: pymysql.err.Error) -> str:
    """What the server says, without a condition's values."""
    told = str(error.args[1])
    return told if error.args[0] in _OF_NAMES else masked(told.partition(" near ")[0])
