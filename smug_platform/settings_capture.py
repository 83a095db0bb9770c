"""Where capture's workers keep what they share, and how they get into the source's servers: a part
of `settings`, which reads the environment.

On AWS the name derives from the environment's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from smug_platform.errors import SettingsError

_SHORTEST, _LONGEST = 2, 60  # seconds

SslMode = Literal["disabled", "preferred", "required", "verify_ca", "verify_identity"]
"""As MySQL's own programs have it, and Debezium."""


@dataclass(frozen=True)
class Access:
    """How the source's servers are entered, beside user and password.

    password_file: that holds the password of the moment; secret: the secret of AWS Secrets Manager
    that does, "" for none, in `region`. ssl_ca: a PEM file of the authorities that are trusted,
    None for those of the system.
    """

    password_file: Path | None = None
    secret: str = ""
    region: str = "us-east-1"
    ssl_mode: SslMode = "disabled"
    ssl_ca: Path | None = None


def access_settings(environ: Mapping[str, str], *, region: str) -> Access:
    """SMUG_MYSQL_PASSWORD_FILE or SMUG_MYSQL_SECRET, SMUG_MYSQL_SSL_MODE and SMUG_MYSQL_SSL_CA.

    Raises SettingsError.
    """
    given = ("SMUG_MYSQL_PASSWORD", "SMUG_MYSQL_PASSWORD_FILE", "SMUG_MYSQL_SECRET")
    if len(found := [name for name in given if environ.get(name)]) > 1:
        raise SettingsError(
            f"{' and '.join(found)} are set", remedy="set one of them: each is a password"
        )
    file, authorities = (environ.get(f"SMUG_MYSQL_{name}") for name in ("PASSWORD_FILE", "SSL_CA"))
    access = Access(
        password_file=Path(file).absolute() if file else None,
        secret=environ.get("SMUG_MYSQL_SECRET", ""),
        region=region,
        ssl_mode=_ssl_mode(environ.get("SMUG_MYSQL_SSL_MODE", "preferred")),
        ssl_ca=Path(authorities).absolute() if authorities else None,
    )
    if access.ssl_ca and not access.ssl_mode.startswith("verify"):
        raise SettingsError(
            f"SMUG_MYSQL_SSL_CA is set, and SMUG_MYSQL_SSL_MODE is {access.ssl_mode}",
            remedy="set SMUG_MYSQL_SSL_MODE to verify_ca or verify_identity: else nothing is held"
            " to it",
        )
    return access


def _ssl_mode(text: str) -> SslMode:
    known: tuple[SslMode, ...] = get_args(SslMode)
    for mode in known:
        if mode == text:
            return mode
    raise SettingsError(
        f"SMUG_MYSQL_SSL_MODE is {text!r}", remedy=f"set it to one of {', '.join(known)}"
    )


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
