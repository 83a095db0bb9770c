"""`smug archive`: write the sealed archive now, and the auditor's `smug archive verify`."""

from typing import TYPE_CHECKING, Annotated

import typer

from smug_platform.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from smug_platform.archive.verify import Proof

archive = typer.Typer(
    help="Write what raw has accepted to the sealed archive, and verify it.",
    invoke_without_command=True,
    rich_markup_mode="rich",
)


@archive.callback(invoke_without_command=True)
def write(context: typer.Context) -> None:
    """Write all that raw has accepted since the last time to the sealed archive."""
    if context.invoked_subcommand is None:
        _write()


@archive.command()
def verify(
    contents: Annotated[
        bool, typer.Option(help="Read every object whole, not only its name and size.")
    ] = True,
) -> None:
    """Walk each shard's chain from its first manifest; print what it proves.

    Exit code 1, and the places, when anything is not what was sealed.
    """
    from smug_platform.archive.resources import open_archive
    from smug_platform.archive.verify import verify as walk
    from smug_platform.cli.console import console

    settings = load_settings().archive
    proofs = walk(open_archive(settings), expire_days=settings.expire_days, contents=contents)
    out = console()
    if not proofs:
        out.print(f"there is nothing at {settings.uri}: nothing is proven")
        raise typer.Exit(1)
    _show(out, proofs)
    breaks = [each for proof in proofs for each in proof.breaks]
    for each in breaks:
        out.print(f"[red]broken[/] {each.place}: {each.problem}", soft_wrap=True)
    if breaks:
        raise typer.Exit(1)
    what = "each object is the one that was sealed" if contents else "no object is missing"
    out.print(f"holds: {what}, no change lacks, none was added")


@archive.command()
def prepare() -> None:
    """Make the archive's bucket (versions, Object Lock, lifecycle rules) and its table of keys."""
    from smug_platform.archive.resources import prepare as make

    for line in make(load_settings().archive):
        typer.echo(line)


@archive.command()
def expire() -> None:
    """Remove objects that are older than SMUG_ARCHIVE_EXPIRE_DAYS; on S3 its own rules do it."""
    from smug_platform.archive.expire import expire as remove
    from smug_platform.archive.resources import open_archive

    settings = load_settings().archive
    typer.echo(f"{remove(open_archive(settings), settings):,} objects went")


def _show(out: "Console", proofs: "list[Proof]") -> None:
    """What each chain proves."""
    from smug_platform.cli.console import grid

    table = grid("shard", "manifests", "objects", "changes", "bytes", "last position")
    for proof in proofs:
        if proof.manifests:
            table.add_row(
                proof.shard, f"{proof.manifests:,}", f"{proof.objects:,}", f"{proof.rows:,}",
                f"{proof.bytes:,}", str(proof.last or ""),
            )  # fmt: skip
    out.print(table)
    for proof in (proof for proof in proofs if proof.manifests):
        hours = ", {} to {}".format(*proof.hours) if proof.hours else ""
        out.print(f"{proof.shard}{hours}: the chain ends with {proof.head}", soft_wrap=True)
        for name, count in (("went on their day", proof.expired), ("are cold", proof.cold)):
            if count:
                out.print(f"{proof.shard}: {count:,} objects {name} and were not read")


def _write() -> None:
    from smug_platform.archive.manifest import describe
    from smug_platform.archive.resources import open_archive
    from smug_platform.archive.write import write as run
    from smug_platform.raw.catalog import open_catalog
    from smug_platform.tables.flickr import FLICKR

    settings = load_settings()
    written = run(open_catalog(settings), open_archive(settings.archive), FLICKR)
    if not written.manifests:
        typer.echo("nothing new: the archive is where raw is")
        return
    found = describe(list(written.manifests))
    typer.echo(
        f"{found['rows']:,} changes, {found['bytes']:,} bytes in {found['objects']:,} objects,"
        f" {found['manifests']:,} manifests, in {written.seconds:.1f} s"
    )
