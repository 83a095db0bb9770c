"""dbt in this process: for the command line and for Dagster's steps alike, knowing neither.

The project is parsed once a process and again only when a file of it changed; a build then costs
what its models cost. dbt keeps state that is global to the process, so builds go one by one. While
one runs, this process holds the warehouse; afterwards every handle is closed, so that others can
open the file.
"""

import atexit
import gc
import importlib.metadata
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from smug_platform.errors import WarehouseError
from smug_platform.settings import PROJECT, Settings
from smug_platform.warehouse.artifacts import as_artifact, keep, read_by_dbt, version_of
from smug_platform.warehouse.connect import WAIT_SECONDS, connect

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

PROJECT_DIR = PROJECT / "dbt_project"
NO_JSON = "--no-write-json"
"""An argument of a build that leaves dbt's artifacts as they are: it is done sooner."""

_NODE_EVENTS = frozenset(
    {
        "LogModelResult",
        "LogTestResult",
        "LogSeedResult",
        "LogSnapshotResult",
        "LogNodeResult",
        "LogNodeNoOpResult",
    }
)
_FAILED = frozenset({"error", "fail", "runtime error", "partial success"})
_LOCK = threading.RLock()
_PARSED: "dict[tuple[str, str], tuple[float, Manifest]]" = {}


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one model or test.

    status: success, pass, warn, fail, error or skipped; seconds: of its execution; event: dbt's
    event as dbt's JSON log has it, None in the results of a whole build.
    """

    unique_id: str
    status: str
    seconds: float
    message: str = ""
    event: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """
        >>> NodeResult("model.smug.dim_photos", "success", 0.1).name
        'dim_photos'
        """
        return self.unique_id.split(".")[2]


@dataclass(frozen=True, slots=True)
class DbtResult:
    """What a build did: a result for each node that it selected. kept: where dbt's own are."""

    nodes: tuple[NodeResult, ...]
    seconds: float
    kept: str | None = None

    @property
    def failed(self) -> tuple[NodeResult, ...]:
        """The nodes that failed; those that were skipped for them are not among them."""
        return tuple(node for node in self.nodes if node.status in _FAILED)

    def require_success(self) -> None:
        """Raises WarehouseError, naming the first failures, when a node failed.

        >>> node = NodeResult("test.smug.unique_x.1", "fail", 0.1, "Got 2 results")
        >>> DbtResult((node,), 1.0).require_success()
        Traceback (most recent call last):
        smug_platform.errors.WarehouseError: dbt: 1 of 1 nodes failed: unique_x: Got 2 results: \
run `dbt build --select unique_x` in dbt_project to see it whole
        """
        if self.failed:
            shown = "; ".join(f"{node.name}: {_line(node.message)}" for node in self.failed[:5])
            raise WarehouseError(
                f"dbt: {len(self.failed)} of {len(self.nodes)} nodes failed: {shown}",
                remedy=f"run `dbt build --select {self.failed[0].name}` in dbt_project "
                "to see it whole",
            )


def target_path(settings: Settings) -> Path:
    """The folder of dbt's artifacts for this environment, apart from those of plain `dbt`."""
    return settings.home / "dbt" / settings.dbt_target


def manifest_path(settings: Settings) -> Path:
    """The manifest that `prepare_manifest` writes, whole or not at all.

    It stands beside dbt's own, which dbt writes in place at a build: whoever reads that one
    meanwhile reads half of it.
    """
    return target_path(settings) / "parsed" / "manifest.json"


def manifest_is_stale(settings: Settings) -> bool:
    """True when there is no manifest, or it is older than the project or from another dbt."""
    path = manifest_path(settings)
    if not path.exists() or path.stat().st_mtime < _newest():
        return True
    with path.open(encoding="utf-8") as file:
        head = file.read(1000)
    return f'"dbt_version": "{importlib.metadata.version("dbt-core")}"' not in head


def prepare_manifest(settings: Settings) -> Path:
    """The manifest, parsed anew only when it is stale; raises WarehouseError."""
    if manifest_is_stale(settings):
        _parse(settings)
    return manifest_path(settings)


