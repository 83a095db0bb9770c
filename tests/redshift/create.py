"""CREATE of all but tables: views, schemas, databases, functions, users."""

import re

from tests.redshift.errors import Refused, not_emulated, syntax_error, unsupported
from tests.redshift.expressions import Expressions
from tests.redshift.lexer import Cursor, Tokens, qualified, quote_name, read, text
from tests.redshift.plans import LateBindingView, Passed, Plan, Script
from tests.redshift.queries import tables_read, with_names, without_qualify
from tests.redshift.tables import create_table

# "Unsupported PostgreSQL features" of the guide.
_POSTGRES_ONLY = {
    "index", "unique", "sequence", "trigger", "extension", "domain", "type", "rule", "aggregate",
    "operator", "unlogged", "recursive", "tablespace", "collation", "policy", "publication",
}  # fmt: skip
_NOT_EMULATED = {
    "external", "library", "model", "datashare", "masking", "rls", "identity", "materialized",
    "procedure",
}  # fmt: skip
_LATE = ("with", "no", "schema", "binding")
ISOLATION = {"snapshot": "repeatable read", "serializable": "serializable"}


def create(cursor: Cursor, expressions: Expressions) -> Plan:
    """The rest of a CREATE statement."""
    cursor.skip("or", "replace")
    kind = cursor.take().name
    if kind in _POSTGRES_ONLY:
        raise unsupported(f"CREATE {kind.upper()}")
    if kind in _NOT_EMULATED:
        raise not_emulated(f"CREATE {kind.upper()}")
    if kind == "local":
        kind = cursor.take().name
    if kind not in _REST:
        raise syntax_error(kind)
    return _REST[kind](cursor, expressions)


def _table(cursor: Cursor, expressions: Expressions) -> Plan:
    return create_table(cursor, expressions, temporary=False)


def _temporary(cursor: Cursor, expressions: Expressions) -> Plan:
    cursor.expect("table")
    return create_table(cursor, expressions, temporary=True)


def _view(cursor: Cursor, expressions: Expressions) -> Plan:
    replaces = cursor.tokens[1].name == "or"
    view = qualified(cursor.table())
    columns = f" ({text(cursor.take().inside)})" if cursor.token.is_group else ""
    cursor.expect("as")
    query = cursor.rest
    if tuple(token.name for token in query[-4:]) == _LATE:
        query = without_qualify(query[:-4])
        _refuse_unqualified(query)
        return LateBindingView(view, columns, expressions.render(query), replaces)
    body = expressions.render(without_qualify(query))
    return Passed(f"create {'or replace ' if replaces else ''}view {view}{columns} as {body}")


def _refuse_unqualified(query: Tokens, known: frozenset[str] = frozenset()) -> None:
    """Every table of a late-binding view is named with its schema."""
    known |= with_names(query)
    for table, has_schema in tables_read(query):
        if not has_schema and table not in known:
            raise Refused(
                f'"{table}" needs its schema in a view WITH NO SCHEMA BINDING [refused]', "42P01"
            )
    for token in query:
        if token.is_group:
            _refuse_unqualified(token.inside, known)


def _schema(cursor: Cursor, _: Expressions) -> Plan:
    """CREATE SCHEMA [IF NOT EXISTS] [database.]name [AUTHORIZATION user] [QUOTA ...]."""
    unless = "if not exists " if cursor.skip("if", "not", "exists") else ""
    name = quote_name(cursor.table()[-1])
    owner = f" authorization {cursor.take().text}" if cursor.skip("authorization") else ""
    if not cursor.done and cursor.name != "quota":
        raise syntax_error(cursor.token.text)
    return Passed(f"create schema {unless}{name}{owner}")


def _database(cursor: Cursor, _: Expressions) -> Plan:
    name = quote_name(cursor.take().identifier)
    made = [f"create database {name} template rs_template"]
    cursor.skip("with")
    if level := isolation(cursor):
        made.append(f"alter database {name} set default_transaction_isolation to '{level}'")
    if not cursor.done:
        raise not_emulated(f"CREATE DATABASE ... {cursor.token.text}")
    return Script(made, "CREATE DATABASE", alone=True)


def isolation(cursor: Cursor) -> str | None:
    """ISOLATION LEVEL {SNAPSHOT | SERIALIZABLE} as PostgreSQL's level."""
    if not cursor.skip("isolation", "level"):
        return None
    level = cursor.take().name
    if level not in ISOLATION:
        raise syntax_error(level)
    return ISOLATION[level]


def _function(cursor: Cursor, expressions: Expressions) -> Plan:
    """A function in SQL; its body is held to the same rules."""
    names = [token.name for token in cursor.tokens]
    if names[-2:] != ["language", "sql"]:
        raise not_emulated("a function in another language than SQL")
    found = []
    for token in cursor.tokens:
        if token.kind == "dollar":
            mark = re.match(r"\$\w*\$", token.text)
            tag = mark.group() if mark else ""
            body = expressions.render(read(token.text[len(tag) : -len(tag)]))
            found.append(f" {tag}{body}{tag}")
        else:
            found.append(text((token,)))
    return Passed("".join(found))


def _user(cursor: Cursor, _: Expressions) -> Plan:
    kind = cursor.behind.name
    name = quote_name(cursor.take().identifier)
    if kind == "user":
        return Passed(f"create role {name} login")
    return Script([f"create role {name}", f"comment on role {name} is '{kind}'"], "CREATE")


_REST = {
    "database": _database,
    "function": _function,
    "group": _user,
    "role": _user,
    "schema": _schema,
    "table": _table,
    "temp": _temporary,
    "temporary": _temporary,
    "user": _user,
    "view": _view,
}
