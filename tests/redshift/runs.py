"""Plans that PostgreSQL can't take as they are, run within the session's own transaction."""

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.redshift import parquet, text_files
from tests.redshift.backend import IDLE, IN_TRANSACTION, Backend, Failed
from tests.redshift.errors import Refused
from tests.redshift.lexer import qualified, quote, quote_name
from tests.redshift.parquet import Column, LoadFailed
from tests.redshift.plans import Copy, LateBindingView, Plan, Script

if TYPE_CHECKING:
    from tests.redshift.session import Session

_CHECK = "Check 'stl_load_errors' system table for details."


def run(plan: Plan, session: "Session") -> str:
    """Do what the plan says; returns the command tag. Raises Refused or Failed."""
    if isinstance(plan, Script):
        return _script(plan, session.backend)
    if isinstance(plan, LateBindingView):
        return _late_binding_view(plan, session.backend)
    assert isinstance(plan, Copy)
    return _copy(plan, session)


def _script(plan: Script, backend: Backend) -> str:
    if plan.alone and backend.status != IDLE:
        raise Refused(f"{plan.tag} cannot run inside a transaction block [refused]", "25001")
    if plan.alone and not plan.commits:
        for statement in plan.statements:
            backend.ask(statement)
    elif plan.statements:
        backend.ask(";\n".join(plan.statements))
    if plan.commits and backend.status == IN_TRANSACTION:
        backend.ask("commit")
    return plan.tag


def _late_binding_view(plan: LateBindingView, backend: Backend) -> str:
    """A view over a function whose body is text, so that nothing depends on the tables."""
    columns = backend.describe(plan.query)
    kinds = _type_names("pg_catalog.format_type", columns, backend)
    names = [quote_name(column.name) for column in columns]
    typed = [f"{name}::{kind}" for name, kind in zip(names, kinds, strict=True)]
    results = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
    function = f"rs_late.f_{secrets.token_hex(8)}"
    mark = f"$late{secrets.token_hex(4)}$"
    body = f"select {', '.join(typed)} from ({plan.query}\n) as rs_query"
    shown = ", ".join(f"{one} as {name}" for one, name in zip(typed, names, strict=True))
    backend.ask(
        f"create function {function}() returns table ({results}) language sql stable"
        f" security definer as {mark}{body}{mark};\n"
        f"create {'or replace ' if plan.replaces else ''}view {plan.view}{plan.columns}"
        f" as select {shown} from {function}()"
    )
    return "CREATE VIEW"


def _type_names(function: str, columns: list, backend: Backend) -> list[str]:
    calls = ", ".join(f"{function}({one.oid}::oid, {one.modifier})" for one in columns)
    found = backend.ask(f"select {calls}").rows[0]
    return ["text" if kind == "unknown" else str(kind) for kind in found]


def _columns(copy: Copy, backend: Backend) -> list[Column]:
    """The columns to load, in the file's order. Those that number themselves are left out."""
    described = backend.describe(f"select * from {qualified(copy.table)} where false")
    kinds = _type_names("rs.type_name", described, backend)
    known = {one.name: Column(one.name, kind) for one, kind in zip(described, kinds, strict=True)}
    if copy.columns:
        if missing := [name for name in copy.columns if name not in known]:
            raise Refused(f'column "{missing[0]}" of {copy.table[-1]} does not exist', "42703")
        return [known[name] for name in copy.columns]
    always = backend.ask(
        "select attname from pg_catalog.pg_attribute where attidentity = 'a'"
        f" and attrelid = {quote(qualified(copy.table))}::regclass"
    )
    own = set() if copy.options.get("explicit_ids") else {row[0] for row in always.rows}
    return [column for name, column in known.items() if name not in own]


def _copy(copy: Copy, session: "Session") -> str:
    backend, table = session.backend, qualified(copy.table)
    columns = _columns(copy, backend)
    query = session.next_query()
    loaded = 0

    def pieces() -> Iterator[bytes]:
        nonlocal loaded
        for piece, count in _rows(copy, columns, session):
            loaded += count
            yield piece

    names = ", ".join(quote_name(column.name) for column in columns)
    target = f"copy {table} ({names}) from stdin (format csv)"
    try:
        # All is read before PostgreSQL is asked: a file that fails leaves no COPY half done.
        backend.load(target, list(pieces()))
    except LoadFailed as fault:
        _note(fault, copy, session, query)
        detail = f"error: Spectrum Scan Error code: {fault.code} context: {fault.reason}"
        text = copy.options["format"] != "parquet"
        heading = f"Load into table '{copy.table[-1]}' failed.  {_CHECK}"
        raise Refused(heading if text else "Spectrum Scan Error", "XX000", detail) from None
    except Failed as fault:
        _note_failed(fault, copy, columns, session, query)
        raise
    session.copied(query, loaded, copy.table[-1])
    return "COPY"


def _rows(copy: Copy, columns: list[Column], session: "Session") -> Iterator[tuple[bytes, int]]:
    files = session.storage.files(copy)
    if copy.options["format"] == "parquet":
        serialize = bool(copy.options.get("serializetojson"))
        return parquet.rows(files, columns, serialize=serialize)
    return text_files.rows(files, columns, copy.options)


def _note_failed(
    fault: Failed, copy: Copy, columns: list[Column], session: "Session", query: int
) -> None:
    """A row that the table itself does not take, such as NULL in a column NOT NULL."""
    name = fault.fields.get("c")
    column = next((one for one in columns if one.name == name), None)
    reason = fault.fields.get("M", "")
    _note(LoadFailed(reason, copy.url, column, code=1213), copy, session, query)


def _note(fault: LoadFailed, copy: Copy, session: "Session", query: int) -> None:
    """Keep the error on a connection of its own: the load's transaction is rolled back."""
    column = fault.column
    values = [
        query,
        session.backend.process,
        fault.file,
        fault.line,
        column.name if column else "",
        column.base if column else "",
        str(column.length or "") if column else "",
        fault.raw_line[:1024],
        fault.raw_value[:1024],
        fault.code,
        fault.reason[:100],
        fault.reason,
    ]
    with session.beside() as other:
        other.ask(
            f"select rs.note_load_error({quote(qualified(copy.table))},"
            f" {', '.join(quote(value) for value in values)})"
        )
