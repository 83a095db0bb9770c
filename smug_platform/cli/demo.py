"""`smug demo`: how the demo looks."""

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from smug_platform.cli.console import console, grid
from smug_platform.cli.show import comparisons, differences
from smug_platform.cli.stack import dev_lock
from smug_platform.local.demo import Outcome, run_demo
from smug_platform.settings import PROJECT, Settings
from smug_platform.tables.flickr import FLICKR

_STAGES = {
    "written": "shards: row changes written",
    "captured": "capture: events on the stream",
    "raw": "raw: deltas landed",
    "lake": "lake: rows written",
    "warehouse": "warehouse: rows loaded",
    "marts": "marts and bi: dbt nodes",
    "verified": "verify: tables compared",
}


def run(settings: Settings, *, changes: int, seed: int) -> bool:
    """Run the demo and tell of it; whether it ended verified."""
    settings.require_local()
    out = console()
    began = datetime.now(UTC)
    with dev_lock(settings):
        screen = _Screen(out)
        with screen:
            outcome = run_demo(settings, FLICKR, changes=changes, seed=seed, watcher=screen)
    _show(out, settings, outcome, (datetime.now(UTC) - began).total_seconds())
    return outcome.verified


class _Screen:
    """Lines and bars on a terminal; plain lines elsewhere."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:<31}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:>9,.0f}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}[/]"),
            console=out,
            disable=not out.is_terminal,
        )

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._out.print(line, markup=False)

    def count(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Move a bar; one without a total has no end yet."""
        self._progress.update(self._task(stage), completed=done, total=total, note=note)

    def done(self, stage: str) -> None:
        """Fill a bar."""
        task = self._task(stage)
        done = self._progress.tasks[task].completed
        self._progress.update(task, total=max(done, 1), completed=max(done, 1), note="")
        if not self._out.is_terminal:
            self.say(f"{_STAGES[stage]} {done:,.0f}")

    def _task(self, stage: str) -> TaskID:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(_STAGES[stage], total=None, note="")
        return self._tasks[stage]


_LEGEND = """\
Changes that were written before capture began come as the rows they left: fewer. Events that are
delivered again are duplicates. A table with history takes each change a second time; of the others
several changes of a row become one, the rest is merged away."""


def _show(out: Console, settings: Settings, outcome: Outcome, seconds: float) -> None:
    out.print()
    out.print(_stages(outcome))
    out.print(_LEGEND, style="dim")
    out.print()
    if outcome.verified:
        rows = sum(one.rows for one in outcome.comparisons)
        out.print("verified: source = lake = warehouse", style="bold green")
        out.print(f"{rows:,} rows compared, in {seconds:.0f} s from an empty stack")
    else:
        out.print(comparisons(outcome.comparisons))
        out.print(differences([one for one in outcome.comparisons if not one.equal]))
        out.print("not verified", style="bold red")
    out.print()
    for line in _next(settings, outcome):
        out.print(line, soft_wrap=True, markup=False)


def _stages(outcome: Outcome) -> object:
    made = grid(
        "stage", "in", "duplicates", "identical", "merged away", "rows out", "seconds",
        "s behind, median", "worst",
    )  # fmt: skip
    seconds = outcome.seconds
    tally = outcome.tally.rows()
    made.add_row("shards", *[""] * 4, f"{outcome.written:,}", f"{seconds['write']:.1f}", "", "")
    made.add_row(
        "capture", f"{outcome.written:,}", *[""] * 3, f"{outcome.captured:,}",
        f"{seconds['capture']:.1f}", *_lag(outcome, "captured"),
    )  # fmt: skip
    for row, stage in zip(tally, ("raw", "lake", "warehouse", ""), strict=True):
        made.add_row(*row, *_lag(outcome, stage))
    rows = sum(one.rows for one in outcome.comparisons)
    differ = sum(one.different for one in outcome.comparisons)
    made.add_row("verify", f"{rows:,}", *[""] * 3, f"{differ} differ", f"{seconds['verify']:.1f}")
    return made


def _lag(outcome: Outcome, stage: str) -> tuple[str, str]:
    found = outcome.lag(stage)
    return (f"{found[0]:.1f}", f"{found[1]:.1f}") if found else ("", "")


def _next(settings: Settings, outcome: Outcome) -> list[str]:
    shown = outcome.dashboard
    if shown and shown.is_relative_to(Path.cwd()):
        shown = shown.relative_to(Path.cwd())
    docs = f"cd {PROJECT.name}/dbt_project" if Path.cwd() != PROJECT else "cd dbt_project"
    return [
        f"dashboard   open {shown}",
        f"Dagster     make dev    then http://127.0.0.1:{settings.ui_port}",
        f"dbt docs    source .venv/bin/activate && {docs} && dbt docs generate && dbt docs serve",
        "The stack runs on: change a row in a shard, then `smug sync` and `smug verify`."
        " `make down` stops it.",
    ]
