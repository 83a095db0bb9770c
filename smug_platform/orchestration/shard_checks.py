"""Checks of each source shard by the hour: what capture published is in raw, and capture is alive.

The commits of raw alone can't show either: their positions rise whatever is lost in between, and a
shard that sends nothing looks like a quiet one. So raw is compared with what capture itself says
in its folder. Where that is on another machine, only the age of what landed can be told.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pyarrow.compute as pc
from pyiceberg.table import Table as Iceberg

from smug_platform.capture.assets import shard_key
from smug_platform.capture.resources import open_store
from smug_platform.capture.state import State
from smug_platform.capture.status import Status
from smug_platform.errors import SmugError
from smug_platform.raw.deltas import delta_files, open_deltas, read_columns
from smug_platform.raw.land import source_positions, stream_positions
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings

LANDED, ALIVE = "published_is_landed", "capture_is_alive"
SILENCE_SECONDS = 60.0  # capture writes its status once a second while it runs
LATE_SECONDS = 900.0  # behind the source, by capture's own account
QUIET_SECONDS = 3600.0  # without a landed change, where capture itself can't be asked
_FILES = 500  # of raw, newest first: what is looked at for the newest change of a shard
_SPECS = {
    LANDED: "The last change that capture says it published is in raw, once raw has read so far.",
    ALIVE: "Capture gave a sign of life just now and is not late; or, where it runs on another"
    " machine, a change has landed within the hour.",
}


def shard_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Two checks a source shard."""
    names = {shard_key(shard.name): shard.name for shard in settings.shards}

    @dg.multi_asset_check(
        name="capture_by_the_hour",
        specs=[
            dg.AssetCheckSpec(check, asset=key, description=text)
            for key in names
            for check, text in _SPECS.items()
        ],
        can_subset=True,
    )
    def capture_by_the_hour(
        context: dg.AssetCheckExecutionContext,
        settings: dg.ResourceParam[Settings],
        lakehouse: dg.ResourceParam[Lakehouse],
    ) -> Iterator[dg.AssetCheckResult]:
        asked = context.selected_asset_check_keys
        for key, name in names.items():
            for result in check_shard(settings, lakehouse, name):
                if dg.AssetCheckKey(key, result.check_name or "") in asked:
                    yield result

    return capture_by_the_hour


def check_shard(
    settings: Settings, lakehouse: Lakehouse, shard: str
) -> Iterator[dg.AssetCheckResult]:
    """The results of both checks of one shard."""
    store = open_store(settings)
    try:
        state = store.state(shard)  # before raw: what is published meanwhile is not asked for
    except SmugError as error:
        yield _result(shard, LANDED, passed=False, why=str(error))
    else:
        yield published_is_landed(shard, state, open_deltas(lakehouse.catalog))
    status = store.status(shard)
    yield (
        capture_is_alive(status, time.time())
        if status
        else lately_landed(shard, open_deltas(lakehouse.catalog), datetime.now(UTC))
    )


def published_is_landed(shard: str, state: State | None, deltas: Iceberg) -> dg.AssetCheckResult:
    """Whether raw has what capture published, where raw has read the stream that far."""
    published = state.published if state else None
    if published is None:
        return _result(shard, LANDED, passed=True, why="skipped: no state of capture is here")
    read = stream_positions(deltas)
    landed = source_positions(deltas).get(shard)
    told = {"published": str(published.position), "landed": str(landed)}
    if not (read and read.covers(published.incarnation, published.sequences)):
        same = read is not None and read.incarnation == published.incarnation
        why = "on its way" if same else "not yet read: raw stands in another stream"
        return _result(shard, LANDED, passed=True, why=why, **told)
    passed = landed is not None and landed >= published.position
    why = "" if passed else "raw has read all that was published and lacks the last change"
    return _result(shard, LANDED, passed=passed, why=why, **told)


def capture_is_alive(status: Status, now: float) -> dg.AssetCheckResult:
    """By what capture itself wrote down. now: seconds since 1970."""
    silent = max(now - status.updated_at, 0.0)
    is_silent, is_late = silent > SILENCE_SECONDS, status.lag > LATE_SECONDS
    why = f"no sign of capture for {silent:,.0f} s" if is_silent else ""
    if not is_silent and is_late:
        why = f"{status.lag:,.0f} s behind the source"
    return _result(
        status.shard,
        ALIVE,
        passed=not (is_silent or is_late),
        why="; ".join(filter(None, (why, status.note))),
        phase=status.phase,
        seconds_silent=round(silent, 1),
        lag_seconds=status.lag,
    )


def lately_landed(shard: str, deltas: Iceberg, now: datetime) -> dg.AssetCheckResult:
    """By the age of the newest change in raw: a warning only, for a shard may be quiet."""
    newest = _newest(shard, deltas)
    age = (now - newest).total_seconds() if newest else None
    passed = age is not None and age <= QUIET_SECONDS
    since = "ever" if age is None else f"for {age:,.0f} s"
    return dg.AssetCheckResult(
        asset_key=shard_key(shard),
        check_name=ALIVE,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=None if passed else f"no change has landed {since}",
        metadata={"newest_change": str(newest)},
    )


def _newest(shard: str, deltas: Iceberg) -> datetime | None:
    """When the source committed the newest change of a shard among the files landed last."""
    for file in list(delta_files(deltas))[: -_FILES - 1 : -1]:
        rows = read_columns(deltas, file, ["shard", "committed_at"])
        mine = rows.filter(pc.equal(rows["shard"], shard))
        if mine.num_rows:
            newest: datetime = pc.max(mine["committed_at"]).as_py()
            return newest
    return None


def _result(
    shard: str, check: str, *, passed: bool, why: str, **metadata: str | float
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=shard_key(shard),
        check_name=check,
        passed=passed,
        description=why or None,
        metadata=metadata,
    )
