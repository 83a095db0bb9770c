"""`smug backfill`: some days of the marts made anew."""

from typing import Annotated, Optional

import typer

from smug_platform.settings import load_settings


def backfill(
    first: Annotated[str, typer.Argument(help="The day, in UTC.", show_default=False)],
    last: Annotated[
        Optional[str],  # noqa: UP045  typer reads this
        typer.Argument(help="The last day, where it is several.", show_default=False),
    ] = None,
) -> None:
    """Make days of the marts anew, from what the warehouse holds of the tables.

    One run of dbt over the models that are merged, for they alone keep what an earlier build has
    made. The rows of other days stay as they are, and neither source nor lake is read.

    Examples:
      smug backfill 2026-01-30

      smug backfill 2026-01-30 2026-02-02
    """
    from smug_platform.warehouse.backfill import backfill as run
    from smug_platform.warehouse.backfill import days_of

    days = days_of(first, last or first)
    result = run(load_settings(), days)
    result.require_success()
    for node in result.nodes:
        if node.unique_id.startswith("model."):
            typer.echo(f"{node.name} made anew for {days}")
