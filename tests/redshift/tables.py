"""CREATE TABLE: columns, keys and the attributes that PostgreSQL does not have."""

from dataclasses import dataclass, field

from tests.redshift.allowed import RESERVED
from tests.redshift.errors import Refused, not_emulated, syntax_error, unsupported
from tests.redshift.expressions import Expressions
from tests.redshift.lexer import Cursor, Token, Tokens, qualified, quote, quote_name, split, text
from tests.redshift.plans import Script
from tests.redshift.types import take_type

_CONSTRAINTS = {"primary", "unique", "foreign", "constraint"}


@dataclass
class Attributes:
    """Distribution and sort as declared; PostgreSQL has neither, so rs.tables remembers them."""

    style: str | None = None
    dist_key: str | None = None
    sort_style: str = "COMPOUND"
    sort_keys: list[str] = field(default_factory=list)
    backup: bool = True
    auto_refresh: bool | None = None

    def take(self, cursor: Cursor) -> None:
        """Read what stands after a table's columns."""
        while not cursor.done and self._take_one(cursor):
            pass

    def _take_one(self, cursor: Cursor) -> bool:
        if cursor.skip("backup"):
            self.backup = cursor.take().name == "yes"
        elif cursor.skip("diststyle"):
            self.style = cursor.take().text.upper()
        elif cursor.skip("distkey"):
            self.dist_key = cursor.take().inside[0].identifier
        elif cursor.name in {"compound", "interleaved"} and cursor.ahead().name == "sortkey":
            self.sort_style = cursor.take().text.upper()
        elif cursor.skip("sortkey"):
            keys = cursor.take()  # AUTO, or the columns
            self.sort_keys = [part[0].identifier for part in split(keys.inside) if part]
        elif not (cursor.skip("encode", "auto") or self._take_refresh(cursor)):
            return False
        return True

    def _take_refresh(self, cursor: Cursor) -> bool:
        found = cursor.skip("auto", "refresh")
        if found:
            self.auto_refresh = cursor.take().name == "yes"
        return found

    def remember(self, table: str, *, new_only: bool = False) -> list[str]:
        """The statement that keeps them. new_only: of a table that may have been there before."""

        def value(given: object) -> str:
            return "null" if given is None else quote(given)

        keys = ",".join(quote(key) for key in self.sort_keys)
        known = f"select from rs.tables where relation = {quote(table)}::regclass"
        return [
            f"select rs.remember({quote(table)}, {value(self.style)}, {value(self.dist_key)},"
            f" {quote(self.sort_style)}, array[{keys}]::text[], {value(self.auto_refresh)})"
            + (f" where not exists ({known})" if new_only else "")
        ]


def create_table(cursor: Cursor, expressions: Expressions, *, temporary: bool) -> Script:
    """The rest of CREATE [TEMP] TABLE, the cursor on what follows TABLE."""
    unless = "if not exists " if cursor.skip("if", "not", "exists") else ""
    if cursor.name == "#":
        raise not_emulated("a temporary table named #name (write CREATE TEMP TABLE)")
    table = cursor.table()
    columns = cursor.take().inside if cursor.token.is_group else None
    attributes = Attributes()
    attributes.take(cursor)
    head = f"create {'temp ' if temporary else ''}table {unless}{qualified(table)}"
    if cursor.skip("as"):
        names = f" ({text(columns)})" if columns else ""
        made = f"{head}{names} as {expressions.render(cursor.rest)}"
        return Script(
            [made, *attributes.remember(qualified(table), new_only=bool(unless))], "SELECT"
        )
    if columns is None or not cursor.done:
        raise syntax_error(cursor.token.text)
    return Script(
        _columns(head, qualified(table), columns, attributes, expressions), "CREATE TABLE"
    )


def _columns(
    head: str, table: str, inside: Tokens, attributes: Attributes, expressions: Expressions
) -> list[str]:
    definitions, like = [], []
    for part in split(inside):
        if not part:
            raise syntax_error(")")
        if part[0].name == "like":
            cursor = Cursor(part, 1)
            source = qualified(cursor.table())
            definitions.append(f"like {source} including constraints including defaults")
            like.append(f"select rs.remember_like({quote(table)}, {quote(source)})")
        elif part[0].name in _CONSTRAINTS:
            definitions += [f"not null {quote_name(name)}" for name in _primary_key(part)]
        else:
            definitions.append(column(part, attributes, expressions))
    remembered = attributes.remember(table, new_only=" if not exists " in head)
    return [f"{head} ({', '.join(definitions)})", *like, *remembered]


def _primary_key(part: Tokens) -> list[str]:
    """The columns of a primary key, which say NOT NULL; no key is enforced."""
    if "primary" not in [token.name for token in part]:
        return []
    return [name[0].identifier for token in part if token.is_group for name in split(token.inside)]


def column(part: Tokens, attributes: Attributes, expressions: Expressions) -> str:
    """One column."""
    cursor = Cursor(part)
    name = column_name(cursor.take())
    kind = take_type(cursor, declared=True)
    rest: list[str] = []
    while not cursor.done:
        rest.append(_column_attribute(cursor, name, attributes, expressions))
    return " ".join([quote_name(name), kind, *(one for one in rest if one)])


def column_name(token: Token) -> str:
    if not token.is_name or (token.kind == "word" and token.name in RESERVED):
        raise syntax_error(token.text)
    return token.identifier


def _column_attribute(
    cursor: Cursor, name: str, attributes: Attributes, expressions: Expressions
) -> str:
    if cursor.name == "check":
        raise unsupported("a CHECK constraint")
    if cursor.skip("encode") or cursor.skip("collate"):
        cursor.take()
    elif cursor.skip("distkey"):
        attributes.dist_key = name
    elif cursor.skip("sortkey"):
        attributes.sort_keys.append(name)
    elif cursor.skip("references"):
        cursor.table()
        cursor.at += cursor.token.is_group
    elif not cursor.skip("unique"):
        return _value_attribute(cursor, expressions)
    return ""


def _value_attribute(cursor: Cursor, expressions: Expressions) -> str:
    """NULL, NOT NULL, DEFAULT and IDENTITY; a primary key is NOT NULL."""
    if cursor.skip("not", "null") or cursor.skip("primary", "key"):
        return "not null"
    if cursor.skip("null"):
        return "null"
    if cursor.skip("default"):
        start = cursor.at
        ends = {"not", "null", "encode", "distkey", "sortkey", "primary", "unique", "references"}
        while not cursor.done and (cursor.at == start or cursor.name not in ends):
            cursor.take()
        return f"default {expressions.render(cursor.tokens[start : cursor.at])}"
    by_default = cursor.skip("generated", "by", "default", "as")
    if cursor.skip("identity"):
        seed, step = (text(one).strip() for one in split(cursor.take().inside))
        when = "by default" if by_default else "always"
        return f"generated {when} as identity (start with {seed} increment by {step} minvalue 0)"
    raise Refused(f'syntax error at or near "{cursor.token.text}" [refused]', "42601")
