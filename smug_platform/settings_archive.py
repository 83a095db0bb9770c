"""Where the sealed archive is and what rules it: a part of `settings`, which reads the environment.

On AWS the names derive from the environment's, as all do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from smug_platform.errors import SettingsError

STORAGE_CLASSES = ("STANDARD", "STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
_SEVEN_YEARS, _CENTURY = 2556, 36_525  # days


@dataclass(frozen=True)
class ArchiveSettings:
    """The sealed archive.

    uri: of its folder, file:// or s3://. storage_class: S3's, of the objects; retention_days: for
    so long no object can be removed or changed, 0 for no lock; expire_days: after so many it is
    removed, 0 for never. keys: what wraps the accounts' keys, a file's path or a KMS key's id;
    records: where those stand, a SQLite file or a DynamoDB table. endpoint: None for AWS's own.
    """

    uri: str
    keys: str
    records: str
    storage_class: str = "GLACIER_IR"
    retention_days: int = 0
    expire_days: int = 0
    region: str = "us-east-1"
    endpoint: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is a folder on this machine, with its keys beside it."""
        return self.uri.startswith("file://")


class _Rules(TypedDict):
    storage_class: str
    retention_days: int
    expire_days: int


def local_archive(home: Path, environ: Mapping[str, str]) -> ArchiveSettings:
    """A folder of the same layout; its files are locked only where that is asked for."""
    return ArchiveSettings(
        uri=f"file://{home}/archive",
        keys=f"{home}/keys/wrapping.key",
        records=f"{home}/keys/records.db",
        **_rules(environ, lock_days=0),
    )


def aws_archive(env: str, region: str, environ: Mapping[str, str]) -> ArchiveSettings:
    """A bucket of its own, locked for seven years unless SMUG_ARCHIVE_RETENTION_DAYS says else."""
    bucket = environ.get("SMUG_ARCHIVE_BUCKET", f"smug-{env}-archive")
    return ArchiveSettings(
        uri=f"s3://{bucket}/deltas",
        keys=f"alias/smug-{env}-archive",
        records=f"smug-{env}-archive",
        region=region,
        **_rules(environ, lock_days=_SEVEN_YEARS),
    )


def _rules(environ: Mapping[str, str], *, lock_days: int) -> _Rules:
    name = environ.get("SMUG_ARCHIVE_STORAGE_CLASS", "GLACIER_IR")
    if name not in STORAGE_CLASSES:
        raise SettingsError(
            f"SMUG_ARCHIVE_STORAGE_CLASS is {name!r}",
            remedy=f"set it to one of {', '.join(STORAGE_CLASSES)}",
        )
    lock = _days(environ, "SMUG_ARCHIVE_RETENTION_DAYS", lock_days)
    life = _days(environ, "SMUG_ARCHIVE_EXPIRE_DAYS", 0)
    if 0 < life < lock:
        raise SettingsError(
            f"SMUG_ARCHIVE_EXPIRE_DAYS is {life}, and objects are locked for {lock} days",
            remedy="let them live for as long as they are locked",
        )
    return {"storage_class": name, "retention_days": lock, "expire_days": life}


def _days(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) <= _CENTURY):
        raise SettingsError(
            f"{name} is {text!r}", remedy=f"set it to a number of days up to {_CENTURY}, 0 for none"
        )
    return int(text)
