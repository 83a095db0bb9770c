"""ALTER TABLE, ALTER DATABASE and ALTER of the rest."""

from tests.redshift.create import isolation
from tests.redshift.errors import Refused, not_emulated, syntax_error, unsupported
from tests.redshift.expressions import Expressions
from tests.redshift.lexer import Cursor, qualified, quote, quote_name, split, text
from tests.redshift.plans import Passed, Plan, Script
from tests.redshift.tables import Attributes, column, column_name
from tests.redshift.types import take_type

_TAG = "ALTER TABLE"


def alter(cursor: Cursor, expressions: Expressions) -> Plan:
    """The rest of an ALTER statement."""
    if cursor.skip("table"):
        return _table(cursor, expressions)
    if cursor.skip("database"):
        return _database(cursor)
    if cursor.name in {"schema", "user", "group", "default", "view"}:
        return Passed("alter" + expressions.render(cursor.rest))
    raise not_emulated(f"ALTER {cursor.token.text.upper()}")


def _database(cursor: Cursor) -> Plan:
    name = quote_name(cursor.take().identifier)
    if level := isolation(cursor):
        changed = f"alter database {name} set default_transaction_isolation to '{level}'"
        return Script([changed], "ALTER DATABASE", alone=True)
    raise not_emulated("ALTER DATABASE of anything but the isolation level")


def _table(cursor: Cursor, expressions: Expressions) -> Plan:
    table = qualified(cursor.table())
    if cursor.skip("append", "from"):
        source = qualified(cursor.table())
        moved = [f"insert into {table} select * from {source}", f"delete from {source}"]
        return Script(moved, _TAG, commits=True, alone=True)
    if len(split(cursor.rest)) > 1:
        raise unsupported("more than one action in ALTER TABLE")
    if cursor.skip("add"):
        return _add(table, cursor, expressions)
    if cursor.skip("alter"):
        return _alter(table, cursor)
    if cursor.name in {"drop", "rename", "owner", "set"}:
        if cursor.ahead().name == "constraint":
            return Script([], _TAG)
        if cursor.skip("drop"):
            return _drop(table, cursor)
        return Passed(f"alter table {table}{expressions.render(cursor.rest)}")
    raise syntax_error(cursor.token.text)


def _add(table: str, cursor: Cursor, expressions: Expressions) -> Plan:
    if cursor.name in {"constraint", "primary", "unique", "foreign"}:
        return Script([], _TAG)  # informational
    cursor.skip("column")
    attributes = Attributes()
    added = column(cursor.rest, attributes, expressions)
    if attributes.dist_key or attributes.sort_keys:
        raise unsupported("a key on an added column")
    if " not null" in added and " default " not in added:
        raise unsupported("ADD COLUMN NOT NULL without a DEFAULT")
    return Script([f"alter table {table} add column {added}"], _TAG)


def _drop(table: str, cursor: Cursor) -> Plan:
    cursor.skip("column")
    name = column_name(cursor.take())
    if not cursor.done:
        raise unsupported(f"DROP COLUMN ... {text(cursor.rest).strip().upper()}")
    return Script([f"select rs.drop_column({quote(table)}, {quote(name)})"], _TAG)


def _alter(table: str, cursor: Cursor) -> Plan:
    if cursor.name in {"distkey", "diststyle", "sortkey", "compound", "interleaved", "encode"}:
        return _keys(table, cursor)
    cursor.skip("column")
    name = column_name(cursor.take())
    if cursor.skip("encode"):
        return Script([], _TAG)
    if not cursor.skip("type"):
        raise unsupported(f"ALTER COLUMN {text(cursor.rest).strip().upper()}")
    kind = take_type(cursor, declared=True)
    if not kind.startswith("varchar"):
        raise Refused("ALTER COLUMN TYPE changes the size of a VARCHAR alone [refused]")
    length = kind.removeprefix("varchar(").removesuffix(")")
    changed = f"select rs.resize({quote(table)}, {quote(name)}, {length})"
    return Script([changed], _TAG, alone=True)


def _keys(table: str, cursor: Cursor) -> Plan:
    """ALTER DISTSTYLE, DISTKEY, SORTKEY and ENCODE AUTO."""
    attributes = Attributes()
    if cursor.skip("distkey"):
        attributes.dist_key = cursor.take().identifier
    elif cursor.skip("diststyle"):
        attributes.style = cursor.take().text.upper()
        if cursor.skip("distkey"):
            attributes.dist_key = cursor.take().identifier
    else:
        attributes.take(cursor)
    if not cursor.done:
        raise syntax_error(cursor.token.text)
    return Script(attributes.remember(table), _TAG)
