"""`smug up`, `smug down` and `smug dev`: the local stack, and the Dagster UI on it."""

import subprocess
import sys
import threading
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import typer

from smug_platform.cli.console import alone
from smug_platform.errors import SmugError
from smug_platform.local import stack
from smug_platform.local.processes import child_environ, port_holder
from smug_platform.settings import PROJECT, Settings
from smug_platform.tables.flickr import FLICKR


def up(settings: Settings, *, workers: int | None = None) -> None:
    """Start what is not running, and say what was started. workers: that capture."""
    said: list[str] = []

    def progress(line: str) -> None:
        said.append(line)
        typer.echo(line)

    stack.up(settings, FLICKR, progress=progress, workers=workers)
    if not said:
        typer.echo("everything runs already")


def down(settings: Settings, *, drain: bool) -> None:
    """Stop what `up` started; first land what the stream holds, for it lives in memory."""
    said: list[str] = []

    def progress(line: str) -> None:
        said.append(line)
        typer.echo(line)

    stack.down(settings, drain=(lambda: _land(settings)) if drain else None, progress=progress)
    if not said:
        typer.echo("nothing was running")


def _land(settings: Settings) -> None:
    from smug_platform.sync import Platform

    landed = sum(one.deltas for one in Platform(settings, FLICKR).land())
    if landed:
        typer.echo(f"{landed:,} deltas landed that the stream still held")
    _count(settings)


def _count(settings: Settings) -> None:
    """Count what the stream still holds, where live numbers are kept and no consumer is at it."""
    from smug_platform.realtime.run import consume
    from smug_platform.realtime.store import store_path

    counts = SmugError("a consumer runs", remedy="it counts by itself")
    if store_path(settings).exists():
        with suppress(SmugError), alone(settings.home, "realtime", counts):
            consume(settings, FLICKR, stop=threading.Event(), until_quiet=True)


def dev(settings: Settings) -> int:
    """Start the stack and `dagster dev` on it, in the foreground; its exit code.

    Ctrl-C reaches Dagster from the terminal, and it ends in its own order.
    """
    from smug_platform.orchestration.dagster_home import prepare_dagster_home

    with dev_lock(settings):
        if holder := port_holder(settings.ui_port):
            raise SmugError(
                f"Dagster UI: port {settings.ui_port} is in use by {holder}",
                remedy="stop that, or set SMUG_UI_PORT to a free port",
            )
        up(settings)
        environ = {
            **stack.settings_environ(settings),
            "DAGSTER_HOME": str(prepare_dagster_home(settings)),
            "DAGSTER_MODULE_NAME": "",  # the workspace names it, and Dagster takes no two names
            "DBT_TARGET": settings.dbt_target,
            "DO_NOT_TRACK": "1",
        }
        argv = [
            str(Path(sys.executable).with_name("dagster")), "dev",
            "-w", str(PROJECT / "workspace.yaml"), "-p", str(settings.ui_port),
        ]  # fmt: skip
        typer.echo(f"Dagster UI: http://127.0.0.1:{settings.ui_port} (ctrl-C ends it)")
        with subprocess.Popen(argv, cwd=PROJECT, env=child_environ(environ)) as process:
            code = _wait(process)
    typer.echo("the stack runs on: `smug down` stops it")
    return code


def _wait(process: "subprocess.Popen[bytes]") -> int:
    """Its exit code; 0 when it was ended by ctrl-C, which reaches it as well."""
    interrupted = False
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            interrupted = True
        else:
            return 0 if interrupted else max(code, 0)


def dev_lock(settings: Settings) -> AbstractContextManager[None]:
    """Held by what lands and merges for long: `smug dev` and `smug demo` exclude each other."""
    return alone(
        settings.home,
        "dev",
        SmugError(
            f"`smug dev` or `smug demo` runs on {settings.home}",
            remedy="end it first, with ctrl-C",
        ),
    )
