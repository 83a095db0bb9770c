"""The whole way once, on an empty local stack: what `smug demo` does, without how it looks.

A quarter of the changes is written before capture begins, so that the initial snapshot has
something to read. The rest is written while capture runs, and beside it passes over raw, lake and
warehouse. What ends a stage is a position that was reached, never a time that has passed.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from smug_platform.bi.dashboard import write_dashboard
from smug_platform.capture import server
from smug_platform.capture.position import file_number
from smug_platform.capture.resources import open_store
from smug_platform.errors import SmugError
from smug_platform.local import stack
from smug_platform.local.tally import Tally
from smug_platform.local.writing import writing
from smug_platform.oracle.arrival import Cut, Stage, capture_states, uncaptured, unlanded
from smug_platform.oracle.reconcile import Comparison, reconcile
from smug_platform.raw.deltas import open_deltas
from smug_platform.settings import Settings
from smug_platform.sync import Platform, Synced
from smug_platform.tables.table import Source

_BASE_SHARE = 0.25
_CAPTURE_SECONDS = 300.0
# A pass costs a third of a second of processor time a table, however few changes it brings.
_PASS_SECONDS = 5.0
# The data that a stack leaves in its home, and nothing else that may stand there. What dbt has
# parsed stays: it is no data, and parsing takes ten seconds.
_STATE = (
    "mysql", "capture", "lake", "index", "archive", "keys", "certificates", "claims", "realtime",
    "logs", "dagster", "smug.duckdb", "smug.duckdb.wal",
)  # fmt: skip


class Watcher(Protocol):
    """What is told of the demo while it goes on."""

    def say(self, line: str) -> None:
        """Something has happened."""

    def count(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """A stage has come so far."""

    def done(self, stage: str) -> None:
        """A stage is over."""


@dataclass
class Outcome:
    """What the demo did. captured: events published; lags: by stage, how many seconds behind the
    source each commit was while the source was being written to.
    """

    written: int = 0
    captured: int = 0
    tally: Tally = field(default_factory=Tally)
    lags: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    dashboard: Path | None = None

    @property
    def verified(self) -> bool:
        """Whether every table of every shard was compared and is equal."""
        return bool(self.comparisons) and all(one.equal for one in self.comparisons)

    def lag(self, stage: str) -> tuple[float, float] | None:
        """The median and the worst of a stage's seconds behind the source."""
        found = self.lags.get(stage)
        return (statistics.median(found), max(found)) if found else None


def run_demo(
    settings: Settings, source: Source, *, changes: int, seed: int, watcher: Watcher
) -> Outcome:
    """Run it; the stack is left running.

    Raises SettingsError in an environment that is not local, SmugError when a part can't go on.
    """
    settings.require_local()
    return _Demo(settings, source, changes, seed, watcher).run()


def reset(settings: Settings, progress: Callable[[str], None]) -> None:
    """Stop the local stack and remove its data, so that the demo begins with nothing.

    Raises SettingsError in an environment that is not local.
    """
    settings.require_local()
    stack.down(settings, progress=progress)
    for name in _STATE:
        path = settings.home / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


