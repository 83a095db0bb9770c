"""Redshift's expressions in PostgreSQL's words, and the refusal of what only PostgreSQL knows.

Token by token: what no rule names is put back as it was written.
"""

from collections.abc import Callable

from tests.redshift.allowed import NEVER_BARE, NOT_CALLED, TYPES, is_function
from tests.redshift.calls import CALLS
from tests.redshift.errors import not_emulated, syntax_error, unsupported
from tests.redshift.lexer import Cursor, Tokens, quote_name
from tests.redshift.types import take_type
from tests.redshift.windows import check_window

_JSON_OPERATORS = {"->", "->>", "#>", "#>>", "@>", "<@", "?"}
# Types of PostgreSQL's alone, which may stand before a literal.
_FOREIGN_TYPES = {
    "json", "jsonb", "uuid", "bytea", "money", "inet", "cidr", "macaddr", "xml", "tsvector",
    "tsquery", "point", "box", "circle", "line", "path", "polygon", "bit", "regclass",
}  # fmt: skip
_FOREIGN_WORDS = {"current_catalog", "current_role", "tablesample", "overriding", "ordinality"}

# PostgreSQL's catalog where Redshift's has other columns, or hides late-binding views.
_CATALOG = {
    ("information_schema", "columns"): "rs.visible_columns",
    ("information_schema", "views"): "rs.information_views",
    ("pg_catalog", "pg_views"): "rs.pg_views",
    ("pg_catalog", "pg_attribute"): "rs.pg_attribute",
    ("pg_catalog", "pg_class"): "rs.pg_class",
}
_AFTER_TABLE = {
    "", "join", "where", "left", "inner", "cross", "on", "order", "group", "union", "limit",
    "using", "right", "full", ",",
}  # fmt: skip


