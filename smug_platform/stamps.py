"""What outlives a release: how an older and a newer one write it.

A release may put fields beside those that were there: an older one leaves them out, so that one can
go back. Where it means something else by what was there, it raises the `format` that it writes with
it, and an older one refuses to read that rather than to misread it.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from smug_platform.errors import NewerState


def readable(what: str, found: Mapping[str, Any], format_: int) -> None:
    """Raise NewerState for what a newer release wrote in another format.

    What says none is of the first.

    >>> readable("the state", {"format": 2}, 1)
    Traceback (most recent call last):
    smug_platform.errors.NewerState: the state is of format 2, this release reads up to 1: \
install the release that wrote it, or a later one
    """
    theirs = int(found.get("format", 1))
    if theirs > format_:
        raise NewerState(
            f"{what} is of format {theirs}, this release reads up to {format_}",
            remedy="install the release that wrote it, or a later one",
        )


def known(kind: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was written the fields that a dataclass has in this release."""
    return {one.name: found[one.name] for one in fields(kind) if one.name in found}
