"""`smug erase`: a person's data leaves every copy, unless a legal hold refuses that."""

from typing import TYPE_CHECKING, Annotated

import typer

from smug_platform.settings import Settings, load_settings

if TYPE_CHECKING:
    from smug_platform.archive.erase import Beside

erase = typer.Typer(
    help="Erase an account's data from every copy, or put it under a legal hold.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
_Account = Annotated[str, typer.Argument(help="The account's number.", show_default=False)]


@erase.command()
def account(number: _Account) -> None:
    """Erase an account: its key in the archive, and its rows in lake, warehouse and marts.

    Erase it at the source first: what comes from there later comes through. Prints where the
    certificate stands, which lists each copy and how it was cleared. Exit code 1 when something
    was left; it may be done again at any time.
    """
    from smug_platform.archive.erase import erase as run
    from smug_platform.archive.resources import open_archive
    from smug_platform.cli.console import console, grid
    from smug_platform.raw.catalog import open_catalog
    from smug_platform.tables.flickr import FLICKR

    settings = load_settings()
    certificate = run(
        open_catalog(settings), open_archive(settings.archive), FLICKR, number, _beside(settings)
    )
    out = console()
    table = grid("copy", "rows", "files", "left", "how")
    for copy in certificate.copies:
        left = copy.gone_by or ("" if copy.left is None else f"{copy.left:,}")
        table.add_row(copy.copy, f"{copy.rows:,}", f"{copy.files:,}", left, copy.how)
    out.print(table)
    name = f"erased-{number}-{certificate.erased_at.replace(':', '')}.json"
    path = settings.home / "certificates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(certificate.to_bytes())
    typer.echo(path)
    if not certificate.is_clear:
        raise typer.Exit(1)


@erase.command()
def hold(
    number: _Account, reason: Annotated[str, typer.Argument(help="Why.", show_default=False)]
) -> None:
    """Put an account under a legal hold: it can't be erased until that is released."""
    from smug_platform.archive.erase import hold as run
    from smug_platform.archive.resources import open_archive

    run(open_archive(load_settings().archive), number, reason)


@erase.command()
def release(number: _Account) -> None:
    """Release an account from its legal hold."""
    from smug_platform.archive.erase import release as run
    from smug_platform.archive.resources import open_archive

    run(open_archive(load_settings().archive), number)


@erase.command()
def holds() -> None:
    """List the accounts that are under a legal hold."""
    from smug_platform.archive.erase import holds as find
    from smug_platform.archive.resources import open_archive

    for number, held in find(open_archive(load_settings().archive)).items():
        typer.echo(f"{number}\t{held['since']}\t{held['reason']}")


def _beside(settings: Settings) -> "Beside":
    from smug_platform.archive.erase import Beside
    from smug_platform.archive.publish import publish, stream_gone_by

    return Beside(settings.claims, lambda: publish(settings), stream_gone_by(settings))
