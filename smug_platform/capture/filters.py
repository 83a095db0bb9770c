"""Some rows of a table read anew: those that a condition is true of, in the source's own SQL.

They come as they are, beside the stream, which goes on in full: no DROP and CREATE, for these would
make the other rows go. So nothing goes in this way. A row that the source has no more, or of which
the condition is not true any more, stays as it was until the whole table is read.
"""

from dataclasses import replace

import pymysql

from smug_platform.capture.contract import quoted, read_tables
from smug_platform.capture.pieces import unread_of
from smug_platform.capture.rights import lacks_select
from smug_platform.capture.server import Connection, connect, may_select
from smug_platform.capture.state import Unread
from smug_platform.errors import SourceError
from smug_platform.settings import Shard
from smug_platform.tables.table import Source

_CLIENTS = 2000  # from here on a number of an error is of the client: the connection was lost


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
    anything that belongs behind a condition stand in one way alone.
    """
    for text in (where, f"({where})"):
        try:
            connection.cursor().execute(f"EXPLAIN SELECT 1 FROM {name} WHERE {text}")
        except pymysql.err.Error as error:
            if error.args[0] >= _CLIENTS:
                raise
            raise SourceError(
                f"the condition {where!r} can't be asked of {name}: {error.args[1]}",
                remedy="write what stands behind WHERE, with columns of that table",
            ) from None
