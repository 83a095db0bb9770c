"""The consumer: from the stream to the live numbers, a batch a transaction.

It reads the stream by itself, from its own position. What can't be read is named and stops
nothing; a schema change that can't be followed concerns its table alone.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.duck import in_memory
from smug_platform.errors import LakeError
from smug_platform.lake.state import State
from smug_platform.lake.target import Target
from smug_platform.raw.quarantine import Refused
from smug_platform.raw.views import Array
from smug_platform.realtime import provisional
from smug_platform.realtime import store as stored
from smug_platform.realtime.arrive import rows_of
from smug_platform.realtime.controls import Part, follow, parts
from smug_platform.realtime.delays import delays, save_delays
from smug_platform.realtime.effects import Found, Held, Lake, effects
from smug_platform.realtime.keep import clean, first_minute, forget
from smug_platform.realtime.metrics import METRICS, metrics_of
from smug_platform.realtime.sift import Key, Lane, Rows, are_some, sift
from smug_platform.realtime.store import Progress, Store
from smug_platform.realtime.tally import FIRST_MINUTE, Tally, tally
from smug_platform.realtime.watermark import advance, hear, together
from smug_platform.stream.reader import Batch, Reader
from smug_platform.tables.table import Source

MOST = 50_000  # changes a step
_READ_SECONDS = 1.0
_CLEAN_SECONDS = 30.0
_STILL_SECONDS = 1.0  # where nothing comes, that is written so often
_COUNTED = sorted({metric.table for metric in METRICS})
_ROWS = pa.array(["c", "u", "d", "r"])


@dataclass
class Step:
    """What one step did. behind: how far the reader was from the stream's tip afterwards."""

    changes: int = 0
    duplicates: int = 0
    identical: int = 0
    refused: int = 0
    behind: timedelta = timedelta(0)
    seconds: float = 0.0


@dataclass
class _Known:
    """What the consumer knows; a step works on a copy, which counts once it is committed."""

    progress: Progress
    lanes: dict[Key, Lane]
    states: dict[str, State]
    held: dict[str, dict[Key, Held]]
    refused: list[Refused] = field(default_factory=list)
    identical: int = 0

    def copy(self, positions: Batch, now: float) -> "_Known":
        """To work on, at the next positions."""
        progress = replace(
            self.progress,
            positions=positions.positions,
            generation=self.progress.generation + 1,
            counts=dict(self.progress.counts),
            updated_at=now,
        )
        held = {table: dict(lanes) for table, lanes in self.held.items()}
        return _Known(progress, dict(self.lanes), dict(self.states), held)


