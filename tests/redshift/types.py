"""Data types: Redshift's names, default lengths and limits, in PostgreSQL's words."""

from tests.redshift.allowed import CATALOG_TYPES, TYPES
from tests.redshift.errors import Refused, unsupported
from tests.redshift.lexer import Cursor, text

_VARCHAR = {"varchar", "nvarchar", "text"}
_CHAR = {"char", "nchar", "bpchar"}
_BYTES = {"varbyte", "varbinary", "binary"}
_LONGEST = {"varchar": 65535, "char": 4096}


def take_type(cursor: Cursor, *, declared: bool = False) -> str:
    """Read a type at the cursor.

    declared: of a column, which has a length where none is written.

    >>> from tests.redshift.lexer import read
    >>> take_type(Cursor(read("character varying(max)")))
    'varchar(65535)'
    >>> take_type(Cursor(read("text")), declared=True), take_type(Cursor(read("text")))
    ('varchar(256)', 'varchar')
    """
    token = cursor.take()
    name = token.identifier
    if cursor.skip("."):  # pg_catalog.varchar
        name = cursor.take().identifier
    if name not in TYPES | CATALOG_TYPES:
        raise unsupported(f"data type {name}")
    if name == "character":
        name = "varchar" if cursor.skip("varying") else "char"
    if name == "binary":
        cursor.skip("varying")
    found = _with_length(name, cursor, declared=declared)
    if cursor.name == "[":
        raise unsupported(f"data type {name}[]")
    return found


def _with_length(name: str, cursor: Cursor, *, declared: bool) -> str:
    given = text(cursor.take().inside).strip().lower() if cursor.token.is_group else None
    if name in _VARCHAR:
        return _characters("varchar", given, "256" if declared else None)
    if name in _CHAR:
        return _characters("char", given, "256" if name == "bpchar" and declared else None)
    if name in _BYTES:
        return "varbyte"
    if name in {"numeric", "decimal", "dec"}:
        return _numeric(given)
    tail = ""
    if cursor.skip("precision"):
        tail = " precision"
    for zone in ("with", "without"):
        if name in {"time", "timestamp"} and cursor.skip(zone, "time", "zone"):
            tail = f" {zone} time zone"
    return name + (f"({given})" if given else "") + tail


def _characters(base: str, given: str | None, default: str | None) -> str:
    length = str(_LONGEST[base]) if given == "max" else given or default
    if length is None:
        return base
    if not length.isdigit() or not 0 < int(length) <= _LONGEST[base]:
        raise Refused(
            f"Length for type {base} must be between 1 and {_LONGEST[base]} [refused]", "22023"
        )
    return f"{base}({length})"


def _numeric(given: str | None) -> str:
    precision, _, scale = (given or "18,0").partition(",")
    if int(precision) > 38 or int(scale or 0) > 37:
        raise Refused(f"NUMERIC precision {precision} must be between 1 and 38 [refused]", "22023")
    return f"numeric({int(precision)},{int(scale or 0)})"
