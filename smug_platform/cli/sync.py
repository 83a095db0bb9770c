"""`smug sync`: one pass over the way, or pass after pass, and a table of what happened."""

from rich.console import Console

from smug_platform.cli.console import console, grid
from smug_platform.local.tally import COLUMNS, Tally
from smug_platform.settings import Settings
from smug_platform.sync import Platform
from smug_platform.sync import sync as one_pass
from smug_platform.tables.flickr import FLICKR


def run(settings: Settings, *, until_quiet: bool) -> None:
    """Bring what was captured through; raises SmugError when a stage or a table can't go on."""
    out = console()
    platform = Platform(settings, FLICKR)
    tally = Tally()
    with out.status("land, merge, load, build"):
        while True:
            synced = one_pass(platform)
            tally.add(synced)
            if synced.problems or not until_quiet or not synced.moved:
                break
    show(out, tally)
    synced.require_success()


def show(out: Console, tally: Tally) -> None:
    """What happened at each stage."""
    if not tally.passes:
        out.print("nothing new: lake, warehouse and marts are where the stream is")
        return
    table = grid("stage", *COLUMNS)
    for row in tally.rows():
        table.add_row(*row)
    out.print(table)
