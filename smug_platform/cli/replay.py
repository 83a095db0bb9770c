"""`smug replay`: lake tables as they were at a moment, from the archive alone."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from smug_platform.errors import ArchiveError
from smug_platform.settings import load_settings

if TYPE_CHECKING:
    from smug_platform.archive.archive import Archive
    from smug_platform.archive.manifest import Manifest
    from smug_platform.archive.moment import Moment
    from smug_platform.lake.target import Target
    from smug_platform.settings import Settings

BUILT = "_replayed"
"""What a table is called beside the live one until it takes its place."""


class _Tier(StrEnum):
    standard = "Standard"
    bulk = "Bulk"
    expedited = "Expedited"


def replay(
    table: Annotated[
        Optional[list[str]],  # noqa: UP045  typer reads this
        typer.Option(help="A lake table; all when none is given.", show_default=False),
    ] = None,
    to: Annotated[
        str, typer.Option(help="A time (UTC), or positions: shard_0=1/3:12345#0,shard_1=...")
    ] = "now",
    into: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Build one table under this name, beside the live one."),
    ] = None,
    over: Annotated[
        bool, typer.Option("--over", help="Merge into the live tables what they lack.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Pay what a restore costs.")] = False,
    tier: Annotated[_Tier, typer.Option(help="How fast cold objects come.")] = _Tier.standard,
) -> None:
    """Rebuild lake tables as they were at a moment from the archive alone.

    Each is built beside the live table and put in its place in one commit; --into leaves it there.
    Where objects are cold, what their restore costs is said first; it waits for them, and waits on
    when it is ended and called again.

    Examples:
      smug replay --table photos --to 2026-01-31T12:00 --into photos_of_january

      smug replay
    """
    from smug_platform.archive.manifest import all_manifests
    from smug_platform.archive.moment import parse_moment
    from smug_platform.archive.resources import open_archive

    if into and (over or len(table or ()) != 1):
        raise ArchiveError("--into names one table", remedy="give it one --table, without --over")
    settings, moment = load_settings(), parse_moment(to)
    chosen, archive = _targets(table), open_archive(settings.archive)
    manifests = all_manifests(archive.store)
    _restore(settings, archive, manifests, chosen, moment, yes=yes, tier=tier.value)
    for target in chosen:
        _replay(settings, archive, manifests, target, moment, into=into, over=over)


def _targets(names: list[str] | None) -> "list[Target]":
    from smug_platform.lake.target import targets
    from smug_platform.tables.flickr import FLICKR

    known = {target.name: target for target in targets(FLICKR)}
    if unknown := set(names or ()) - set(known):
        raise ArchiveError(
            f"there is no table {min(unknown)}", remedy=f"there are {', '.join(known)}"
        )
    return [known[name] for name in names] if names else list(known.values())


def _restore(
    settings: "Settings", archive: "Archive", manifests: "list[Manifest]",
    chosen: "list[Target]", moment: "Moment", *, yes: bool, tier: str,
) -> None:  # fmt: skip
    """Say what reading costs, and bring back what is cold."""
    from smug_platform.archive.read import Reading
    from smug_platform.archive.restore import need, restore

    tables = {target.table.name: target.table for target in chosen}
    objects = {
        one.sealed.name: one.sealed
        for table in tables.values()
        for one in Reading(archive, table, moment, manifests).sources
    }
    rules = settings.archive.storage_class
    found = need(archive, list(objects.values()), rules, tier)  # type: ignore[arg-type]
    typer.echo(
        f"{found.objects:,} objects, {found.bytes:,} bytes; {len(found.cold):,} are cold;"
        f" about {found.dollars:.2f} USD"
    )
    if found.cold and not yes:
        raise ArchiveError(
            f"{len(found.cold):,} objects have to be restored first, which takes up to"
            f" {found.takes} and costs about {found.dollars:.2f} USD",
            remedy="say --yes to do it",
        )
    restore(
        archive, found.cold, tier=tier,  # type: ignore[arg-type]
        told=lambda left: typer.echo(f"waiting for {left:,} objects") if left else None,
    )  # fmt: skip


def _replay(
    settings: "Settings", archive: "Archive", manifests: "list[Manifest]",
    target: "Target", moment: "Moment", *, into: str | None, over: bool,
) -> None:  # fmt: skip
    from dataclasses import replace

    from smug_platform import iceberg
    from smug_platform.archive import replay as replaying
    from smug_platform.lake.merge import name_of
    from smug_platform.raw.catalog import open_catalog

    catalog = open_catalog(settings)
    if over:
        done = replaying.replay_over(catalog, archive, target, moment, manifests)
        what = f"into lake.{target.name}, which lacked {done.written:,} of their rows"
    else:
        built = replace(target, alias=into or f"{target.name}{BUILT}")
        if into is None and iceberg.load(catalog, name_of(built)) is not None:
            replaying.drop(catalog, built)  # of a replay that was ended
        done = replaying.replay(catalog, archive, built, moment, manifests)
        what = f"as lake.{built.name}, {done.written:,} rows"
        if into is None:
            replaying.swap(catalog, built, target)
            what = f"in the place of lake.{target.name}, {done.written:,} rows"
    typer.echo(
        f"{done.changes:,} changes {what}, {done.seconds:.1f} s"
        f" ({done.changes / done.seconds:,.0f} changes/s)"
    )
