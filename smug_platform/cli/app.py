"""The commands of `smug` and their options, and what is done with errors.

What a person can put right is one line on standard error and exit code 2. Anything else is a bug
and shows its traceback.
"""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

from smug_platform.cli.archive import archive
from smug_platform.cli.backfill import backfill
from smug_platform.cli.erase import erase
from smug_platform.cli.realtime import live, realtime
from smug_platform.cli.replay import replay
from smug_platform.cli.snapshot import snapshot
from smug_platform.errors import SmugError
from smug_platform.settings import load_settings

app = typer.Typer(
    name="smug",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Every change of sharded MySQL in a lake, a warehouse and dashboards.

    [bold]smug demo[/] shows the whole way once. Step by step it is:

      smug up                      two MySQL shards, Kinesis, capture, in the background

      smug workload --changes 5000 what members do, written to the shards

      smug sync --until-quiet      stream to raw to lake to warehouse to marts

      smug verify                  source = lake = warehouse, row by row

      smug status                  how far each table has come

      smug down                    stop what up has started

    SMUG_ENV names the environment: local (the default), test, staging or prod.""",
)

app.add_typer(archive, name="archive")
app.add_typer(erase, name="erase")
app.command()(replay)
app.command()(realtime)
app.command()(live)
app.command()(snapshot)
app.command()(backfill)
_Tables = Annotated[
    Optional[list[str]],  # noqa: UP045  typer reads this
    typer.Argument(help="Tables to compare; all when none is given.", show_default=False),
]


class _Form(StrEnum):
    """How `smug query` prints."""

    table = "table"
    csv = "csv"
    json = "json"


@app.command()
def up(
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=1, max=100, help="Capture workers that share the shards.", show_default=False
        ),
    ] = None,
) -> None:
    """Start the local stack in the background: MySQL shards, Kinesis endpoint, capture.

    What already runs is left alone; with --workers, so many capture afterwards, more or fewer.
    """
    from smug_platform.cli.stack import up as run

    run(load_settings(), workers=workers)


@app.command()
def down(
    drain: Annotated[
        bool, typer.Option(help="Land first what the stream still holds: it is gone afterwards.")
    ] = True,
) -> None:
    """Stop what `smug up` has started. The data stay."""
    from smug_platform.cli.stack import down as run

    run(load_settings(), drain=drain)


@app.command()
def status() -> None:
    """Show how far each shard and table has come, and what runs.

    Behind counts the changes that have landed but are not in the lake yet; lag is the age of the
    oldest one that has landed but is not in the warehouse yet.
    """
    from smug_platform.cli.show import show_status

    show_status(load_settings())


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find what stands in the way of capturing the shards, and say what to do about it.

    Server settings, privileges, tables as the contract declares them, one shard against another.
    Nothing is written to a shard. Exits with 1 when a finding is blocking.
    """
    from smug_platform.cli.doctor import show_doctor

    if not show_doctor(load_settings(), as_json=as_json):
        raise typer.Exit(1)


@app.command()
def capture(
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only make the table of the workers' leases.")
    ] = False,
) -> None:
    """Capture shards in the foreground: binlog to stream, until ctrl-C.

    It goes on where it was stopped, or killed. Several of them share the shards.
    """
    from smug_platform.cli.capture import prepare as make
    from smug_platform.cli.capture import run

    settings = load_settings()
    make(settings) if prepare else run(settings)


@app.command()
def workload(
    changes: Annotated[
        int,
        typer.Option(min=1, help="Stop after so many row changes, once what was begun is whole."),
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed writes the same rows.")] = 1,
    rate: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(min=1, help="Row changes a second; as fast as it goes when not given."),
    ] = None,
    forever: Annotated[bool, typer.Option("--forever", help="Go on until ctrl-C.")] = False,
) -> None:
    """Write what photographers do to the shards: sign-ups, uploads, edits, orders, deletes.

    Examples:
      smug workload --changes 50000 --seed 7

      smug workload --forever --rate 200
    """
    from smug_platform.cli.workload import run

    run(load_settings(), seed=seed, changes=None if forever else changes, rate=rate)


@app.command()
def sync(
    until_quiet: Annotated[
        bool, typer.Option("--until-quiet", help="Pass after pass, until nothing is left to do.")
    ] = False,
) -> None:
    """Bring what was captured through: land, merge, load, build. One pass, without the UI."""
    from smug_platform.cli.sync import run

    run(load_settings(), until_quiet=until_quiet)


@app.command()
def verify(
    tables: _Tables = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds that what the source holds may take to arrive.")
    ] = 60.0,
) -> None:
    """Compare source, lake and warehouse row by row, at a position of each shard.

    Ends in `verified: source = lake = warehouse`, or shows what differs and exits with 1. It may
    run while the source is written to.

    Examples:
      smug verify

      smug verify photos accounts --timeout 5
    """
    from smug_platform.cli.show import show_verify

    if not show_verify(load_settings(), tables=tables or None, timeout=timeout):
        raise typer.Exit(1)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="A query, in DuckDB's SQL.", show_default=False)],
    at: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Read the lake as it was: the id of a snapshot, or a time (UTC)."),
    ] = None,
    as_of: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Read lake tables at source positions: shard_0=1/3:12345#0,shard_1=..."),
    ] = None,
    of_stream: Annotated[
        bool, typer.Option("--live", help="Ask the stream: its changes of the last minutes.")
    ] = False,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="With --live: how far back.", show_default=True)
    ] = 5,
    form: Annotated[_Form, typer.Option("--format", help="How to print the answer.")] = _Form.table,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write the answer to a .parquet, .csv or .json file instead."),
    ] = None,
    limit: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, help="Rows at most, 0 for all; of a table 50 unless given."),
    ] = None,
) -> None:
    """Ask the lake in SQL: raw.deltas, lake.photos and so on are its tables.

    Rows of lake tables that are marked _is_deleted are among the answers. With --live it is the
    stream that is asked: stream.photos has a row a change of the last minutes.

    Examples:
      smug query "select count(*) from lake.photos where not _is_deleted"

      smug query "from lake.orders" --at 2026-01-31T12:00 --output orders.parquet

      smug query --live "select _op, count(*) from stream.photos group by all"
    """
    from smug_platform.cli.query import run

    last = minutes if of_stream else None
    run(
        load_settings(), sql, at=at, as_of=as_of, live=last, form=form.value, output=output,
        limit=limit,
    )  # fmt: skip


@app.command()
def dashboard() -> None:
    """Write the dashboard page from the bi views: one file that needs no network."""
    from smug_platform.bi.dashboard import write_dashboard

    typer.echo(write_dashboard(load_settings()))


@app.command()
def demo(
    changes: Annotated[
        int, typer.Option(min=1_000, help="Row changes to write, in all.")
    ] = 200_000,
    seed: Annotated[int, typer.Option(help="The same seed writes the same rows.")] = 1,
) -> None:
    """Show the whole way once, from an empty stack to verified marts and a dashboard page.

    Local data of an earlier demo are removed first. The stack is left running; `smug down`
    stops it.
    """
    from smug_platform.cli.demo import run

    if not run(load_settings(), changes=changes, seed=seed):
        raise typer.Exit(1)


@app.command()
def dev() -> None:
    """Start the local stack and the Dagster UI on it; ctrl-C stops the UI, and the stack stays."""
    from smug_platform.cli.stack import dev as run

    raise typer.Exit(run(load_settings()))


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SmugError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except BrokenPipeError:  # what reads us has gone: `smug status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
