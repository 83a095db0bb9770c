"""SHOW of the catalog and of settings."""

from tests.redshift.allowed import SETTINGS
from tests.redshift.errors import not_emulated
from tests.redshift.lexer import Cursor, quote
from tests.redshift.plans import Passed, Plan

# What is shown, by how many parts a full name has.
_CATALOG = {
    ("schemas", "from", "database"): ("rs.show_schemas", 1),
    ("tables", "from", "schema"): ("rs.show_tables", 2),
    ("columns", "from", "table"): ("rs.show_columns", 3),
}


def show(cursor: Cursor) -> Plan:
    """The rest of a SHOW statement."""
    if cursor.skip("databases"):
        return Passed("select * from rs.show_databases()")
    for names, (function, size) in _CATALOG.items():
        if cursor.skip(*names):
            parts = [quote(part) for part in cursor.table()]
            if len(parts) < size:
                parts.insert(0, "current_database()")
            pattern = quote(cursor.take().value) if cursor.skip("like") else "'%'"
            return Passed(f"select * from {function}({','.join(parts)},{pattern})")
    name = cursor.take().name
    if not cursor.done:
        raise not_emulated(f"SHOW {name.upper()}")
    if name in SETTINGS:
        return Passed(f"select coalesce(current_setting('rs.{name}', true), '') as {name}")
    return Passed(f"show {name}")
