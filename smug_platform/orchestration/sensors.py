"""The sensors: one that sees what is behind and asks for it, one that tells of failures.

Kinesis can't call anybody, and the daemon ticks no oftener than every 5 s. So a tick stays up and
polls: it waits for a run in flight to end, then for arrivals, and asks the moment there is
something to ask for. There is no run key: what a dropped run left behind is asked for again. Where
the stream does not answer, what has landed already goes on.
"""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from smug_platform.bi.assets import PAGE
from smug_platform.errors import StreamError
from smug_platform.lake.checks import lake_key
from smug_platform.orchestration.behind import (
    STAGES,
    Asked,
    Behind,
    Plan,
    arriving,
    behind,
    has_arrivals,
    plan,
)
from smug_platform.orchestration.jobs import DRAIN, LIVE, MAX_SECONDS, Job
from smug_platform.raw.assets import DELTAS
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.stream.resources import Stream
from smug_platform.sync import Platform
from smug_platform.tables.table import Source
from smug_platform.warehouse.assets import replica_key
from smug_platform.warehouse.builds import to_build, versions
from smug_platform.warehouse.model_assets import model_graph, node_key
from smug_platform.warehouse.open import is_there, open_warehouse

LONG_POLL_SECONDS = 4.5
_POLL_SECONDS = 0.25
_QUIET_SECONDS = 600  # a quiet stream is looked at by a run this often: freshness needs a sign
_RUSH_SECONDS = 30  # arrivals so soon after a run: one that stays up serves them better
_UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def sensors(settings: Settings, jobs: Sequence[Job]) -> list[dg.SensorDefinition]:
    """Both sensors; stopped where tests run. jobs: those that arrivals may start."""
    is_test = settings.env == "test"
    status = dg.DefaultSensorStatus.STOPPED if is_test else dg.DefaultSensorStatus.RUNNING
    return [_arrivals(status, jobs), _failures(status)]


def _arrivals(status: dg.DefaultSensorStatus, jobs: Sequence[Job]) -> dg.SensorDefinition:
    @dg.sensor(
        name="kinesis_arrivals",
        jobs=jobs,
        minimum_interval_seconds=1,
        default_status=status,
        description=(
            "Asks for what is behind, from the stream to the dashboard page: a live run of just "
            "that, or a drain run while changes keep coming."
        ),
    )
    def kinesis_arrivals(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        source: dg.ResourceParam[Source],
        stream: dg.ResourceParam[Stream],
        lakehouse: dg.ResourceParam[Lakehouse],
    ) -> dg.SensorResult | dg.SkipReason:
        return tick(context, Platform(settings, source, stream=stream, lakehouse=lakehouse))

    return kinesis_arrivals


@dataclass(frozen=True)
class _Coming:
    """What the stream holds: whether anything, for which lake tables, or why it can't be told."""

    arrived: bool = False
    lake_tables: Sequence[str] = ()
    problem: str = ""


def _look(platform: Platform) -> _Coming:
    """A stream that does not answer must not stop what is behind in the stages after it."""
    try:
        if not has_arrivals(platform):
            return _Coming()
        tables = arriving(platform)
    except StreamError as error:
        return _Coming(problem=str(error))
    names = [target.name for target in platform.targets if target.table.name in tables]
    return _Coming(arrived=True, lake_tables=names)


def tick(
    context: dg.SensorEvaluationContext, platform: Platform, *, patience: float = LONG_POLL_SECONDS
) -> dg.SensorResult | dg.SkipReason:
    """One look, of at most about `patience` seconds."""
    until = time.monotonic() + patience
    while run := _in_flight(context.instance):
        if time.monotonic() > until:
            return dg.SkipReason(f"run {run} is under way")
        time.sleep(_POLL_SECONDS)
    waiting, asked = behind(platform), Asked.from_json(context.cursor)
    quiet = _seconds_since_landing(context.instance) > _QUIET_SECONDS
    coming = _look(platform)
    while not (coming.arrived or quiet or any(plan(waiting, asked, now=time.time()))):
        if time.monotonic() > until:
            return dg.SkipReason(_why_not(waiting, coming))
        time.sleep(_POLL_SECONDS)
        coming = _look(platform)
    land = (coming.arrived or quiet) and not coming.problem
    plans = plan(waiting, asked, arrivals=coming.lake_tables, land=land, now=time.time())
    if not any(plans):
        return dg.SkipReason(_why_not(waiting, coming))
    if coming.arrived and _is_for_drain(context.instance, platform.settings, waiting, asked):
        requests = [dg.RunRequest(job_name=DRAIN)]
    else:
        requests = [_live_request(context, platform.settings, each) for each in plans if each]
    asked = asked.after(waiting.items, _items(waiting, plans), time.time())
    return dg.SensorResult(run_requests=requests, cursor=asked.to_json())


