"""DAGSTER_HOME of an environment: the instance's configuration, and its databases made once.

Two processes that start on a fresh home at once both migrate it, and one of them then hangs; so it
is initialised here, before anything is started: by `smug dev`, and for whoever starts Dagster's
daemon and webserver themselves, as on AWS, by

    export DAGSTER_HOME=$(python -m smug_platform.orchestration.dagster_home)
"""

import os
import sys
from pathlib import Path

import dagster as dg

from smug_platform.settings import Settings, load_settings

# A queue would add 4 s to each run: its loop and the sensor's are in step. On AWS it is kept, for
# limits across runs, with a loop of 1 s.
_LOCAL = """\
telemetry: {enabled: false}
nux: {enabled: false}
freshness: {enabled: true}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
sensors: {use_threads: true, num_workers: 4}
concurrency: {pools: {default_limit: 1, granularity: op}}
run_monitoring: {enabled: true, start_timeout_seconds: 120, poll_interval_seconds: 30}
retention:
  sensor: {purge_after_days: {skipped: 1, success: 3, failure: 14}}
  schedule: {purge_after_days: 7}
"""
_AWS = _LOCAL.replace(
    "{module: dagster._core.run_coordinator, class: DefaultRunCoordinator}",
    "\n  module: dagster._core.run_coordinator\n  class: QueuedRunCoordinator\n"
    "  config: {dequeue_interval_seconds: 1}",
)


def dagster_yaml(settings: Settings) -> str:
    """The content of dagster.yaml."""
    return _LOCAL if settings.is_local else _AWS


def prepare_dagster_home(settings: Settings) -> Path:
    """The folder for DAGSTER_HOME, absolute, with its configuration and its databases.

    A dagster.yaml that is there already is left as it is.
    """
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        scratch = config.with_suffix(f".{os.getpid()}")
        scratch.write_text(dagster_yaml(settings), encoding="utf-8")
        scratch.replace(config)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()
        instance.event_log_storage.get_maximum_record_id()
        instance.all_instigator_state()
    return home


if __name__ == "__main__":
    sys.stdout.write(f"{prepare_dagster_home(load_settings())}\n")
