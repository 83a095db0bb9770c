"""What concerns a whole query: QUALIFY, TOP, and functions of the leader node."""

from collections.abc import Iterator
from itertools import pairwise

import sqlglot
from sqlglot import exp, transforms

from tests.redshift.allowed import LEADER_ONLY
from tests.redshift.errors import Refused, not_emulated
from tests.redshift.lexer import NOTHING, Cursor, Tokens, read, text

_LEADER_WORDS = {"current_time", "current_timestamp", "localtime", "localtimestamp"}
_BEGINS_QUERY = {"select", "with", "insert", "update", "delete", "create", "explain", "merge"}
_SYSTEM = ("pg_", "svv_", "stv_", "stl_", "sys_", "svl_", "information_schema")


def without_qualify(tokens: Tokens) -> Tokens:
    """The query without QUALIFY and TOP, which PostgreSQL lacks."""
    if not any(_has_qualify(level) for level in _levels(tokens)):
        return tokens
    try:
        query = sqlglot.parse_one(text(tokens), read="redshift")
    except sqlglot.errors.ParseError as fault:
        raise not_emulated(f"QUALIFY or TOP in a query that sqlglot can't read ({fault})") from None
    for select in reversed(list(query.find_all(exp.Select))):
        if select.args.get("qualify"):
            plain = _star_qualified(select) if select.is_star else _eliminated(select)
            if select is query:
                query = plain
            else:
                select.replace(plain)
    return read(query.sql("redshift").replace("rs_whole_row", "(rs_kept.rs_row).*"))


def _eliminated(select: exp.Select) -> exp.Expression:
    return transforms.eliminate_qualify(select.copy())


def _star_qualified(select: exp.Select) -> exp.Expression:
    """SELECT * ... QUALIFY, without a column more than it has."""
    plain = select.copy()
    if len(plain.expressions) > 1 or any(plain.args.get(a) for a in ("order", "limit", "distinct")):
        raise not_emulated("QUALIFY of a star with other columns, ORDER BY, LIMIT or DISTINCT")
    condition = plain.args["qualify"].this.copy()
    plain.set("qualify", None)
    ctes = plain.args.get("with_")
    plain.set("with_", None)
    for column in condition.find_all(exp.Column):
        column.set("table", None)
    kept = sqlglot.parse_one(
        f"select rs_whole_row from (select rs_all as rs_row, {condition.sql('redshift')} as rs_keep"
        f" from ({plain.sql('redshift')}) as rs_all) as rs_kept where rs_keep",
        read="redshift",
    )
    kept.set("with_", ctes)
    return kept


def _has_qualify(level: Tokens) -> bool:
    cursor = Cursor(level)
    while not cursor.done:
        before = cursor.behind.name
        if cursor.name == "qualify" and before not in {".", ",", "select", "as", "by", ""}:
            return True
        counted = cursor.ahead().kind == "number" or cursor.ahead().is_group
        if cursor.name == "top" and before in {"select", "distinct", "all"} and counted:
            return True
        cursor.take()
    return False


def refuse_leader_functions(tokens: Tokens) -> None:
    """Functions of the leader node work beside its catalog alone, not beside a user's table."""
    levels = list(_levels(tokens))
    called = {name for level in levels for name in _calls(level)} & (LEADER_ONLY | _LEADER_WORDS)
    if not called:
        return
    own = {name for level in levels for name in with_names(level)}
    if any(_is_of_user(table, own) for level in levels for table in tables_read(level)):
        raise Refused(
            "Specified types or functions (one per INFO message) not supported on Redshift tables:"
            f" {', '.join(sorted(called))} runs on the leader node alone [refused]"
        )


def with_names(level: Tokens) -> set[str]:
    """The names that WITH gives, at one level of parentheses."""
    return {
        first.identifier
        for first, second, third in zip(level, level[1:], level[2:], strict=False)
        if first.is_name and second.name == "as" and third.is_group
    }


def tables_read(level: Tokens) -> Iterator[tuple[str, bool]]:
    """What FROM and JOIN name at one level of parentheses, and whether with a schema.

    FROM in EXTRACT, SUBSTRING and TRIM names none: their parenthesis begins with no query.
    """
    if not level or level[0].name not in _BEGINS_QUERY:
        return
    cursor = Cursor(level)
    while not cursor.done:
        of_table = cursor.take().name in {"from", "join"} and cursor.token.is_name
        if of_table and not cursor.ahead().is_group:
            yield cursor.token.identifier, cursor.ahead().name == "."


def _is_of_user(table: tuple[str, bool], own: set[str]) -> bool:
    name, has_schema = table
    return not name.startswith(_SYSTEM) and (has_schema or name not in own)


def _levels(tokens: Tokens) -> Iterator[Tokens]:
    yield tokens
    for token in tokens:
        if token.is_group:
            yield from _levels(token.inside)


def _calls(level: Tokens) -> Iterator[str]:
    for token, after in pairwise((*level, NOTHING)):
        if after.is_group or token.name in _LEADER_WORDS:
            yield token.name
