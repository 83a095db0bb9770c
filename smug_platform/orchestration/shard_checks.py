"""Checks of each source shard by the hour: what capture published is in raw, capture is alive, and
the source keeps the binlog that it needs next.

The commits of raw alone can't show the first two: their positions rise whatever is lost in between,
and a shard that sends nothing looks like a quiet one. So raw is compared with what capture itself
says in its store. Where that is on another machine, only the age of what landed can be told.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import dagster as dg
import pyarrow.compute as pc
from pyiceberg.table import Table as Iceberg

from smug_platform.capture import server
from smug_platform.capture.assets import shard_key
from smug_platform.capture.resources import open_store
from smug_platform.capture.retention import SHORT, Gauge, read_gauge
from smug_platform.capture.state import State
from smug_platform.capture.status import Status
from smug_platform.errors import SmugError
from smug_platform.raw.deltas import delta_files, open_deltas, read_columns
from smug_platform.raw.land import source_positions, stream_positions
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings, Shard

LANDED, ALIVE, KEPT = "published_is_landed", "capture_is_alive", "binlog_is_kept"
SILENCE_SECONDS = 60.0  # capture writes its status once a second while it runs
LATE_SECONDS = 900.0  # behind the source, by capture's own account
QUIET_SECONDS = 3600.0  # without a landed change, where capture itself can't be asked
_FILES = 500  # of raw, newest first: what is looked at for the newest change of a shard
_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
_SPECS = {
    LANDED: "The last change that capture says it published is in raw, once raw has read so far.",
    ALIVE: "Capture gave a sign of life just now and is not late; or, where it runs on another"
    " machine, a change has landed within the hour.",
    KEPT: "The source keeps the binlog that capture needs next for a quarter of its usual time or"
    " longer. An error once it may be purged at any moment, or is.",
}


def shard_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Three checks a source shard."""
    shards = {shard_key(shard.name): shard for shard in settings.shards}

    @dg.multi_asset_check(
        name="capture_by_the_hour",
        specs=[
            dg.AssetCheckSpec(check, asset=key, description=text)
            for key in shards
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
        for key, shard in shards.items():
            for result in check_shard(settings, lakehouse, shard):
                if dg.AssetCheckKey(key, result.check_name or "") in asked:
                    yield result

    return capture_by_the_hour


def check_shard(
    settings: Settings, lakehouse: Lakehouse, shard: Shard
) -> Iterator[dg.AssetCheckResult]:
    """The results of the checks of one shard."""
    store, name = open_store(settings), shard.name
    try:
        state = store.state(name)  # before raw: what is published meanwhile is not asked for
    except SmugError as error:
        yield _result(name, LANDED, passed=False, why=str(error))
        yield _result(name, KEPT, passed=False, why=str(error))
    else:
        yield published_is_landed(name, state, open_deltas(lakehouse.catalog))
        yield binlog_is_kept(shard, state, time.time())
    status = store.status(name)
    yield (
        capture_is_alive(status, time.time())
        if status
        else lately_landed(name, open_deltas(lakehouse.catalog), datetime.now(UTC))
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
        return _result(shard, LANDED, passed=True, why=why, metadata=told)
    passed = landed is not None and landed >= published.position
    why = "" if passed else "raw has read all that was published and lacks the last change"
    return _result(shard, LANDED, passed=passed, why=why, metadata=told)


def binlog_is_kept(shard: Shard, state: State | None, now: float) -> dg.AssetCheckResult:
    """Whether the source will still have the binlog that is needed next. now: seconds since 1970.

    A source that can't be asked is a warning: `capture_is_alive` says more of it.
    """
    try:
        with server.connect(shard) as connection:
            gauge = read_gauge(connection, state, now=now)
    except SmugError as error:
        return _result(shard.name, KEPT, passed=False, why=str(error), severity=_WARN)
    if gauge is None:
        return _result(shard.name, KEPT, passed=True, why="skipped: no state of capture is here")
    told = {"binlog": gauge.file, "kept_seconds": gauge.kept, "left_seconds": gauge.left}
    return _result(
        shard.name,
        KEPT,
        passed=gauge.share >= SHORT,
        why=_ending(gauge),
        severity=_WARN if gauge.share else _ERROR,
        metadata={name: value for name, value in told.items() if value is not None},
    )


def _ending(gauge: Gauge) -> str:
    """What is to be said of a gauge.

    >>> _ending(Gauge("binlog.000007", kept=7200.0, left=0.0)).partition(":")[0]
    'binlog.000007 may be purged at any moment'
    """
    if gauge.is_purged:
        return f"{gauge.file} is purged: at its next start capture reads this shard anew"
    if gauge.share >= SHORT:
        return ""
    when = f"in {gauge.left / 3600:,.1f} h" if gauge.left else "at any moment"
    return (
        f"{gauge.file} may be purged {when}: see that capture runs, or raise"
        " binlog_expire_logs_seconds, which counts at once"
    )


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
        metadata={
            "phase": status.phase,
            "seconds_silent": round(silent, 1),
            "lag_seconds": status.lag,
        },
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
        severity=_WARN,
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
    shard: str,
    check: str,
    *,
    passed: bool,
    why: str,
    severity: dg.AssetCheckSeverity = _ERROR,
    metadata: Mapping[str, str | float] | None = None,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=shard_key(shard),
        check_name=check,
        passed=passed,
        severity=severity,
        description=why or None,
        metadata=metadata,
    )
