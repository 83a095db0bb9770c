"""What Dagster loads, assembled for the environment that SMUG_ENV names.

Loading it touches no server; dbt's manifest is parsed when it is missing or older than the project.
What can't run in an environment is not registered there: the loader, the dashboard page and the
reconciliation need DuckDB, so where Redshift is the warehouse (staging, prod) the replicas and the
page are external assets and that check is absent.
"""

from collections.abc import Mapping

import dagster as dg

from smug_platform.orchestration.checks import slow_checks
from smug_platform.orchestration.jobs import jobs, schedules
from smug_platform.orchestration.resources import resources as of_environment
from smug_platform.orchestration.sensors import sensors
from smug_platform.orchestration.way import way
from smug_platform.settings import Settings, load_settings
from smug_platform.tables.flickr import FLICKR


def build_defs(
    settings: Settings, *, resources: Mapping[str, object] | None = None
) -> dg.Definitions:
    """All definitions of an environment; resources: take the place of its own of those names."""
    given = {**of_environment(settings, FLICKR), **(resources or {})}
    checks = slow_checks(settings, FLICKR)
    live, drain, *others = jobs(checks, given)
    return dg.Definitions(
        assets=way(settings, FLICKR),
        asset_checks=checks,
        jobs=[live, drain, *others],
        schedules=schedules(settings),
        sensors=sensors(settings, [live, drain]),
        resources=given,
        executor=dg.in_process_executor,
    )


defs = build_defs(load_settings())
