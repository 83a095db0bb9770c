"""PostgreSQL's answers as Redshift gives them."""

from tests.redshift import wire
from tests.redshift.allowed import is_function
from tests.redshift.backend import Failed
from tests.redshift.faults import serialization_conflict
from tests.redshift.wire import message


def tag(body: bytes) -> bytes:
    """SELECT and MERGE come without a count."""
    first = body[:-1].split(b" ")[0]
    return first + b"\0" if first in {b"SELECT", b"MERGE"} else body


def redshift_error(fault: Failed) -> bytes:
    """PostgreSQL's error as Redshift says it."""
    fields = fault.fields
    code = fields.get("C", "")
    if code == "40001":
        conflict = serialization_conflict()
        return wire.error(conflict.message, conflict.code, conflict.detail)
    if code == "21000" and "MERGE" in fields.get("M", ""):
        return wire.error("Found multiple matches to update the same tuple.", "XX000")
    called = fields.get("M", "").removeprefix("function ").partition("(")[0]
    if code == "42883" and is_function(called.rpartition(".")[2]):
        return wire.error(f"{fields['M']} here: Redshift has {called}() [limit]", code)
    return message(b"E", fault.body)
