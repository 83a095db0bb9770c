"""Where capture's workers keep what they share: a part of `settings`, which reads the environment.

On AWS the name derives from the environment's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from smug_platform.errors import SettingsError

_SHORTEST, _LONGEST = 2, 60  # seconds


@dataclass(frozen=True)
class StoreSettings:
    """Leases, offsets and schema history.

    table: of DynamoDB, None for a SQLite file in the home folder. seconds: that a lease lives
    unrenewed. workers: that are meant to run; in their first seconds they leave room for so many.
    endpoint: None for AWS's own.
    """

    table: str | None = None
    region: str = "us-east-1"
    endpoint: str | None = None
    seconds: float = 6.0
    workers: int = 1


def store_settings(environ: Mapping[str, str], *, table: str | None, region: str) -> StoreSettings:
    """SMUG_LEASE_SECONDS and SMUG_WORKERS; SMUG_DYNAMODB_ENDPOINT where there is a table."""
    return StoreSettings(
        table=table,
        region=region,
        endpoint=environ.get("SMUG_DYNAMODB_ENDPOINT") or None if table else None,
        seconds=number(environ, "SMUG_LEASE_SECONDS", 6, _SHORTEST, _LONGEST),
        workers=number(environ, "SMUG_WORKERS", 1, 1, 100),
    )


def number(environ: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A whole number of the environment; raises SettingsError."""
    text = environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise SettingsError(
            f"{name} is {text!r}", remedy=f"set it to a whole number from {least} to {most}"
        )
    return int(text)