def build(
    settings: Settings,
    *,
    select: Sequence[str] | None = None,
    unit_tests: bool = False,
    on_node: Callable[[NodeResult], None] | None = None,
    arguments: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    wait: float = WAIT_SECONDS,
) -> DbtResult:
    """Runs `dbt build` on the environment's target; returns a result for each node.

    select: dbt selectors, all when None. A selected build leaves out tests that need models
        outside of it. unit_tests: also run those of the models, which no data changes.
    on_node: called for each finished node, from dbt's threads, one call at a time.
    arguments, variables: more arguments for `dbt build`, and more of its --vars; wait: seconds for
        another process to let go of the warehouse.

    dbt's own results are kept when it writes them or a node failed. A node's failure is in the
    result. Raises WarehouseError when dbt can't run at all: the project does not parse, or the
    warehouse can't be opened.
    """
    started = time.monotonic()
    chosen = ["--select", *select, "--indirect-selection", "buildable"] if select else []
    left_out = ["exposure"] if unit_tests else ["exposure", "unit_test"]
    without = ["--exclude-resource-types", *left_out]
    with _LOCK, _warehouse(settings, wait):
        manifest = _parse(settings)
        command = ["build", *chosen, *without, *arguments]
        outcome = _invoke(settings, command, manifest, _callbacks(on_node), variables or {})
    results = getattr(outcome.result, "results", None)
    if results is None:
        raise _cannot_run(outcome)
    nodes = tuple(
        NodeResult(r.node.unique_id, str(r.status), r.execution_time, r.message or "")
        for r in results
    )
    result = DbtResult(nodes, time.monotonic() - started)
    if result.failed or NO_JSON not in arguments:
        return replace(result, kept=_kept(settings, outcome.result))
    return result


def _kept(settings: Settings, results: Any) -> str:
    """Keep dbt's own results; where they are."""
    name, body = as_artifact(results)
    version, manifest = version_of(PROJECT_DIR, _newest()), manifest_path(settings)
    return keep(settings.dbt_artifacts, version, name=name, results=body, manifest=manifest)


def _parse(settings: Settings) -> "Manifest":
    with _LOCK:
        # The manifest names the database, which DuckDB names as its file.
        redshift, file = settings.redshift, settings.warehouse_path
        key = settings.env, redshift.database if redshift else file.stem
        newest = _newest()
        if key not in _PARSED or _PARSED[key][0] < newest:
            outcome = _invoke(settings, ["parse", NO_JSON], None, [])
            if not outcome.success:
                raise _cannot_run(outcome)
            _PARSED[key] = (newest, outcome.result)  # type: ignore[assignment]
            _keep(_PARSED[key][1], manifest_path(settings))
            gc.freeze()  # the project stays, and each build ends with a collection
            atexit.register(gc.unfreeze)  # what is frozen at the end counts as leaked
        elif manifest_is_stale(settings):  # it was parsed for another home
            _keep(_PARSED[key][1], manifest_path(settings))
        return _PARSED[key][1]


def _keep(manifest: "Manifest", path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    manifest.write(str(scratch))  # type: ignore[no-untyped-call]
    scratch.replace(path)


def _invoke(
    settings: Settings,
    command: list[str],
    manifest: "Manifest | None",
    callbacks: list[Callable[[Any], None]],
    variables: Mapping[str, str] = MappingProxyType({}),
) -> "dbtRunnerResult":
    from dbt.cli.main import dbtRunner

    known = {"warehouse_path": str(settings.warehouse_path), "environment": settings.env}
    folder = target_path(settings)
    folder.mkdir(parents=True, exist_ok=True)
    places = {
        "--project-dir": PROJECT_DIR,
        "--profiles-dir": PROJECT_DIR,
        "--target-path": folder,
        "--log-path": folder,
        "--target": settings.dbt_target,
        "--vars": json.dumps({**variables, **known}),
    }
    options = [str(part) for option in places.items() for part in option]
    quiet = ["--log-level", "none", "--log-level-file", "none"]
    return dbtRunner(manifest=manifest, callbacks=callbacks).invoke([*quiet, *command, *options])


def _callbacks(on_node: Callable[[NodeResult], None] | None) -> list[Callable[[Any], None]]:
    if on_node is None:
        return []
    from dbt_common.events.functions import msg_to_dict

    one_by_one = threading.Lock()

    def on_event(message: Any) -> None:
        if message.info.name not in _NODE_EVENTS:
            return
        event = msg_to_dict(message)
        node = event["data"]["node_info"]
        seconds = float(event["data"].get("execution_time", 0.0))
        with one_by_one:
            on_node(
                NodeResult(
                    node["unique_id"], node["node_status"], seconds, event["info"]["msg"], event
                )
            )

    return [on_event]


@contextmanager
def _warehouse(settings: Settings, wait: float) -> Iterator[None]:
    """Holds the warehouse while dbt runs, and lets go of every handle to it afterwards."""
    if settings.warehouse != "duckdb":
        yield
        return
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    with connect(settings, wait=wait):
        try:
            yield
        finally:
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
            gc.collect()


def _cannot_run(outcome: "dbtRunnerResult") -> WarehouseError:
    return WarehouseError(
        f"dbt can't run: {_line(str(outcome.exception))}",
        remedy="put the project right; `cd dbt_project && dbt parse` shows the whole message",
    )


def _line(message: str) -> str:
    """A message of several lines as one."""
    return " ".join(message.split())


def _newest() -> float:
    """When the project last changed; folders count, so that a file that goes counts too."""
    return max(path.stat().st_mtime for path in read_by_dbt(PROJECT_DIR))
