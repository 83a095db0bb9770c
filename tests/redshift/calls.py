"""Function calls that PostgreSQL writes otherwise. Each rule: (cursor past the arguments, their
tokens, how to render) -> SQL. What is the same in name and meaning has no rule; what is the same
in name alone is replaced in sql/*.sql.
"""

from collections.abc import Callable

from tests.redshift.errors import Refused, not_emulated
from tests.redshift.lexer import Cursor, Token, Tokens, quote, split
from tests.redshift.types import take_type

Render = Callable[[Tokens], str]
Rule = Callable[[Cursor, Tokens, Render], str]

# Date parts by their documented abbreviations ("Date parts for date or timestamp functions").
_PART_NAMES = {
    "year": "y yr yrs year years",
    "quarter": "qtr qtrs quarter quarters",
    "month": "mon mons month months",
    "week": "w week weeks",
    "day": "d day days",
    "hour": "h hr hrs hour hours",
    "minute": "m min mins minute minutes",
    "second": "s sec secs second seconds",
    "milliseconds": "ms msec msecs msecond mseconds millisec millisecond milliseconds",
    "microseconds": "us usec usecs usecond useconds microsec microsecond microseconds",
    "dow": "dow dw dayofweek weekday",
    "doy": "doy dy dayofyear yearday",
    "epoch": "epoch",
    "decade": "dec decs decade decades",
    "century": "c cent cents century centuries",
    "millennium": "mil mils millennium millennia",
    "timezone": "timezone",
    "timezone_hour": "timezone_hour",
    "timezone_minute": "timezone_minute",
}
DATE_PARTS = {short: part for part, names in _PART_NAMES.items() for short in names.split()}


def date_part(token: Token) -> str:
    """
    >>> from tests.redshift.lexer import read
    >>> date_part(read("mons")[0])
    'month'
    """
    name = (token.value if token.kind == "string" else token.identifier).lower()
    if name not in DATE_PARTS:
        raise Refused(f'unrecognized date part "{name}" [refused]', "22023")
    return DATE_PARTS[name]


def _with_part(name: str) -> Rule:
    def rule(_: Cursor, inside: Tokens, render: Render) -> str:
        first, *others = split(inside)
        if len(first) != 1 or first[0].kind not in {"word", "quoted", "string"}:
            raise Refused(f"{name}() begins with a date part [refused]", "42601")
        rest = "".join("," + render(part) for part in others)
        return f"{name}({quote(date_part(first[0]))}{rest})"

    return rule


def _extract(_: Cursor, inside: Tokens, render: Render) -> str:
    names = [token.name for token in inside]
    at = names.index("from") if "from" in names else 0
    if not at:
        raise Refused("extract() needs a date part and FROM [refused]", "42601")
    return f"rs_extract({quote(date_part(inside[0]))},{render(inside[at + 1 :])})"


def _cast(_: Cursor, inside: Tokens, render: Render) -> str:
    names = [token.name for token in inside]
    at = len(names) - 1 - names[::-1].index("as") if "as" in names else -1
    if at < 0:
        raise Refused("cast() needs AS [refused]", "42601")
    return f"cast({render(inside[:at])} as {take_type(Cursor(inside, at + 1))})"


def _convert(_: Cursor, inside: Tokens, render: Render) -> str:
    kind, *values = split(inside)
    if len(values) != 1:
        raise Refused("convert() takes a type and a value [refused]", "42883")
    return f"cast({render(values[0])} as {take_type(Cursor(kind))})"


def _arguments(inside: Tokens, render: Render) -> list[str]:
    return [render(part).strip() for part in split(inside)] if inside else []


def _named(name: str) -> Rule:
    return lambda _, inside, render: f"{name}({','.join(_arguments(inside, render))})"


def _nvl2(_: Cursor, inside: Tokens, render: Render) -> str:
    value, then, otherwise = _arguments(inside, render)
    return f"(case when ({value}) is not null then {then} else {otherwise} end)"


def _decode(_: Cursor, inside: Tokens, render: Render) -> str:
    value, *rest = _arguments(inside, render)
    whens = "".join(
        f" when ({value}) is not distinct from ({case}) then {result}"
        for case, result in zip(rest[::2], rest[1::2], strict=False)
    )
    return f"(case{whens}" + (f" else {rest[-1]}" if len(rest) % 2 else "") + " end)"


def _concat(_: Cursor, inside: Tokens, render: Render) -> str:
    values = _arguments(inside, render)
    if len(values) != 2:
        raise Refused(
            f"function concat with {len(values)} arguments does not exist: it takes two [refused]",
            "42883",
        )
    return f"(({values[0]}) || ({values[1]}))"


def _ordered(cursor: Cursor) -> Tokens:
    """What stands in WITHIN GROUP (...), if that follows; nothing may stand in OVER (...)."""
    order = cursor.take().inside if cursor.skip("within", "group") else ()
    if cursor.name == "over":
        raise not_emulated("LISTAGG or MEDIAN as a window function")
    return order


def _median(cursor: Cursor, inside: Tokens, render: Render) -> str:
    _ordered(cursor)
    return f"percentile_cont(0.5) within group (order by {render(inside)})"


def _listagg(cursor: Cursor, inside: Tokens, render: Render) -> str:
    order = render(_ordered(cursor)).strip()
    values, *separators = split(inside)
    distinct = ""
    if values and values[0].name == "distinct":
        values, distinct = values[1:], "distinct "
    value = f"({render(values).strip()})::text"
    separator = render(separators[0]).strip() if separators else "''"
    if distinct and order:  # PostgreSQL wants the very expression that is gathered
        order = f"order by {value}"
    return f"string_agg({distinct}{value}, {separator} {order})"


def _ratio_to_report(cursor: Cursor, inside: Tokens, render: Render) -> str:
    cursor.expect("over")
    value, window = render(inside), render(cursor.take().inside)
    return f"(({value})::float8 / nullif(sum({value}) over ({window}), 0))"


def _array(_: Cursor, inside: Tokens, render: Render) -> str:
    if inside and inside[0].name in {"select", "with"}:
        raise Refused("ARRAY(subquery) is not supported by Amazon Redshift [refused]")
    return f"jsonb_build_array({','.join(_arguments(inside, render))})"


def _date(_: Cursor, inside: Tokens, render: Render) -> str:
    return f"cast({render(inside)} as date)"


CALLS: dict[str, Rule] = {
    **{name: _with_part("dateadd") for name in ("dateadd", "date_add")},
    **{name: _with_part("datediff") for name in ("datediff", "date_diff")},
    **{name: _with_part("rs_extract") for name in ("date_part", "datepart", "pgdate_part")},
    **{name: _named("coalesce") for name in ("nvl", "ifnull")},
    "array": _array,
    "cast": _cast,
    "concat": _concat,
    "convert": _convert,
    "date": _date,
    "date_trunc": _with_part("date_trunc"),
    "decode": _decode,
    "extract": _extract,
    "format_type": _named("rs_format_type"),
    "json_serialize": _named("rs_json_serialize"),  # a key word in PostgreSQL 17
    "listagg": _listagg,
    "median": _median,
    "nvl2": _nvl2,
    "object": _named("jsonb_build_object"),
    "ratio_to_report": _ratio_to_report,
}
