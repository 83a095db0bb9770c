"""The workload: what Flickr's members do, written to the shards as plain SQL.

One thread plans, from a seed, every statement of every shard; one thread a shard writes them. The
planning never asks a server or the wall clock anything, so a seed gives the same rows on the same
start state, however the threads run. What members do is in `activity`, one function each; how
often they do it, in its `plan`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event

import pymysql

from smug_platform.errors import SourceError
from smug_platform.local.activity.plan import Plan
from smug_platform.local.activity.world import Town, read_town
from smug_platform.local.activity.writer import Writer
from smug_platform.local.mariadb import DATABASE, connect, declared_columns, source_error
from smug_platform.settings import Shard


@dataclass(frozen=True)
class WorkloadResult:
    """What a workload did. counts: by kind of activity; rows: row changes as the binlog has them;
    days: the first and the last moment of the workload's own clock.
    """

    counts: Mapping[str, int]
    rows: int
    seconds: float
    days: tuple[datetime, datetime]


def run_workload(
    shards: Sequence[Shard],
    *,
    seed: int,
    changes: int | None,
    rate: float | None = None,
    progress: Callable[[int], None] | None = None,
    evolve: bool = True,
    stop: Event | None = None,
    start: datetime | None = None,
) -> WorkloadResult:
    """Write at least `changes` row changes to the shards, or go on until `stop` is set.

    rate: row changes a second, as fast as it goes when None. progress: called with the rows
    written so far. evolve: one ALTER TABLE photos ADD COLUMN a shard. start: the first day, by
    default 2024-01-01, or the day after the latest time that the shards hold.

    Raises SourceError when a shard can't be reached, lacks the schema or refuses a statement.
    """
    began = time.monotonic()
    plan = Plan.of(_read_towns(shards), seed=seed, changes=changes, rate=rate, start=start)
    plan.set_milestones(evolve=evolve)
    first = plan.clock.now
    rows = _write(plan, shards, rate=rate, progress=progress or _unseen, stop=stop or Event())
    return WorkloadResult(
        dict(sorted(plan.kinds.items())), rows, time.monotonic() - began, (first, plan.clock.now)
    )


def _write(
    plan: Plan,
    shards: Sequence[Shard],
    *,
    rate: float | None,
    progress: Callable[[int], None],
    stop: Event,
) -> int:
    began, failed = time.monotonic(), Event()
    writers = [Writer(shard, failed=failed) for shard in shards]
    try:
        while not (stop.is_set() or failed.is_set() or plan.done):
            plan.step(writers, failed)
            progress(sum(writer.rows for writer in writers))
            if rate:
                stop.wait(max(0.0, plan.rows / rate - (time.monotonic() - began)))
    finally:
        _finish(writers, failed)
    rows = sum(writer.rows for writer in writers)
    progress(rows)
    return rows


def _unseen(_: int) -> None:
    """Progress that nobody watches."""


def _finish(writers: Sequence[Writer], failed: Event) -> None:
    for writer in writers:
        writer.join()
    faults = [writer.fault for writer in writers if writer.fault]
    if faults:
        raise faults[0]
    if failed.is_set():
        raise SourceError("the workload was given up", remedy="run it again")


def _read_towns(shards: Sequence[Shard]) -> list[Town]:
    towns: list[Town] = []
    for index, shard in enumerate(shards):
        seen = {account.id for town in towns for account in town.accounts}
        try:
            with connect(shard, database=DATABASE) as cursor:
                towns.append(
                    read_town(
                        index, cursor, base_columns=declared_columns("photos"), elsewhere=seen
                    )
                )
        except pymysql.MySQLError as fault:
            raise source_error(shard, fault) from None
    return towns
