"""The warehouse of an environment, DuckDB or Redshift: one interface for all that use it.

What is in it is told by its own records alone: the lake snapshot that each replica holds
(`warehouse._loads`), and what dbt has built of it (`builds`).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Protocol

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog

from smug_platform.errors import LakeError, SmugError
from smug_platform.lake.feed import current_snapshots
from smug_platform.lake.target import Target
from smug_platform.settings import Settings
from smug_platform.warehouse import load, refresh
from smug_platform.warehouse.connect import WAIT_SECONDS, connect
from smug_platform.warehouse.ddl import SCHEMA
from smug_platform.warehouse.load import Load, Loaded
from smug_platform.warehouse.redshift import Redshift

Statement = tuple[str, Sequence[object]]


class Warehouse(Protocol):
    """What holds the replicas. Its methods raise WarehouseError."""

    @property
    def at_once(self) -> int:
        """How many tables may be loaded at the same time, each in a thread."""

    def loads(self) -> tuple[Load, ...]:
        """Where each replica stands, by table name; empty before the first load."""

    def refresh(self, catalog: Catalog, target: Target) -> Loaded | None:
        """Load what changed in the lake table since the loaded snapshot; None when nothing did.

        Raises LakeError when a key would be there twice; the replica then stays as it was.
        """

    def row_count(self, table: str) -> int:
        """The rows of a replica, deleted ones included."""

    def rejected(self) -> Mapping[str, int]:
        """Rows that it can't take, by table; without those where there are none."""

    def has(self, table: str) -> bool:
        """Whether there is such a table in the schema of replicas."""

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of one query. parameters: for its `?`."""

    def write(self, statements: Sequence[Statement]) -> None:
        """Run statements with their parameters as one transaction."""


class DuckDB:
    """The warehouse in one file, through an open connection: one table after the other."""

    at_once = 1

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def loads(self) -> tuple[Load, ...]:
        """Where each replica stands, by table name; empty before the first load."""
        return load.loads(self.connection)

    def refresh(self, catalog: Catalog, target: Target) -> Loaded | None:
        """Load what changed in the lake table since the loaded snapshot; None when nothing did."""
        return refresh.refresh(catalog, self.connection, target)

    def row_count(self, table: str) -> int:
        """The rows of a replica, deleted ones included."""
        return load.row_count(self.connection, table)

    def rejected(self) -> Mapping[str, int]:
        """None: DuckDB takes all that the lake holds."""
        return {}

    def has(self, table: str) -> bool:
        """Whether there is such a table in the schema of replicas."""
        found = self.connection.execute(
            "select count(*) from duckdb_tables() where schema_name = ? and table_name = ?",
            [SCHEMA, table],
        ).fetchall()
        return bool(found[0][0])

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of one query. parameters: for its `?`."""
        return self.connection.execute(sql, list(parameters)).fetchall()

    def write(self, statements: Sequence[Statement]) -> None:
        """Run statements with their parameters as one transaction."""
        with load.transaction(self.connection, "a record"):
            for sql, parameters in statements:
                self.connection.execute(sql, list(parameters))


@contextmanager
def open_warehouse(
    settings: Settings, *, read_only: bool = False, wait: float = WAIT_SECONDS
) -> Iterator[Warehouse]:
    """The warehouse that the settings name, closed at the end.

    read_only, wait: of DuckDB's file, as `connect` has them. Raises WarehouseError: the file can't
    be had, or Redshift does not answer or let the user in, which shows at the first use.
    """
    if settings.redshift is not None:
        with closing(Redshift(settings.redshift)) as redshift:
            yield redshift
    else:
        with connect(settings, read_only=read_only, wait=wait) as connection:
            yield DuckDB(connection)


def is_there(settings: Settings) -> bool:
    """Whether there is a warehouse; DuckDB's file comes with the first load."""
    return settings.redshift is not None or settings.warehouse_path.exists()


def loaded(warehouse: Warehouse) -> dict[str, int]:
    """The lake snapshot that each replica holds; empty before the first load."""
    return {entry.table: entry.snapshot_id for entry in warehouse.loads()}


def unloaded(
    catalog: Catalog, warehouse: Warehouse, targets: Sequence[Target]
) -> dict[str, int | None]:
    """The tables whose lake snapshot is not the loaded one, with the loaded one."""
    held = loaded(warehouse)
    current = current_snapshots(catalog, tuple(targets))
    return {name: held.get(name) for name, now in current.items() if held.get(name) != now}


def refresh_all(
    warehouse: Warehouse, catalog: Catalog, targets: Sequence[Target]
) -> Iterator[tuple[Target, Loaded | SmugError | None]]:
    """Refresh each table, several at once where the warehouse takes it; in the order of `targets`.

    A table's problem comes in its place, and the others go on.
    """

    def one(target: Target) -> Loaded | SmugError | None:
        try:
            return warehouse.refresh(catalog, target)
        except SmugError as problem:
            return problem
        except (OSError, pa.ArrowException) as error:
            return LakeError(
                f"the files of lake.{target.name} can't be read: {error}",
                remedy="the next run tries again; if it stays, run `smug query` on the table",
                passes=isinstance(error, OSError),
            )

    if warehouse.at_once == 1:
        yield from ((target, one(target)) for target in targets)
        return
    with ThreadPoolExecutor(warehouse.at_once, thread_name_prefix="load") as threads:
        yield from zip(targets, threads.map(one, targets), strict=True)