class Consumer:
    """Counts what a stream brings into a store; for one thread.

    clock: seconds since 1970. lake: asked which shards are in conflict, where any are. All that it
    knows stands in the store, so a new one goes on where another was killed.
    """

    def __init__(
        self,
        store: Store,
        reader: Reader,
        source: Source,
        *,
        clock: Callable[[], float] = time.time,
        lake: Lake = lambda _: None,
    ) -> None:
        self._lake = lake
        self._store, self._reader, self._clock = store, reader, clock
        self._tables = {table.name: table for table in source.tables}
        self._known = _Known(store.progress(), store.lanes(), store.states(), store.held())
        self._cleaned = float("-inf")

    @property
    def progress(self) -> Progress:
        """Where it stands."""
        return self._known.progress

    def step(self, *, most: int = MOST) -> Step:
        """Read what follows and count it, in one transaction.

        Raises StreamError when the stream can't be read, or another consumer is at it.
        """
        started = time.perf_counter()
        before = self._known.progress
        batch = self._reader.read(before.positions, max_records=most, max_seconds=_READ_SECONDS)
        now = self._clock()
        is_still = batch.positions == before.positions and not batch.records
        if is_still and now - before.updated_at < _STILL_SECONDS:
            return Step(behind=batch.behind)
        known = self._known.copy(batch, now)
        with self._store.writing() as connection:
            stored.refuse_another(connection, before.generation)
            if before.positions and before.positions.incarnation != batch.positions.incarnation:
                forget(connection)
            step = self._count(connection, known, batch)
            self._save(connection, known, step)
        self._known = known
        step.behind, step.seconds = batch.behind, time.perf_counter() - started
        return step

    def _count(self, connection: sqlite3.Connection, known: _Known, batch: Batch) -> Step:
        known.refused += [
            Refused("stream", None, None, f"{p.stream_shard}/{p.sequence_number}", p.reason, p.data)
            for p in batch.poison
        ]
        progress = known.progress
        if not batch.records:
            progress.watermark = self._watermark(known, batch)
            return Step()
        came, records, refused = rows_of(batch.records, first=progress.next_record)
        known.refused += refused
        chosen, reached = sift(came, known.lanes)
        known.lanes |= reached
        rows = came.take(chosen)
        progress.heard = together(progress.heard, hear(rows.changes, progress.updated_at))
        self._count_rows(connection, known, rows)
        progress.watermark = self._watermark(known, batch)
        stored.save_lanes(connection, {key: known.lanes[key] for key in reached})
        stored.save_records(connection, records, progress.updated_at)
        save_delays(connection, delays(rows.changes, self._clock()), progress.updated_at)
        progress.next_record += len(records)
        return Step(
            changes=len(chosen),
            duplicates=len(came.lane) - len(chosen),
            identical=known.identical,
        )

    def _watermark(self, known: _Known, batch: Batch) -> int:
        progress = known.progress
        return advance(
            progress.watermark, progress.heard, at_tip=batch.at_tip, now=progress.updated_at
        )

    def _count_rows(self, connection: sqlite3.Connection, known: _Known, rows: Rows) -> None:
        resets, states, refused = follow(rows, self._tables, known.states)
        known.refused += refused
        stored.save_states(
            connection,
            {name: state for name, state in states.items() if state != known.states.get(name)},
        )
        known.states = states
        tables = {
            name: pc.fill_null(pc.equal(rows.changes["table_name"], name), False).to_numpy()
            for name in {*_COUNTED, *(reset.table for reset in resets)}
        }
        op = rows.changes["op"]
        is_row = pc.is_in(op, value_set=_ROWS.cast(op.type)).to_numpy()
        is_row &= ~provisional.in_doubt(rows.changes) & ~are_some(rows.changes)
        pieces = provisional.pieces_of(rows)
        for part in parts(rows, tables, resets):
            self._reset(connection, known, rows, part)
            here = np.arange(len(rows.lane))
            here = (here >= part.start) & (here < part.stop) & is_row
            mine = {table: here & tables[table] for table in _COUNTED if tables[table].any()}
            self._count_part(connection, known, rows, mine, pieces)

    def _count_part(
        self,
        connection: sqlite3.Connection,
        known: _Known,
        rows: Rows,
        tables: Mapping[str, Array],
        pieces: Array,
    ) -> None:
        """Count changes. tables: by name, which are of the table and count."""
        found = {
            table: self._count_table(connection, known, table, rows, np.flatnonzero(mine))
            for table, mine in tables.items()
        }
        if found:
            stored.add(connection, _tally(pa.concat_tables(found.values()), rows, known.progress))
        for table, mine in tables.items():
            lanes, is_last = provisional.last_of(rows, np.where(mine, pieces, provisional.NONE))
            if lanes:
                last = found[table].filter(is_last[found[table]["_i"].to_numpy()])
                watermark = known.progress.watermark
                counted = tally(last, rows, horizon=FIRST_MINUTE, watermark=watermark)
                provisional.keep(connection, table, lanes, counted)

    def _reset(self, connection: sqlite3.Connection, known: _Known, rows: Rows, part: Part) -> None:
        for reset in part.resets:
            key = rows.lanes[reset.lane]
            if reset.after_rows is not None:
                horizon = first_minute(known.progress.watermark)
                provisional.take_back(connection, reset, key, horizon=horizon)
                continue
            metrics = [metric.name for metric in metrics_of(reset.table)]
            stored.take_away(connection, metrics, key, reset.record)
            if known.held.get(reset.table, {}).pop(key, None):
                stored.save_held(connection, reset.table, key, {})

    def _count_table(
        self,
        connection: sqlite3.Connection,
        known: _Known,
        table: str,
        rows: Rows,
        chosen: Array,
    ) -> pa.Table:
        """The effects of the chosen rows, which are those of one table."""
        held, mine = known.held.setdefault(table, {}), rows.take(chosen)
        found = self._effects(known, table, mine) if len(chosen) else Found()
        known.refused += found.refused
        known.identical += found.identical
        for lane, entries in found.held.items():
            held[rows.lanes[lane]] = entries
            stored.save_held(connection, table, rows.lanes[lane], entries)
        return found.effects.set_column(0, "_i", [chosen[found.effects["_i"].to_numpy()]])

    def _effects(self, known: _Known, table: str, rows: Rows) -> Found:
        target, state = Target(self._tables[table]), known.states.get(table, State())
        numbers = {key: number for number, key in enumerate(rows.lanes)}
        held = {
            numbers[key]: entries
            for key, entries in known.held[table].items()
            if entries and key in numbers
        }
        try:
            if not state.schemas:
                raise LakeError(
                    f"changes of {table} came without its schema",
                    remedy="take a new snapshot of the table",
                )
            with in_memory() as duck:
                return effects(duck, target, state, metrics_of(table), rows, held, self._lake)
        except LakeError as error:
            return Found(refused=[Refused("realtime", table, None, "", str(error), b"")])

    def _save(self, connection: sqlite3.Connection, known: _Known, step: Step) -> None:
        progress = known.progress
        step.refused = stored.save_refused(connection, known.refused, progress.updated_at)
        for name in ("changes", "duplicates", "identical", "refused"):
            progress.counts[name] = progress.counts.get(name, 0) + getattr(step, name)
        if progress.updated_at - self._cleaned >= _CLEAN_SECONDS:
            clean(connection, watermark=progress.watermark, now=progress.updated_at)
            self._cleaned = progress.updated_at
        stored.save_progress(connection, progress)


def _tally(effects: pa.Table, rows: Rows, progress: Progress) -> Tally:
    watermark = progress.watermark
    return tally(effects, rows, horizon=first_minute(watermark), watermark=watermark)
