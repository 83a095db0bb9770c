"""Questions to the lake in SQL: DuckDB over views of its tables, all of one moment.

`raw.deltas`, `lake.photos` and so on are what Iceberg has under these names, rows that are marked
`_is_deleted` included. Nothing is copied, and nothing that a query does changes the lake.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table.snapshots import Snapshot

from smug_platform import iceberg
from smug_platform.errors import QueryError
from smug_platform.iceberg import LakeFiles, Table
from smug_platform.lake.asof import Positions, snapshot_as_of
from smug_platform.lake.columns import identifier, quote
from smug_platform.lake.views import View, view_of
from smug_platform.raw.catalog import NAMESPACES, open_catalog
from smug_platform.settings import Settings

_DELETED = "hidden.deleted"  # the table of deleted rows, in the views' database
_COUNT = re.compile(  # what is answered from the metadata
    r'\s*select\s+count\s*\(\s*\*?\s*\)\s+from\s+"?(\w+)"?\s*\.\s*"?(\w+)"?\s*;?\s*', re.IGNORECASE
)
_MISSING = re.compile(r'(?:Table|View) with name "?([^"!]+?)"? does not exist')


@dataclass
class Lake:
    """A connection, and what its views show. absent: tables that were not there at that moment."""

    connection: duckdb.DuckDBPyConnection
    views: Mapping[str, View]
    absent: tuple[str, ...] = field(default=())

    def ask(self, sql: str) -> duckdb.DuckDBPyRelation:
        """The answer to one query; it is computed when it is fetched.

        How many rows a table has is known, and no file is read for it. Raises QueryError for what
        is no query.
        """
        with self.explained():
            answer = self.connection.sql(self._planned(sql))
        if answer is None:
            raise QueryError("that gives no rows", remedy="ask with select")
        return answer

    def write(self, sql: str, path: str, form: str, *, limit: int | None = None) -> None:
        """Write the answer to a file. form: options of DuckDB's COPY. Raises QueryError."""
        some = f"limit {limit}" if limit else ""
        with self.explained():
            asked = f"from ({self._planned(sql)}\n) {some}"
            self.connection.execute(f"copy ({asked}) to {quote(path)} ({form})")

    @contextmanager
    def explained(self) -> Iterator[None]:
        """DuckDB's errors within it become QueryErrors of one line."""
        try:
            yield
        except duckdb.Error as error:
            missing = _MISSING.search(str(error))
            if missing is None:
                line = str(error).strip().splitlines()[0]
                raise QueryError("can't answer that", remedy=line) from error
            raise self._no_table(missing[1]) from error

    def _no_table(self, name: str) -> QueryError:
        gone = [one for one in self.absent if one.rpartition(".")[2] == name.rpartition(".")[2]]
        if gone:
            return QueryError(
                f"{gone[0]} has no snapshot of that time any more, or had none yet",
                remedy="choose a later one, or read it as it is now",
            )
        known = ", ".join(self.views) or "none yet: run `smug sync`"
        return QueryError(f"there is no table {name}", remedy=f"there are {known}")

    def _planned(self, sql: str) -> str:
        match = _COUNT.fullmatch(sql)
        view = self.views.get(f"{match[1]}.{match[2]}".lower()) if match else None
        return f'select {view.rows}::bigint as "count_star()"' if view else sql.rstrip("; \n\t")


@contextmanager
def open_lake(
    settings: Settings,
    *,
    at: str | None = None,
    as_of: Positions | None = None,
    sql: str | None = None,
) -> Iterator[Lake]:
    """The lake's tables as they are, or were.

    at: a snapshot's id, or a time (ISO 8601, UTC unless it says otherwise): all tables are shown
    as they were when that snapshot was committed, or then. sql: only the tables that it names are
    opened, where it names any. as_of: source positions: each lake table is shown as it was there.

    Raises QueryError when there is no such snapshot, time or position.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield show(connection, open_catalog(settings), at=at, as_of=as_of, sql=sql)


@contextmanager
def connect(settings: Settings, *, at: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection in which every table of the lake is a view; `at` as in `open_lake`."""
    with open_lake(settings, at=at) as lake:
        yield lake.connection


def show(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    *,
    at: str | None = None,
    as_of: Positions | None = None,
    sql: str | None = None,
    database: str | None = None,
) -> Lake:
    """Make the views in an open connection. database: an attached one; the current unless given."""
    names = [
        ".".join(name)
        for namespace in NAMESPACES
        for name in sorted(catalog.list_tables(namespace))
    ]
    tables = iceberg.load_all(catalog, names)
    if as_of is not None:
        tables = {name: table for name, table in tables.items() if name.startswith("lake.")}
        moments = _as_of(catalog, {name: tables[name] for name in _named(tables, sql)}, as_of)
    else:
        moments = _moments(tables, at)
    wanted = {name: tables[name] for name in _named(moments, sql)}
    views = {name: _view(table, moments[name]) for name, table in wanted.items()}
    _install(connection, views, identifier(database) + "." if database else "")
    absent = tuple(name for name in names if name not in moments)
    return Lake(connection, {name: views[name] for name in wanted}, absent)


