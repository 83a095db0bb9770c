"""One transaction of the loader into Redshift: from one record of what is loaded to the next."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from smug_platform.errors import LakeError
from smug_platform.lake.feed import Change
from smug_platform.lake.merge import STATE
from smug_platform.lake.state import State
from smug_platform.warehouse import redshift_sql as sql
from smug_platform.warehouse.ddl import LOADS, SCHEMA, replica
from smug_platform.warehouse.load import Load, Loaded, check_continuity, load_of, reached
from smug_platform.warehouse.redshift_files import Files
from smug_platform.warehouse.redshift_session import Session
from smug_platform.warehouse.redshift_types import Column, columns, grown

READ_LOADS = (
    f"select table_name, snapshot_id, rows, loaded_at, committed_at, positions, relief from {LOADS}"
)


class Loading:
    """Brings one replica up by one change.

    role: of IAM, that COPY reads with. why: the reason of the last try, where COPY refused a file.
    """

    def __init__(self, session: Session, change: Change, role: str, *, why: str = "") -> None:
        self._session = session
        self._change = change
        self._role = role
        self._why = why

    @cached_property
    def wanted(self) -> tuple[Column, ...]:
        """The lake's columns, in Redshift's types."""
        table = self._change.table
        state = table.properties.get(STATE)
        declared = State.from_json(state).columns() if state else []
        return columns(table.schema().as_arrow(), declared)

    def run(self, files: Files) -> Loaded:
        """Load the files in one transaction, and commit it.

        Raises LoadRefused when COPY can't load a file, LakeError when a key would be there twice,
        and what `Session.ask` raises otherwise.
        """
        name = self._change.target.name
        before, types = self._held()
        if before and before.snapshot_id == self._change.snapshot.snapshot_id:
            return Loaded(name, before.snapshot_id, 0, 0, self._count(replica(name)), skipped=True)
        if not self._change.full:
            check_continuity(name, self._change.since, before)
            types = self._evolve(types)
        rows = self._stage(files)
        self._check_once(files, rows)
        loaded = self._replace(rows, held=bool(types), files=files)
        self._record(rows, loaded, None if self._change.full else before, types, files)
        for table in [*(stage.name for stage in files.stages), sql.NET]:
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

    def _evolve(self, types: Mapping[str, str]) -> dict[str, str]:
        """Let the replica hold the wanted columns; its columns' types then."""
        name, held = self._change.target.name, dict(types)
        added, wider = grown(name, held, self.wanted)
        texts = [column for column in wider if column.type.startswith("VARCHAR")]
        for column in texts:
            self._widen(column)
        for column in added:
            self._session.ask(sql.add(name, column))
        held |= {column.name: column.type for column in (*added, *wider)}
        if len(wider) > len(texts):
            every = [Column(*each) for each in held.items()]
            for statement in sql.rebuilt(name, every, self._change.target):
                self._session.ask(statement)
        return held

    def _widen(self, column: Column) -> None:
        """Make a text longer, outside the transaction, unless a run that ended has done it."""
        length = self._session.ask(
            "select character_maximum_length from information_schema.columns"
            " where table_schema = ? and table_name = ? and column_name = ?",
            [SCHEMA, self._change.target.name, column.name],
        )
        self._session.commit()
        if not length or (length[0][0] or 0) < (column.width or 0):
            self._session.alone(sql.widen_text(self._change.target.name, column))

    def _stage(self, files: Files) -> str:
        """Copy the files, and put the last row of each key into a table; its name."""
        target, ask = self._change.target, self._session.ask
        like = sql.layout(target, sorted_too=False)
        for stage in files.stages:
            ask(f"drop table if exists {stage.name}")
            ask(stage.create(like))
        for part in files.parts:
            ask(part.stage.copy(files.manifest(part), self._role))
            ask(part.stage.number(part.order))
        if self._change.full:
            into = replica(f"{target.name}__new")
            ask(f"drop table if exists {into}")
            ask(
                sql.create(f"{target.name}__new", [*self.wanted, sql.LOADED_AT], sql.layout(target))
            )
        else:
            into = sql.NET
            ask(f"drop table if exists {into}")
            ask(f"create temp table {into} (like {replica(target.name)})")
        if files.stages:
            ask(sql.net(into, target, self.wanted, files.stages, self._at))
        return into

    def _check_once(self, files: Files, rows: str) -> None:
        """Refuse what would leave a key there twice: all that is built on it would count double."""
        target = self._change.target
        queries = [sql.live_twice(target, rows, full=self._change.full)]
        if files.stages:
            queries.insert(0, sql.twice(target, self.wanted, files.stages))
        for query in filter(None, queries):
            for *key, count in self._session.ask(query):
                raise LakeError(
                    f"lake.{target.name} holds {', '.join(map(str, key))} {count} times,"
                    " so it is not loaded",
                    remedy="see its check keys_unique, then rebuild the table from raw.deltas",
                )

    def _replace(self, rows: str, *, held: bool, files: Files) -> Loaded:
        """Put the rows where readers see them."""
        name, change = self._change.target.name, self._change
        count = self._count(rows)
        before = self._count(replica(name)) if held else 0
        if change.full:
            for statement in sql.swapped(name, held=held):
                self._session.ask(statement)
        else:
            self._session.ask(sql.merge(change.target, self.wanted))
        total = self._count(replica(name))
        return Loaded(
            name,
            change.snapshot.snapshot_id,
            count,
            before if change.full else before + count - total,
            total,
            full=change.full,
            relief=change.relief(count),
            rejected=len(files.rejects),
            cut=files.cut,
        )

    def _record(
        self, rows: str, loaded: Loaded, before: Load | None, types: Mapping[str, str], files: Files
    ) -> None:
        name, ask = loaded.table, self._session.ask
        source = replica(name) if loaded.full else rows
        positions, newest = reached(ask(sql.high_water(source)), before)
        relief = loaded.relief + before.relief if before else loaded.relief
        kept = {} if loaded.full else types
        wanted = {column.name: column.type for column in self.wanted}
        ask(f"delete from {LOADS} where table_name = ?", [name])
        ask(
            f"insert into {LOADS} values (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                name,
                loaded.snapshot_id,
                loaded.rows,
                self._at,
                newest,
                json.dumps(positions, sort_keys=True),
                relief.to_json(),
                json.dumps(wanted | dict(kept)),
            ],
        )
        if loaded.full:
            ask(f"delete from {sql.REJECTS} where table_name = ?", [name])
        for reject in files.rejects:
            reason = f"{reject.reason} ({self._why})"[:16_000]
            values: list[Any] = [
                name,
                loaded.snapshot_id,
                reject.key,
                reject.column,
                reason,
                self._at,
            ]
            ask(f"insert into {sql.REJECTS} values (?, ?, ?, ?, ?, ?)", values)

    @cached_property
    def _at(self) -> datetime:
        """The time of this load: now, and after the last load's even if the clock stepped back."""
        before, _ = self._held()
        now = datetime.now(UTC)
        return max(now, before.loaded_at + timedelta(microseconds=1)) if before else now

    def _count(self, table: str) -> int:
        return int(self._session.ask(f"select count(*) from {table}")[0][0])
