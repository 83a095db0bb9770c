"""One pass over the whole way: land, merge, load, build. No orchestrator is needed for it.

Whatever a stage finds to do it computes from the positions that the stages before and after it
have committed, so a pass that was killed anywhere is simply followed by another. A table that
fails stands still; the others go on.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar

from smug_platform.errors import SmugError
from smug_platform.lake.merge import merge, pending
from smug_platform.lake.merged import Merged
from smug_platform.lake.target import Target, targets
from smug_platform.raw.backlog import BATCHES, ahead, land_backlog
from smug_platform.raw.land import Landed
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.stream.resources import Stream
from smug_platform.tables.table import Source
from smug_platform.warehouse.builds import LEAN, rebuild, to_build, unbuilt, versions
from smug_platform.warehouse.dbt import DbtResult, NodeResult, prepare_manifest
from smug_platform.warehouse.load import Loaded
from smug_platform.warehouse.models import read_graph
from smug_platform.warehouse.open import open_warehouse, refresh_all, unloaded

Progress = Callable[[Landed | Merged | Loaded | NodeResult], None]
_Result = TypeVar("_Result", Landed, Merged, Loaded)


@dataclass(frozen=True)
class Synced:
    """What one pass did, stage by stage, and what it cost.

    built: None when there was nothing to build. problems: what kept a table from going on.
    seconds: by stage: land (as far as merges waited for it), merge, load, build.
    """

    landed: tuple[Landed, ...] = ()
    merged: tuple[Merged, ...] = ()
    loaded: tuple[Loaded, ...] = ()
    built: DbtResult | None = None
    problems: tuple[SmugError, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def moved(self) -> bool:
        """Whether anything was committed anywhere."""
        landed = any(landed.deltas or landed.quarantined for landed in self.landed)
        merged = any(merged.commits for merged in self.merged)
        return landed or merged or bool(self.loaded) or self.built is not None

    def __add__(self, other: "Synced") -> "Synced":
        return Synced(
            self.landed + other.landed,
            self.merged + other.merged,
            self.loaded + other.loaded,
            other.built or self.built,
            self.problems + other.problems,
            self.seconds | other.seconds,
        )

    def require_success(self) -> None:
        """Raises the first problem, when there was one."""
        if self.problems:
            raise self.problems[0]


class Platform:
    """The way from the stream to the marts in one environment.

    stream, lakehouse: the edges; those of the settings unless given.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        *,
        stream: Stream | None = None,
        lakehouse: Lakehouse | None = None,
    ) -> None:
        self.settings = settings
        self.targets = targets(source)
        self.stream = stream or Stream(settings)
        self.lakehouse = lakehouse or Lakehouse(settings)

    def land(self, *, batches: int = BATCHES) -> Iterator[Landed]:
        """Land what the stream holds, to its tip or for so many micro-batches."""
        return land_backlog(self.lakehouse.catalog, self.stream.reader, batches=batches)

    def unmerged(self) -> tuple[Target, ...]:
        """The lake tables that landed deltas wait for."""
        waiting = pending(self.lakehouse.catalog, self.targets)
        return tuple(target for target in self.targets if target.name in waiting)

    def merge(self, target: Target) -> Merged:
        """Merge what has landed for one lake table."""
        return merge(self.lakehouse.catalog, target)

    def load(self) -> "Iterator[Loaded | SmugError]":
        """Load what changed in the lake since the warehouse's snapshots; a table's problem is
        yielded in its place.
        """
        catalog = self.lakehouse.catalog
        with open_warehouse(self.settings) as warehouse:
            behind = unloaded(catalog, warehouse, self.targets)
            waiting = [target for target in self.targets if target.name in behind]
            for _, result in refresh_all(warehouse, catalog, waiting):
                if result is not None:
                    yield result

    def build(
        self, *, tests: bool = True, on_node: Callable[[NodeResult], None] | None = None
    ) -> DbtResult | None:
        """Build the models that what was loaded since their last build has put behind.

        tests: also run the data tests of those.
        """
        with open_warehouse(self.settings) as warehouse:
            tables, known = unbuilt(warehouse), versions(warehouse)
        if not tables:
            return None
        graph = read_graph(prepare_manifest(self.settings))
        chosen = sorted(graph.models[one].name for one in to_build(graph, tables, known))
        arguments = () if tests else LEAN
        return rebuild(self.settings, select=chosen, arguments=arguments, on_node=on_node)


def sync(
    platform: Platform, *, batches: int = BATCHES, progress: Progress = lambda _: None
) -> Synced:
    """One pass over the whole way: `ingest`, then `publish`.

    batches: micro-batches to land at most. progress: is called with each stage's results as they
    come. Raises StreamError, LakeError or WarehouseError when a whole stage can't run; what
    concerns one table is among the result's problems.
    """
    first = ingest(platform, batches=batches, progress=progress)
    return first + publish(platform, progress=progress)


def ingest(
    platform: Platform,
    *,
    batches: int = BATCHES,
    progress: Progress = lambda _: None,
    between: Callable[[Sequence[Merged]], None] = lambda _: None,
) -> Synced:
    """The first half of a pass: from the stream to the lake.

    What has landed is merged while the next micro-batch lands. between: is called with what the
    merges after a landing did; a table that has failed is not tried again in this pass.
    """
    clock = _Clock()
    problems: dict[str, SmugError] = {}
    landings: list[Landed] = []
    merges: dict[str, Merged] = {}
    with closing(ahead(platform.land(batches=batches))) as coming:
        for landed in coming:
            landings.append(_tell(progress, landed))
            clock.lap("land")
            merged = _merge_all(platform, progress, problems)
            between(merged)
            for one in merged:
                merges[one.table] = merges[one.table] + one if one.table in merges else one
            clock.lap("merge")
    return Synced(
        tuple(landings),
        tuple(merges.values()),
        problems=tuple(problems.values()),
        seconds=clock.seconds,
    )


def _merge_all(
    platform: Platform, progress: Progress, problems: dict[str, SmugError]
) -> list[Merged]:
    """Merge what waits, but for tables with a problem; notes those that meet one."""
    merged = []
    for target in platform.unmerged():
        if target.name in problems:
            continue
        try:
            merged.append(_tell(progress, platform.merge(target)))
        except SmugError as problem:
            problems[target.name] = problem
    return merged


def publish(
    platform: Platform, *, tests: bool = True, progress: Progress = lambda _: None
) -> Synced:
    """The second half: from the lake to the marts.

    tests: also run dbt's data tests of what is built.
    """
    clock = _Clock()
    problems: list[SmugError] = []
    loaded = []
    for each in platform.load():
        if isinstance(each, SmugError):
            problems.append(each)
        else:
            loaded.append(_tell(progress, each))
    clock.lap("load")
    built = platform.build(tests=tests, on_node=progress)
    problems += _failures(built)
    clock.lap("build")
    return Synced((), (), tuple(loaded), built, tuple(problems), clock.seconds)


def _failures(built: DbtResult | None) -> list[SmugError]:
    try:
        if built:
            built.require_success()
    except SmugError as problem:
        return [problem]
    return []


def _tell(progress: Progress, result: _Result) -> _Result:
    progress(result)
    return result


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """The stage took from the last lap until now."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