def _items(waiting: Behind, plans: tuple[Plan, Plan]) -> list[str]:
    """Those of the waiting items that the plans ask for."""
    wanted = {
        f"{stage}:{table}" for each in plans for stage in STAGES for table in getattr(each, stage)
    }
    pages = {f"page:{name}" for name in waiting.page if any(each.page for each in plans)}
    return sorted(wanted & waiting.items.keys() | pages)


def _live_request(
    context: dg.SensorEvaluationContext, settings: Settings, wanted: Plan
) -> dg.RunRequest:
    assert context.repository_def is not None
    graph = context.repository_def.asset_graph
    keys = {
        *([DELTAS] if wanted.land else []),
        *(lake_key(table) for table in wanted.merge),
        *(replica_key(table) for table in wanted.load),
        *_models(settings, wanted.build),
        *([PAGE] if wanted.page else []),
    } & graph.materializable_asset_keys
    # A check costs three events of 20 ms and more; those of the models are for the hourly sweep.
    merges = {key for key in keys if key == DELTAS or key.path[0] == "lake"}
    live = context.repository_def.get_job(LIVE).asset_layer.asset_graph
    checks = [check for check in live.asset_check_keys if check.asset_key in merges]
    return dg.RunRequest(
        job_name=LIVE, asset_selection=sorted(keys), asset_check_keys=sorted(checks)
    )


def _models(settings: Settings, tables: Collection[str]) -> list[dg.AssetKey]:
    """The models that these replicas put behind."""
    if not tables:
        return []
    dbt = model_graph(settings)
    known = {}
    if is_there(settings):
        with open_warehouse(settings, read_only=True) as warehouse:
            known = versions(warehouse)
    return [node_key(dbt, one) for one in to_build(dbt, tables, known)]


def _in_flight(instance: dg.DagsterInstance) -> str | None:
    """A run of the live or drain job that is under way; one that hangs does not count."""
    since = datetime.now(UTC) - timedelta(seconds=MAX_SECONDS)
    for job in (LIVE, DRAIN):
        filters = dg.RunsFilter(job_name=job, statuses=_UNDER_WAY, updated_after=since)
        for record in instance.get_run_records(filters, limit=1):
            return record.dagster_run.run_id[:8]
    return None


def _is_for_drain(
    instance: dg.DagsterInstance, settings: Settings, waiting: Behind, asked: Asked
) -> bool:
    """Whether to drain: by setting, or where that says `auto` because changes keep coming.

    Not while a table is stuck: only a live run can leave one aside.
    """
    if settings.drain == "off" or waiting.items.keys() - asked.fresh(waiting.items):
        return False
    if settings.drain == "on":
        return True
    since = datetime.now(UTC) - timedelta(seconds=_RUSH_SECONDS)
    recent = [dg.RunsFilter(job_name=job, updated_after=since) for job in (LIVE, DRAIN)]
    return any(instance.get_run_records(each, limit=1) for each in recent)


def _seconds_since_landing(instance: dg.DagsterInstance) -> float:
    event = instance.get_latest_materialization_event(DELTAS)
    return time.time() - event.timestamp if event else float("inf")


def _why_not(waiting: Behind, coming: _Coming) -> str:
    stuck = ", ".join(sorted(waiting.items))
    tried = f"tried in vain, waiting: {stuck}" if stuck else ""
    return "; ".join(filter(None, (coming.problem, waiting.note or tried))) or "nothing is behind"


def _failures(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="failures",
        default_status=status,
        minimum_interval_seconds=5,
        description="Tells of each run that failed: an error in the log, a line in alerts.jsonl.",
    )
    def failures(context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]) -> None:
        run, message = context.dagster_run, context.failure_event.message or ""
        context.log.error(f"run {run.run_id} of {run.job_name} failed: {message}")
        failed = [event for event in context.get_step_failure_events() if event.step_key]
        alert = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "run_id": run.run_id,
            "job": run.job_name,
            "message": message,
            "steps": {event.step_key: _reason(event) for event in failed},
        }
        settings.home.mkdir(parents=True, exist_ok=True)
        with (settings.home / "alerts.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(alert) + "\n")

    return failures


def _reason(event: dg.DagsterEvent) -> str:
    """The one line of a failed step."""
    failure = event.step_failure_data
    described = failure.user_failure_data and failure.user_failure_data.description
    return described or failure.error_display_string.strip().splitlines()[0]
