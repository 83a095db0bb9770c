"""`smug realtime`, which counts the live stream, and `smug live`, which shows what it counts."""

from typing import Annotated

import typer

from smug_platform.settings import load_settings


def realtime(
    until_quiet: Annotated[
        bool, typer.Option("--until-quiet", help="Stop when nothing is left to read.")
    ] = False,
) -> None:
    """Count the live stream in the foreground, until ctrl-C: what `smug live` shows.

    It goes on where it was stopped, or killed.
    """
    from smug_platform.cli.live import run

    run(load_settings(), until_quiet=until_quiet)


def live(once: Annotated[bool, typer.Option("--once", help="Print it once.")] = False) -> None:
    """Show what is happening now: uploads, favorites, comments, orders, revenue by the minute.

    The numbers are those that `smug realtime` counts.
    """
    from smug_platform.cli.live import show

    show(load_settings(), once=once)
