"""A statement of Redshift's -> what is to be done, by its first word."""

from collections.abc import Callable

from tests.redshift.allowed import SETTINGS, SHARED_SETTINGS
from tests.redshift.alter import alter
from tests.redshift.copying import copy
from tests.redshift.create import create
from tests.redshift.errors import Refused, not_emulated, syntax_error, unsupported
from tests.redshift.expressions import Expressions
from tests.redshift.lexer import Cursor, Tokens, quote
from tests.redshift.merge import merge
from tests.redshift.plans import Passed, Plan, Script
from tests.redshift.queries import refuse_leader_functions, without_qualify
from tests.redshift.show import show

_QUERIES = {"select", "with", "insert", "update", "delete", "explain", "declare", "prepare"}
_AS_WRITTEN = {
    "call", "execute", "fetch", "comment", "lock", "commit", "end", "rollback", "abort", "close",
    "deallocate", "grant", "revoke", "drop",
}  # fmt: skip
_ELSEWHERE = {"unload", "cancel", "refresh", "use", "attach", "detach"}
_DROPPED_NOWHERE = {"index", "sequence", "trigger", "extension", "domain", "type", "rule"}


def plan(tokens: Tokens, expressions: Expressions) -> Plan:
    """What to do with a statement; raises Refused."""
    refuse_leader_functions(tokens)
    cursor = Cursor(tokens)
    if cursor.token.is_group or cursor.name in _QUERIES:
        return _query(tokens, expressions)
    first = cursor.take().name
    if first in _BY_FIRST_WORD:
        return _BY_FIRST_WORD[first](cursor, expressions)
    if first in _AS_WRITTEN:
        if first == "drop" and cursor.name in _DROPPED_NOWHERE:
            raise unsupported(f"DROP {cursor.name.upper()}")
        return Passed(expressions.render(tokens))
    if first in _ELSEWHERE:
        raise not_emulated(first.upper())
    raise syntax_error(tokens[0].text)


def _query(tokens: Tokens, expressions: Expressions) -> Plan:
    names = [token.name for token in tokens]
    if names[0] in {"insert", "update", "delete"} and "returning" in names:
        raise unsupported("RETURNING")
    sql = expressions.render(without_qualify(tokens))
    if names[0] == "delete" and names[1:2] != ["from"]:  # FROM may be left out
        sql = sql.replace(tokens[0].text, "delete from", 1)
    return Passed(sql)


def _truncate(cursor: Cursor, expressions: Expressions) -> Plan:
    return Script([f"truncate{expressions.render(cursor.rest)}"], "TRUNCATE TABLE", commits=True)


def _vacuum(cursor: Cursor, expressions: Expressions) -> Plan:
    if cursor.token.is_group:
        raise unsupported("options of VACUUM in parentheses")
    kinds = {"full", "sort", "delete", "only", "reindex", "recluster", "boost"}
    rest = tuple(token for token in cursor.rest if token.name not in kinds)
    names = [token.name for token in rest]
    rest = rest[: names.index("to")] if "to" in names else rest
    return Script([f"vacuum{expressions.render(rest)}"], "VACUUM", alone=True)


def _analyze(cursor: Cursor, expressions: Expressions) -> Plan:
    if cursor.name == "compression":
        raise not_emulated("ANALYZE COMPRESSION")
    names = [token.name for token in cursor.rest]
    end = names.index("predicate") if "predicate" in names else len(names)
    return Passed(f"analyze{expressions.render(cursor.rest[:end])}")


def _set(cursor: Cursor, expressions: Expressions) -> Plan:
    local = "local " if cursor.skip("local") else ""
    name = cursor.name
    if name == "transaction" or "transaction" in (token.name for token in cursor.rest):
        return Script([], "SET")  # the level is the database's, whatever is written
    if name in SHARED_SETTINGS:
        return Passed(f"set {local}{expressions.render(cursor.rest).strip()}")
    if name not in SETTINGS:
        raise Refused(f'unrecognized configuration parameter "{name}" [refused]', "42704")
    token = cursor.tokens[-1]
    value = token.value if token.kind == "string" else token.text
    if name == "enable_case_sensitive_identifier" and value.lower() in {"true", "on", "1"}:
        raise not_emulated("case-sensitive identifiers")
    return Passed(f"set {local}rs.{name} to {quote(value)}")


def _reset(cursor: Cursor, _: Expressions) -> Plan:
    name = cursor.name
    return Passed(f"reset rs.{name}" if name in SETTINGS else f"reset {name}")


def _begin(cursor: Cursor, _: Expressions) -> Plan:
    """Whatever level is written, the database's is used."""
    names = [token.name for token in cursor.rest]
    return Passed("begin read only" if names[-2:] == ["read", "only"] else "begin")


_BY_FIRST_WORD: dict[str, Callable[[Cursor, Expressions], Plan]] = {
    "alter": alter,
    "analyze": _analyze,
    "begin": _begin,
    "copy": lambda cursor, _: copy(cursor),
    "create": create,
    "merge": merge,
    "reset": _reset,
    "set": _set,
    "show": lambda cursor, _: show(cursor),
    "start": _begin,
    "truncate": _truncate,
    "vacuum": _vacuum,
}
