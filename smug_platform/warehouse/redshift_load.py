"""One transaction of the loader into Redshift: from one record of what is loaded to the next."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from smug_platform.errors import LakeError
from smug_platform.lake.merge import STATE
from smug_platform.lake.state import State
from smug_platform.warehouse import redshift_sql as sql
from smug_platform.warehouse.ddl import LOADS, replica
from smug_platform.warehouse.load import Load, Loaded, check_continuity, load_of, reached
from smug_platform.warehouse.redshift_evolve import evolved
from smug_platform.warehouse.redshift_files import Files
from smug_platform.warehouse.redshift_session import Session
from smug_platform.warehouse.redshift_types import Column, columns, widens

_REJECTS_AT_ONCE = 500
_LOAD = "table_name, snapshot_id, rows, loaded_at, committed_at, positions, relief"
READ_LOADS = f"select {_LOAD} from {LOADS}"


class Loading:
    """Brings one replica up by one change, whose files are given.

    role: of IAM, that COPY reads with. why: the reason of the last try, where COPY refused a file.
    """

    def __init__(self, session: Session, files: Files, role: str, *, why: str = "") -> None:
        self._session = session
        self._files = files
        self._change = files.change
        self._role = role
        self._why = why
        self._reached: list[tuple[Any, ...]] = []

    @property
    def _columns(self) -> Sequence[Column]:
        """The lake's columns, in the types that the replica has."""
        return self._files.columns

    @cached_property
    def _wanted(self) -> tuple[Column, ...]:
        """The lake's columns that are loaded, in Redshift's types."""
        state = self._change.table.properties.get(STATE)
        declared = State.from_json(state).columns() if state else []
        return columns(self._change.schema(), declared)

    def run(self) -> Loaded:
        """Load the files in one transaction, and commit it.

        Raises LoadRefused when COPY can't load a file, Unfit when rows that are there can't stay,
        LakeError when a key would be there twice, and what `Session.ask` raises otherwise.
        """
        name, change = self._change.target.name, self._change
        self._widen_texts()
        before, types = self._held()
        if before and before.snapshot_id == change.snapshot.snapshot_id:
            return Loaded(name, before.snapshot_id, 0, 0, self._count(replica(name)), skipped=True)
        if not change.full:
            check_continuity(name, change.since, before)
        statements, held = evolved(change.target, types, self._wanted, full=change.full)
        # A type that is there may be wider than the lake's, or text where the lake has JSON.
        self._files.columns = [Column(c.name, held.get(c.name, c.type)) for c in self._wanted]
        rows = self._stage(in_place=bool(held))
        self._check_once(rows)
        # From here on readers of the table may wait.
        for statement in statements:
            self._session.ask(statement)
        loaded = self._replace(rows, held=bool(types), in_place=bool(held))
        new = {column.name: column.type for column in self._columns}
        self._record(loaded, None if change.full else before, new | held, rows)
        for table in [*(stage.name for stage in self._files.stages), sql.NET]:
            self._session.ask(f"drop table if exists {table}")
        self._session.commit()
        return loaded

    def _held(self) -> tuple[Load | None, dict[str, str]]:
        """What is recorded of the replica, and its columns' types."""
        found = self._session.ask(
            f"{READ_LOADS.replace(' relief', ' relief, columns')} where table_name = ?",
            [self._change.target.name],
        )
        if not found:
            return None, {}
        *row, types = found[0]
        return load_of(row), json.loads(types)

    def _widen_texts(self) -> None:
        """Make texts longer, outside the transaction, unless a run that ended has done it."""
        name = self._change.target.name
        _, types = self._held()
        texts = {c for c in self._wanted if c.type.startswith("VARCHAR") and c.name in types}
        wider = [column for column in texts if widens(types[column.name], column.type)]
        lengths = dict(self._session.ask(sql.TEXT_LENGTHS, [name])) if wider else {}
        self._session.roll_back()
        for column in wider:
            if (lengths.get(column.name) or 0) < (column.width or 0):
                self._session.alone(sql.widen_text(name, column))

    def _stage(self, *, in_place: bool) -> str:
        """Copy the files, and put the last row of each key into a table; its name.

        in_place: the replica is there, and keeps its place.
        """
        target, ask = self._change.target, self._session.ask
        like = sql.layout(target, sorted_too=False)
        for stage in self._files.stages:
            ask(f"drop table if exists {stage.name}")
            ask(stage.create(like))
        for part in self._files.parts:
            ask(part.stage.copy(self._files.manifest(part), self._role))
            ask(part.stage.number(part.order))
        if in_place:
            into = sql.NET
            ask(f"drop table if exists {into}")
            ask(sql.create_net(self._columns, like))
        else:
            into = replica(f"{target.name}__new")
            ask(f"drop table if exists {into}")
            ask(
                sql.create(
                    f"{target.name}__new", [*self._columns, sql.LOADED_AT], sql.layout(target)
                )
            )
        if self._files.stages:
            ask(sql.net(into, target, self._columns, self._files.stages, self._at))
        return into

    def _check_once(self, rows: str) -> None:
        """Refuse what would leave a key there twice: all that is built on it would count double."""
        target = self._change.target
        queries = [sql.live_twice(target, rows, full=self._change.full)]
        if self._files.stages:
            queries.insert(0, sql.twice(target, self._columns, self._files.stages))
        for query in filter(None, queries):
            for *key, count in self._session.ask(query):
                raise LakeError(
                    f"lake.{target.name} holds {', '.join(map(str, key))} {count} times,"
                    " so it is not loaded",
                    remedy="see its check keys_unique, then rebuild the table from raw.deltas",
                )

    def _replace(self, rows: str, *, held: bool, in_place: bool) -> Loaded:
        """Put the rows where readers see them. held: there is a replica."""
        name, change, ask = self._change.target.name, self._change, self._session.ask
        count = self._count(rows)
        before = self._count(replica(name)) if held else 0
        self._reached = ask(sql.high_water(rows))
        if not in_place:
            statements = sql.swapped(name, held=held)
        elif change.full:
            statements = (f"delete from {replica(name)}", sql.all_of(name, self._columns))
        else:
            statements = (sql.merge(change.target, self._columns),)
        for statement in statements:
            ask(statement)
        total = self._count(replica(name))
        return Loaded(
            name,
            change.snapshot.snapshot_id,
            count,
            before if change.full else before + count - total,
            total,
            full=change.full,
            relief=change.relief(count),
            rejected=len(self._files.rejects),
            cut=self._files.cut,
        )

    def _record(
        self, loaded: Loaded, before: Load | None, types: Mapping[str, str], rows: str
    ) -> None:
        """Write down what is loaded, last of all: loads of all tables share these two."""
        name, ask = loaded.table, self._session.ask
        positions, newest = reached(self._reached, before)
        relief = loaded.relief + before.relief if before else loaded.relief
        self._record_rejects(rows)
        ask(f"delete from {LOADS} where table_name = ?", [name])
        ask(
            f"insert into {LOADS} ({_LOAD}, columns) values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                name,
                loaded.snapshot_id,
                loaded.rows,
                self._at,
                newest,
                json.dumps(positions, sort_keys=True),
                relief.to_json(),
                json.dumps(dict(types)),
            ],
        )

    def _record_rejects(self, rows: str) -> None:
        """Forget the rejects whose rows have come well, and note those of this load."""
        target, ask = self._change.target, self._session.ask
        rejects = list(self._files.rejects.values())
        if self._change.full:
            ask(f"delete from {sql.REJECTS} where table_name = ?", [target.name])
        elif self._count(sql.REJECTS):
            ask(sql.taken_back(target, self._columns, rows))
        for start in range(0, len(rejects), _REJECTS_AT_ONCE):
            part = rejects[start : start + _REJECTS_AT_ONCE]
            ask(sql.not_twice(len(part)), [target.name, *(one.key for one in part)])
            values = [
                (target.name, self._change.snapshot.snapshot_id, one.key, one.column,
                 f"{one.reason} ({self._why})"[:16_000], self._at)
                for one in part
            ]  # fmt: skip
            ask(sql.rejected(len(part)), [value for row in values for value in row])

    @cached_property
    def _at(self) -> datetime:
        """The time of this load: now, and after the last load's even if the clock stepped back."""
        before, _ = self._held()
        now = datetime.now(UTC)
        return max(now, before.loaded_at + timedelta(microseconds=1)) if before else now

    def _count(self, table: str) -> int:
        return int(self._session.ask(f"select count(*) from {table}")[0][0])
