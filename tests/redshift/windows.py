"""What Redshift wants of a window function that PostgreSQL does not ("Window functions")."""

from tests.redshift.errors import Refused, unsupported
from tests.redshift.lexer import Cursor, Tokens, split

# With ORDER BY these need a frame. Ranking functions, LAG and LEAD do without.
_FRAMED = {
    "avg", "count", "max", "min", "sum", "stddev", "stddev_samp", "stddev_pop", "variance",
    "var_samp", "var_pop", "first_value", "last_value", "nth_value", "bool_and", "bool_or",
}  # fmt: skip


def check_window(cursor: Cursor) -> None:
    """Look at the call at the cursor and the OVER behind it, if one is there."""
    arguments, window = cursor.ahead().inside, cursor.ahead(3)
    if cursor.ahead(2).name != "over":
        return
    if not window.is_group:
        raise unsupported("a WINDOW clause")
    if cursor.name in {"lag", "lead"} and len(split(arguments)) > 2:
        raise unsupported(f"a default value in {cursor.name.upper()}")
    _check_order(cursor.name, window.inside)


def _check_order(name: str, window: Tokens) -> None:
    names = [token.name for token in window]
    if {"range", "groups"} & set(names):
        raise unsupported("a window frame of RANGE or GROUPS")
    if "order" not in names:
        return
    if name in _FRAMED and "rows" not in names:
        raise Refused(
            "Aggregate window functions with an ORDER BY clause require a frame clause [refused]"
        )
    keys = window[names.index("order") + 2 :]
    if any(part and part[0].kind in {"number", "string"} for part in split(keys)):
        raise unsupported("a constant in a window's ORDER BY")