class Expressions:
    """Rewrites within one session.

    is_own: whether a function is made by CREATE FUNCTION. facts: calls whose answer is the
    session's, such as pg_last_copy_id, with the answer.
    """

    def __init__(
        self,
        is_own: Callable[[str], bool] = lambda _: False,
        facts: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._is_own = is_own
        self._facts = facts

    def render(self, tokens: Tokens) -> str:
        """
        >>> from tests.redshift.lexer import read
        >>> Expressions().render(read("nvl(a, 'x')::text"))
        "coalesce(a,'x')::varchar"
        """
        cursor, found = Cursor(tokens), []
        while not cursor.done:
            found.append(cursor.token.space + self._next(cursor))
        return "".join(found)

    def _next(self, cursor: Cursor) -> str:
        token = cursor.token
        if token.is_group:
            return self._group(cursor)
        if token.name == "::":
            cursor.take()
            return "::" + take_type(cursor)
        _refuse_operator(cursor)
        if token.is_name and (found := self._name(cursor)) is not None:
            return found
        cursor.take()
        return quote_name(token.identifier) if token.kind == "quoted" else token.text

    def _group(self, cursor: Cursor) -> str:
        inside = cursor.token.inside
        first = inside[0].name if inside else ""
        if first == "values" and cursor.behind.name in {"from", "join", ",", "using"}:
            raise unsupported("a VALUES list used as a table")
        if first in {"insert", "update", "delete", "merge"} and cursor.behind.name == "as":
            raise unsupported(f"{first.upper()} in WITH")
        cursor.take()
        return f"({self.render(inside)})"

    def _name(self, cursor: Cursor) -> str | None:
        _refuse_long(cursor)
        dotted, is_word = cursor.behind.name == ".", cursor.token.kind == "word"
        if not dotted and (shim := _catalog(cursor)) is not None:
            return shim
        if cursor.ahead().is_group and (call := self._call(cursor)) is not None:
            return call
        return None if dotted or not is_word else _word(cursor)

    def _call(self, cursor: Cursor) -> str | None:
        """A call of a function, or None when the word is none or needs no change."""
        name, system = cursor.token.identifier, _is_of_catalog(cursor)
        if not _is_call(cursor) or (cursor.behind.name == "." and not system):
            return None
        if not is_function(name) and not self._is_own(name):
            raise unsupported(f"function {name}()")
        check_window(cursor)
        if (answer := self._facts(name)) is not None:
            cursor.at += 2
            return answer
        if name not in CALLS:
            return None
        cursor.take()
        inside = cursor.take().inside
        return CALLS[name](cursor, inside, self.render)


def _word(cursor: Cursor) -> str | None:
    """A word by its rule; a reserved one may be a label after AS, and no name."""
    if cursor.name in _FOREIGN_TYPES and cursor.ahead().kind == "string":
        raise unsupported(f"data type {cursor.name}")
    if cursor.name in _FOREIGN_WORDS and not cursor.ahead().is_group:
        raise unsupported(cursor.name.upper())
    rule = _WORDS.get(cursor.name)
    if rule and (found := rule(cursor)) is not None:
        return found
    if cursor.name in NEVER_BARE and cursor.behind.name != "as":
        raise syntax_error(cursor.token.text)
    return None


def _is_of_catalog(cursor: Cursor) -> bool:
    return cursor.behind.name == "." and cursor.ahead(-2).name == "pg_catalog"


def _is_call(cursor: Cursor) -> bool:
    """A word before a parenthesis: not a key word, a type, or a name with its columns."""
    name, before = cursor.name, cursor.behind.name
    if name in NOT_CALLED or (name in TYPES and name not in {"date"}):
        return False
    if before in {"into", "as", "table", "update", "references", "view"}:
        return False
    if cursor.behind.is_group:  # FROM f() name (columns)
        return False
    of_with = cursor.ahead(2).name == "as" and cursor.ahead(3).is_group
    return not (of_with and before in {"with", ",", "recursive"})


def _refuse_operator(cursor: Cursor) -> None:
    token = cursor.token
    if token.kind == "operator" and token.text in _JSON_OPERATORS:
        raise unsupported(f"operator {token.text}")
    if token.name == "[":
        if cursor.behind.name == "array":
            raise unsupported("ARRAY[...]")
        raise not_emulated("navigation of SUPER by [...]")


def _refuse_long(cursor: Cursor) -> None:
    if len(cursor.token.identifier.encode()) > 63:
        raise not_emulated(f"a name longer than 63 bytes ({cursor.token.identifier})")


def _catalog(cursor: Cursor) -> str | None:
    """A system table by the name of its shim; bare ones get their own name as alias."""
    first, third = cursor.token.identifier, cursor.ahead(2)
    if cursor.ahead().name == "." and (shim := _CATALOG.get((first, third.identifier))):
        cursor.at += 3
        return shim if cursor.name == "." or cursor.token.is_name else f"{shim} as {third.text}"
    shim = _CATALOG.get(("pg_catalog", first))
    if shim and cursor.behind.name in {"from", "join", ","} and cursor.ahead().name != ".":
        cursor.take()
        return f"{shim} as {first}" if cursor.name in _AFTER_TABLE else shim
    return None


def _sysdate(cursor: Cursor) -> str | None:
    cursor.take()
    return "rs_sysdate()"


def _minus(cursor: Cursor) -> str | None:
    if cursor.ahead().name not in {"select", "all"} and not cursor.ahead().is_group:
        return None
    _no_all(cursor)
    cursor.take()
    return "except"


def _no_all(cursor: Cursor) -> None:
    if cursor.ahead().name == "all":
        raise unsupported(f"{cursor.name.upper()} ALL")


def _approximate(cursor: Cursor) -> str | None:
    if cursor.ahead().name not in {"count", "percentile_disc"}:
        return None
    cursor.take()
    return ""


def _pivot(cursor: Cursor) -> None:
    if cursor.ahead().is_group:
        raise not_emulated(cursor.name.upper())


def _ignore(cursor: Cursor) -> None:
    if cursor.ahead().name == "nulls":
        raise not_emulated(f"{cursor.name.upper()} NULLS")


def _on(cursor: Cursor) -> None:
    if cursor.ahead().name == "conflict":
        raise unsupported("ON CONFLICT")
    if cursor.behind.name == "distinct":
        raise unsupported("DISTINCT ON")


def _lateral(cursor: Cursor) -> None:
    if cursor.behind.name in {",", "join", "from"}:
        raise unsupported("LATERAL")


def _filter(cursor: Cursor) -> None:
    if cursor.ahead().is_group and cursor.behind.is_group:
        raise unsupported("FILTER (WHERE ...)")


def _is(cursor: Cursor) -> None:
    at = 2 if cursor.ahead().name == "not" else 1
    if cursor.ahead(at).name == "distinct" and cursor.ahead(at + 1).name == "from":
        raise unsupported("IS [NOT] DISTINCT FROM")


def _for(cursor: Cursor) -> None:
    if cursor.ahead().name in {"update", "share", "no", "key"}:
        raise unsupported("SELECT ... FOR UPDATE")


def _materialized(cursor: Cursor) -> None:
    if cursor.ahead().is_group:
        raise unsupported("WITH ... AS [NOT] MATERIALIZED")


def _only(cursor: Cursor) -> None:
    if cursor.behind.name in {"from", "join", "update"}:
        raise unsupported("ONLY")


def _set(cursor: Cursor) -> None:
    if cursor.ahead().is_group:
        raise unsupported("UPDATE ... SET (columns)")


def _window(cursor: Cursor) -> None:
    if cursor.ahead(2).name == "as" and cursor.ahead(3).is_group:
        raise unsupported("a WINDOW clause")


def _fetch(cursor: Cursor) -> None:
    if cursor.ahead().name in {"first", "next"} and cursor.behind.name != "":
        raise unsupported("FETCH FIRST")


_WORDS: dict[str, Callable[[Cursor], str | None]] = {
    "approximate": _approximate,
    "except": _no_all,
    "fetch": _fetch,
    "filter": _filter,
    "ignore": _ignore,
    "intersect": _no_all,
    "is": _is,
    "for": _for,
    "lateral": _lateral,
    "materialized": _materialized,
    "minus": _minus,
    "on": _on,
    "only": _only,
    "pivot": _pivot,
    "respect": _ignore,
    "sysdate": _sysdate,
    "set": _set,
    "unpivot": _pivot,
    "window": _window,
}