class _Demo:
    def __init__(
        self, settings: Settings, source: Source, changes: int, seed: int, watcher: Watcher
    ) -> None:
        self._settings, self._source = settings, source
        self._changes, self._seed, self._watcher = changes, seed, watcher
        self._outcome = Outcome()
        self._rows = {"raw": 0, "lake": 0, "warehouse": 0}
        self._platform = Platform(settings, source)

    def run(self) -> Outcome:
        """All of it, in order."""
        with self._timed("start"):
            if (self._settings.home / "mysql").exists():
                self._watcher.say(f"removing what an earlier run left in {self._settings.home}")
            reset(self._settings, self._watcher.say)
            stack.up(self._settings, self._source, progress=self._watcher.say, capture=False)
        with self._timed("write"):
            for _ in self._write(round(self._changes * _BASE_SHARE), self._seed, evolve=False):
                pass
        with self._timed("capture"):
            stack.up(self._settings, self._source, progress=self._watcher.say)
            self._await_snapshot()
            self._write_and_follow()
            self._drain()
        for stage in ("captured", "raw", "lake", "warehouse"):
            self._watcher.done(stage)
        with self._timed("build"):
            self._build()
        with self._timed("dashboard"):
            self._outcome.dashboard = write_dashboard(self._settings)
        with self._timed("verify"):
            self._verify()
        return self._outcome

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._outcome.seconds[stage] = time.perf_counter() - began

    def _write(self, changes: int, seed: int, *, evolve: bool) -> Iterator[None]:
        """Write changes; yields while that goes on."""
        before = self._outcome.written
        for rows in writing(self._settings, changes=changes, seed=seed, evolve=evolve):
            self._outcome.written = before + rows
            self._watcher.count("written", before + rows, max(self._changes, before + rows))
            yield

    def _await_snapshot(self) -> None:
        """Follow the initial snapshot until every shard streams from its binlog."""
        while True:
            states = capture_states(self._settings)
            shards = [shard.name for shard in self._settings.shards]
            if all(name in states and states[name].is_whole for name in shards):
                return
            self._require_capture()
            if not self._pass(live=False):
                time.sleep(0.2)

    def _require_capture(self) -> None:
        part = next(p for p in stack.status(self._settings) if p.name == stack.CAPTURE)
        if part.pid is None:
            raise SmugError(
                f"the capture worker has ended: {part.last_words}",
                remedy=f"its log is in {self._settings.home / 'logs'}",
            )

    def _write_and_follow(self) -> None:
        """Write the rest; beside it, pass after pass over what has been captured so far."""
        began = time.perf_counter()
        passed = 0.0
        left = self._changes - self._outcome.written
        for _ in self._write(left, self._seed + 1, evolve=True):
            if time.perf_counter() - passed >= _PASS_SECONDS:
                passed = time.perf_counter()
                self._pass(live=True)
            self._tell_captured(live=True)
        self._watcher.done("written")
        self._outcome.seconds["write"] += time.perf_counter() - began

    def _drain(self) -> None:
        """Passes until all that the shards hold now is in the warehouse."""
        cuts = self._cuts()
        last_moved = time.monotonic()
        while (stage := self._missing(cuts)) is not None:
            self._require_capture()
            if self._pass(live=False):
                last_moved = time.monotonic()
            elif time.monotonic() - last_moved > _CAPTURE_SECONDS:
                raise SmugError(
                    f"nothing has come for {_CAPTURE_SECONDS:.0f} s; not {stage.name}:"
                    f" {stage.missing}",
                    remedy="see `smug status`, and the logs in the home folder",
                )
            else:
                time.sleep(0.1)

    def _cuts(self) -> list[Cut]:
        cuts = []
        states = capture_states(self._settings)
        for shard in self._settings.shards:
            with server.connect(shard) as connection:
                file, offset = server.newest_position(connection)
            epoch = states[shard.name].epoch if shard.name in states else 1
            cuts.append(Cut(shard.name, epoch, file_number(file), offset))
        return cuts

    def _missing(self, cuts: list[Cut]) -> Stage | None:
        states = capture_states(self._settings)
        if (stage := uncaptured(states, cuts)) is not None:
            return stage
        if (stage := unlanded(states, open_deltas(self._platform.lakehouse.catalog))) is not None:
            return stage
        waiting = self._platform.unmerged()
        return Stage("merged", ", ".join(target.name for target in waiting)) if waiting else None

    def _pass(self, *, live: bool) -> bool:
        """Land, merge and load what is there; whether there was anything."""
        self._tell_captured(live=live)
        clock = time.perf_counter()
        seconds = {}
        landed = tuple(self._platform.land(batches=1))
        commits = [one.latest_commit for one in landed if one.latest_commit]
        seconds["land"], clock = time.perf_counter() - clock, time.perf_counter()
        self._tell("raw", sum(one.deltas for one in landed), commits, live=live)
        merged = []
        for target in self._platform.unmerged():
            self._tell_captured(live=live)
            merged.append(self._platform.merge(target))
            self._tell("lake", merged[-1].written, commits, live=live)
        seconds["merge"], clock = time.perf_counter() - clock, time.perf_counter()
        loaded = []
        for one in self._platform.load() if merged else ():
            if isinstance(one, SmugError):
                raise one
            loaded.append(one)
            self._tell("warehouse", one.rows, commits, live=live)
        seconds["load"] = time.perf_counter() - clock
        synced = Synced(landed, tuple(merged), tuple(loaded), seconds=seconds)
        self._outcome.tally.add(synced)
        return synced.moved

    def _tell_captured(self, *, live: bool) -> None:
        store = open_store(self._settings)
        told = [store.status(shard.name) for shard in self._settings.shards]
        found = [status for status in told if status is not None]
        if not found:
            return
        self._outcome.captured = sum(status.events for status in found)
        lag = max(status.lag for status in found)
        if live and any(status.phase == "streaming" for status in found):
            self._outcome.lags.setdefault("captured", []).append(lag)
        self._watcher.count("captured", self._outcome.captured, note=f"{lag:.1f} s behind")

    def _tell(self, stage: str, rows: int, commits: list[datetime], *, live: bool) -> None:
        self._rows[stage] += rows
        if not commits:
            return
        lag = (datetime.now(UTC) - max(commits)).total_seconds()
        if live:
            self._outcome.lags.setdefault(stage, []).append(lag)
        self._watcher.count(stage, self._rows[stage], note=f"{lag:.1f} s behind")

    def _build(self) -> None:
        done = 0

        def on_node(_node: object) -> None:
            nonlocal done
            done += 1
            self._watcher.count("marts", done)

        built = self._platform.build(on_node=on_node)
        self._watcher.done("marts")
        if built is not None:
            built.require_success()
            self._outcome.tally.add(Synced(built=built, seconds={"build": built.seconds}))

    def _verify(self) -> None:
        total = len(self._source.tables) * len(self._settings.shards)
        compared: set[tuple[str, str]] = set()

        def progress(one: Comparison) -> None:
            compared.add((one.table, one.shard))
            self._watcher.count("verified", len(compared), total)

        self._outcome.comparisons = reconcile(self._settings, self._source, progress=progress)
        self._watcher.done("verified")
