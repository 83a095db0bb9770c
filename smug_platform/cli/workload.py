"""`smug workload`: members at work, with a progress bar."""

import threading

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from smug_platform.cli.console import console, stop_on_signals
from smug_platform.local.workload import run_workload
from smug_platform.settings import Settings


def run(settings: Settings, *, seed: int, changes: int | None, rate: float | None) -> None:
    """Write to the shards until so many changes are there, or until ctrl-C; then say what was."""
    settings.require_local()
    stop = threading.Event()
    out = console()
    columns = (TextColumn("writing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with stop_on_signals(stop), Progress(*columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=changes)
        result = run_workload(
            settings.shards,
            seed=seed,
            changes=changes,
            rate=rate,
            progress=lambda rows: bar.update(task, completed=rows),
            stop=stop,
        )
    first, last = (day.date().isoformat() for day in result.days)
    out.print(
        f"{result.rows:,} row changes in {result.seconds:.1f} s"
        f" ({result.rows / max(result.seconds, 0.001):,.0f}/s), {first} to {last} on their clock",
    )
