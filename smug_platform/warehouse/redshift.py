"""The warehouse on Redshift: what its replicas hold, and bringing them up to the lake.

One transaction a change of a table: COPY of the lake's own files into temporary tables, the last
row of each key, MERGE into the replica, and the record of the lake snapshot. A run that ends
anywhere leaves the old state or the new one, with the record that belongs to it; a commit whose
answer was lost is found by looking.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

from pyiceberg.catalog import Catalog

from smug_platform.errors import WarehouseError
from smug_platform.lake.feed import Change, change
from smug_platform.lake.target import Target
from smug_platform.settings_warehouse import RedshiftSettings
from smug_platform.warehouse.ddl import LOADS, SCHEMA, replica
from smug_platform.warehouse.load import Load, Loaded, load_of
from smug_platform.warehouse.redshift_evolve import Unfit
from smug_platform.warehouse.redshift_files import Files
from smug_platform.warehouse.redshift_load import READ_LOADS, Loading
from smug_platform.warehouse.redshift_session import (
    Conflict,
    LoadRefused,
    Lost,
    Session,
    Sessions,
)
from smug_platform.warehouse.redshift_sql import CREATE, REJECTS

MOST_MERGES = 50
"""Merges that one transaction loads, each by a COPY of its own: their order is which row counts."""
MOST_COLUMNS = 1600
"""Of a table in Redshift: CREATE TABLE in its Database Developer Guide."""
ATTEMPTS = 5
FIRST_PAUSE = 0.2  # seconds; it doubles, with jitter
_T = TypeVar("_T")


class Redshift:
    """The warehouse of an environment on AWS; see `open.Warehouse`."""

    def __init__(self, settings: RedshiftSettings) -> None:
        self._settings = settings
        self._sessions = Sessions(settings)
        self._preparing, self._is_prepared = threading.Lock(), False
        self.at_once = settings.at_once

    def close(self) -> None:
        """Sign out."""
        self._sessions.close()

    def has(self, table: str) -> bool:
        """Whether there is such a table in the schema of replicas."""
        found = self.ask(
            "select count(*) from information_schema.tables"
            " where table_schema = ? and table_name = ?",
            [SCHEMA, table],
        )
        return bool(found[0][0])

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of one query. parameters: for its `?`. Raises WarehouseError."""
        return self._tried("the warehouse", lambda session: session.ask(sql, parameters))

    def write(self, statements: Sequence[tuple[str, Sequence[object]]]) -> None:
        """Run statements with their parameters as one transaction; raises WarehouseError."""

        def all_of(session: Session) -> None:
            for sql, parameters in statements:
                session.ask(sql, parameters)
            session.commit()

        self._tried("the warehouse", all_of)

    def loads(self) -> tuple[Load, ...]:
        """Where each replica stands, by table name; empty before the first load."""
        if not self.has("_loads"):
            return ()
        return tuple(load_of(row) for row in self.ask(f"{READ_LOADS} order by table_name"))

    def row_count(self, table: str) -> int:
        """The rows of a replica, deleted ones included."""
        return int(self.ask(f"select count(*) from {replica(table)}")[0][0])

    def rejected(self) -> dict[str, int]:
        """Rows that it can't take, by table; without those where there are none."""
        if not self.has("_rejects"):
            return {}
        counts = self.ask(f"select table_name, count(*) from {REJECTS} group by table_name")
        return {str(table): int(count) for table, count in counts}

    def refresh(self, catalog: Catalog, target: Target) -> Loaded | None:
        """Load what changed in the lake table since the loaded snapshot; None when nothing did.

        All of it where rows that are there do not fit what the lake has now. Raises LakeError when
        a key would be there twice, WarehouseError when Redshift refuses what is loaded, does not
        answer, or other transactions keep coming first; the replica then holds what its record
        says.
        """
        total: Loaded | None = None
        self._prepare()
        while True:
            held = {load.table: load.snapshot_id for load in self.loads()}
            found = change(catalog, target, held.get(target.name), held=self._columns(target.name))
            if found is None:
                return total
            check_width(found)
            part = _first(found)
            try:
                step = self._load(part)
            except Unfit:
                part = found = change(catalog, target, None) or found
                step = self._load(part)
            total = step if total is None else step.after(total)
            if part is found:
                return total

    def _columns(self, table: str) -> Collection[str]:
        """The columns of a replica; none where there is no replica."""
        found = self.ask(f"select columns from {LOADS} where table_name = ?", [table])
        return json.loads(found[0][0]) if found else {}

    def _prepare(self) -> None:
        """Make the schema and the records that are not there; one thread at a time."""
        with self._preparing:
            if not self._is_prepared:
                self.write([(statement, ()) for statement in CREATE])
                self._is_prepared = True

    def _load(self, found: Change) -> Loaded:
        """One transaction, again without what does not fit when a row is refused."""
        try:
            return self._attempt(found, fitted=False, why="")
        except (LoadRefused, WarehouseError) as refused:
            if isinstance(refused, WarehouseError) and refused.passes:
                raise
            reason = str(refused)
        try:
            return self._attempt(found, fitted=True, why=reason)
        except LoadRefused as refused:
            raise WarehouseError(
                f"COPY can't load the changes of {found.target.name}: {refused}",
                remedy="see sys_load_error_detail; the table stands still, the others go on",
            ) from refused

    def _attempt(self, found: Change, *, fitted: bool, why: str) -> Loaded:
        scratch = f"{self._settings.scratch}/{found.target.name}/{uuid4()}"

        def once(session: Session) -> Loaded:
            files = Files(found, scratch, fitted=fitted)
            try:
                return Loading(session, files, self._settings.role, why=why).run()
            except LoadRefused as refused:
                session.roll_back()
                raise LoadRefused(session.reason() or str(refused)) from refused
            finally:
                files.remove()

        return self._tried(found.target.name, once)

    def _tried(self, what: str, work: Callable[[Session], _T]) -> _T:
        """Do it in a session, again where another transaction or the connection was in the way."""
        pause = FIRST_PAUSE
        for attempt in range(ATTEMPTS):
            try:
                with self._sessions.one() as session:
                    return work(session)
            except (Conflict, Lost) as error:
                problem = error
            if attempt + 1 < ATTEMPTS:
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause *= 2
        reason = (
            "other transactions keep coming first"
            if isinstance(problem, Conflict)
            else ("the connection to Redshift keeps ending")
        )
        raise WarehouseError(
            f"{what}: {reason} ({problem})",
            remedy="the next run goes on from what is recorded",
            passes=True,
        ) from problem


def check_width(found: Change) -> None:
    """Raises WarehouseError for a table with more columns than Redshift takes."""
    count = len(found.schema()) + 1  # when a row was loaded, or the order of its file
    if count > MOST_COLUMNS:
        raise WarehouseError(
            f"{found.target.name} has {count:,} columns with the platform's own, and Redshift takes"
            f" {MOST_COLUMNS:,} of a table: it is not loaded, the lake has all of it",
            remedy="name those that the warehouse is to take in `warehouse_columns` of its record"
            " in smug_platform/tables",
        )


def _first(found: Change) -> Change:
    """Of a change of very many merges the first part, which is a state of the lake as well."""
    if found.full or len(found.merges) <= MOST_MERGES:
        return found
    merges = found.merges[:MOST_MERGES]
    return replace(found, merges=merges, snapshot=merges[-1])
