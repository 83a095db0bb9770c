"""`smug snapshot`: tables read anew while their shards are streamed."""

from collections.abc import Sequence
from typing import Annotated, Optional

import typer

from smug_platform.errors import SourceError
from smug_platform.settings import load_settings


def snapshot(
    tables: Annotated[list[str], typer.Argument(help="Declared tables.", show_default=False)],
    shard: Annotated[
        Optional[list[str]],  # noqa: UP045  typer reads this
        typer.Option(help="A shard by name or number; all when none is given.", show_default=False),
    ] = None,
    where: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Only rows that this is true of, in the source's SQL, times in UTC.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Read tables anew from the source, while capture goes on.

    For rows that the binlog never told of, or that `smug verify` finds. Rows that are gone at the
    source go, changes meanwhile are kept. It only asks: the worker that has the shard begins within
    some seconds, and `smug status` shows how far it is. The shard's other tables go on, some
    seconds later; they wait for a table without a key, which can't be read in pieces.

    With --where only the rows of that condition come, as they are now. Times in it are UTC, and
    "a" is a text, whatever the server's own settings. None goes in this way: what
    the source has no more, or of which the condition is not true any more, stays until the whole
    table is read.

    Examples:
      smug snapshot photos

      smug snapshot photos albums --shard 1

      smug snapshot photos --where "uploaded_at >= '2026-01-31'"
    """
    from smug_platform.capture.filters import filtered
    from smug_platform.capture.resources import open_store
    from smug_platform.tables.flickr import FLICKR

    if where is not None:
        _check_alone(where, tables)
    settings = load_settings()
    settings.require_shards()
    declared = {table.name for table in FLICKR.tables}
    if unknown := [name for name in tables if name not in declared]:
        raise SourceError(
            f"no table {unknown[0]!r} is declared",
            remedy=f"declare it, or choose of {', '.join(sorted(declared))}",
        )
    names = [each.name for each in settings.shards]
    chosen = [names[int(s)] if s.isdigit() and int(s) < len(names) else s for s in shard or names]
    if strange := [name for name in chosen if name not in names]:
        raise SourceError(
            f"there is no shard {strange[0]!r}", remedy=f"choose of {', '.join(names)}"
        )
    for each in settings.shards:
        if where and each.name in chosen:
            filtered(each, FLICKR, tables[0], where)  # a shard that refuses it is told before any
    store = open_store(settings)
    rows = f" where {where}" if where else ""
    for name in chosen:
        for table in tables:
            store.ask(name, table, where or "")
            typer.echo(f"{table}{rows} of {name} will be read anew: see smug status")


def _check_alone(where: str, tables: Sequence[str]) -> None:
    """Raise SourceError unless there is a condition, for one table."""
    if not where.strip():
        raise SourceError(
            "--where is empty", remedy="write what stands behind WHERE, or leave it out"
        )
    if len(tables) > 1:
        raise SourceError("--where is one condition, for one table", remedy="ask for one at a time")