def _named(names: Collection[str], sql: str | None) -> Collection[str]:
    """Those of the tables that a statement may name; all where it names none."""
    return [name for name in names if sql and name.rpartition(".")[2] in sql.lower()] or names


def _view(table: Table, snapshot: Snapshot | None) -> View:
    schema = table.schema()
    if snapshot is not None and snapshot.schema_id is not None:
        schema = table.schemas()[snapshot.schema_id]
    return view_of(table, LakeFiles(table.io, schema, snapshot), schema)


def _install(connection: duckdb.DuckDBPyConnection, views: Mapping[str, View], prefix: str) -> None:
    for namespace in (*NAMESPACES, "hidden"):
        connection.execute(f"create schema if not exists {prefix}{namespace}")
    deleted = f"{prefix}{_DELETED}"
    connection.execute(f"create or replace table {deleted} (scan integer, place bigint)")
    first = 0
    for name, view in views.items():
        _reach(connection, view)
        if (rows := view.deleted(first)) is not None:
            connection.register("_deleted_rows", rows)
            connection.execute(f"insert into {deleted} select * from _deleted_rows")
            connection.unregister("_deleted_rows")
        namespace, _, table = name.partition(".")
        made = f"{prefix}{namespace}.{identifier(table)}"
        connection.execute(f"create or replace view {made} as {view.sql(deleted, first)}")
        first += len(view.scans)


def _reach(connection: duckdb.DuckDBPyConnection, view: View) -> None:
    """Let the connection read the view's files where DuckDB itself can't: S3, by Arrow's client."""
    paths = [path for scan in view.scans for path in scan.files]
    if not paths or paths[0].startswith("file:"):
        return
    scheme, netloc, _ = PyArrowFileIO.parse_location(paths[0])
    if isinstance(view.io, PyArrowFileIO) and not connection.filesystem_is_registered(scheme):
        from fsspec.implementations.arrow import ArrowFSWrapper  # type: ignore[import-untyped]

        connection.register_filesystem(ArrowFSWrapper(view.io.fs_by_scheme(scheme, netloc)))


def _as_of(
    catalog: Catalog, tables: Mapping[str, Table], at: Positions
) -> dict[str, Snapshot | None]:
    """The snapshot of each table at source positions; those that held nothing left out."""
    found = {
        name: snapshot_as_of(catalog, name.removeprefix("lake."), table, at)
        for name, table in tables.items()
    }
    return {name: snapshot for name, snapshot in found.items() if snapshot}


def _moments(tables: Mapping[str, Table], at: str | None) -> dict[str, Snapshot | None]:
    """The snapshot at which each table is shown; tables that have none of that time left out."""
    if at is None:
        return {name: table.current_snapshot() for name, table in tables.items()}
    chosen = _by_id(tables, int(at)) if at.isdigit() else {}
    moment = _milliseconds(at, chosen)
    then = {name: _at(table, moment) for name, table in tables.items()}
    return {name: snapshot for name, snapshot in {**then, **chosen}.items() if snapshot}


def _by_id(tables: Mapping[str, Table], snapshot_id: int) -> dict[str, Snapshot]:
    for name, table in tables.items():
        if (snapshot := table.snapshot_by_id(snapshot_id)) is not None:
            return {name: snapshot}
    raise QueryError(
        f"no table has a snapshot {snapshot_id}",
        remedy="it has expired, or is of another lake: choose a later one, or a time",
    )


def _milliseconds(at: str, chosen: Mapping[str, Snapshot]) -> int:
    for snapshot in chosen.values():
        return snapshot.timestamp_ms
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise QueryError(
            f"{at!r} is no snapshot and no time", remedy="write 2026-01-31T12:00:00, or an id"
        ) from None
    utc = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(utc.timestamp() * 1000)


def _at(table: Table, moment: int) -> Snapshot | None:
    """The latest snapshot that was committed by then.

    Raises QueryError when later ones have expired: some are held longer than those around them.
    """
    kept = sorted(table.metadata.snapshots, key=lambda one: one.sequence_number or 0)
    by_then = [one for one in kept if one.timestamp_ms <= moment]
    if not by_then:
        return None
    later = kept[len(by_then) :]
    if later and later[0].parent_snapshot_id != by_then[-1].snapshot_id:
        raise QueryError(
            f"{'.'.join(table.name())} as it was then has expired",
            remedy="ask for a later time, or for a snapshot by its id",
        )
    return by_then[-1]
