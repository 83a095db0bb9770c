"""MERGE as Redshift knows it: a table into a table, one action when matched, one when not."""

from tests.redshift.errors import syntax_error, unsupported
from tests.redshift.expressions import Expressions
from tests.redshift.lexer import Cursor, Tokens, qualified, quote_name
from tests.redshift.plans import Passed, Plan, Script


def merge(cursor: Cursor, expressions: Expressions) -> Plan:
    """The rest of a MERGE statement."""
    cursor.expect("into")
    target = qualified(cursor.table())
    if cursor.name != "using":
        raise unsupported("an alias of MERGE's target")
    cursor.take()
    if cursor.token.is_group:
        raise unsupported("a subquery as MERGE's source")
    source = qualified(cursor.table())
    cursor.skip("as")
    alias = "" if cursor.name == "on" else f" as {quote_name(cursor.take().identifier)}"
    cursor.expect("on")
    condition, actions = _until_when(cursor)
    if _ends(actions, "remove", "duplicates"):
        return _remove_duplicates(target, source + alias, expressions.render(condition))
    _check(actions)
    return Passed(
        f"merge into {target} using {source}{alias} on"
        f"{expressions.render(condition)}{expressions.render(actions)}"
    )


def _until_when(cursor: Cursor) -> tuple[Tokens, Tokens]:
    start, depth = cursor.at, 0
    while not cursor.done:
        depth += {"case": 1, "end": -1}.get(cursor.name, 0)
        if not depth and cursor.name in {"when", "remove"}:
            return cursor.tokens[start : cursor.at], cursor.rest
        cursor.take()
    raise syntax_error("")


def _ends(actions: Tokens, *names: str) -> bool:
    return tuple(token.name for token in actions) == names


def _check(actions: Tokens) -> None:
    """Exactly WHEN MATCHED THEN ... WHEN NOT MATCHED THEN INSERT ..., without conditions."""
    cursor = Cursor(actions)
    cursor.expect("when", "matched")
    if cursor.name == "and":
        raise unsupported("a condition on WHEN MATCHED")
    cursor.expect("then")
    if cursor.name not in {"update", "delete"}:
        raise syntax_error(cursor.token.text)
    _until_when_action(cursor)
    if cursor.done:
        raise unsupported("MERGE without WHEN NOT MATCHED")
    cursor.expect("when", "not", "matched")
    if cursor.name == "and":
        raise unsupported("a condition on WHEN NOT MATCHED")
    cursor.expect("then", "insert")
    _until_when_action(cursor)
    if not cursor.done:
        raise unsupported("a second WHEN MATCHED or WHEN NOT MATCHED")


def _until_when_action(cursor: Cursor) -> None:
    depth = 0
    while not cursor.done:
        depth += {"case": 1, "end": -1}.get(cursor.name, 0)
        if not depth and cursor.name == "when":
            return
        cursor.take()


def _remove_duplicates(target: str, source: str, condition: str) -> Plan:
    name = source.partition(" as ")[0]
    done = (
        f"with gone as (delete from {target} using {source} where{condition})"
        f" insert into {target} select * from {name}"
    )
    return Script([done], "MERGE")
