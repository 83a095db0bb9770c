"""Where things are: the only module that reads the environment.

SMUG_ENV names the environment: `local` (the default: everything on this machine, no credentials),
`test`, `staging` or `prod`. An unknown name raises, and nothing falls through to prod. What
differs on AWS is derived from the name. The code path is the same everywhere: only endpoints,
catalogs and credentials differ.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from smug_platform.errors import SettingsError
from smug_platform.settings_archive import ArchiveSettings, aws_archive, local_archive
from smug_platform.settings_capture import (
    Access,
    StoreSettings,
    access_settings,
    store_settings,
)
from smug_platform.settings_warehouse import RedshiftSettings, redshift_settings

ENVIRONMENTS = ("local", "test", "staging", "prod")
Drain = Literal["auto", "on", "off"]
PROJECT = Path(__file__).resolve().parent.parent
_LAST_PORT = 65_535
_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Shard:
    """How one source shard is reached. The password never shows in its repr.

    password: "" where `access` says where it stands.
    """

    name: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    access: Access = field(default_factory=Access)


@dataclass(frozen=True)
class StreamSettings:
    """The Kinesis stream.

    endpoint: its URL, None for the region's own. is_local: it is a stand-in on this machine, which
    takes any credentials; shards: how many a new stream gets there. hot_share: of the bytes of a
    source shard that one lane of the stream may take before people are told, from 0 to 1.
    """

    name: str
    region: str
    endpoint: str | None
    is_local: bool = False
    shards: int = 2
    hot_share: float = 0.5


@dataclass(frozen=True)
class Settings:
    """Everything that differs between environments.

    home: the folder for local state (logs, and on one machine capture's state and the data itself).
    catalog: properties of the pyiceberg catalog; claims: URI of the store for oversized records.
    warehouse: the engine that dbt and the loader write to; warehouse_path: DuckDB's file;
    redshift: where Redshift is, None where that is not the engine.
    drain: whether arrivals are met by a drain run, which stays up: `on`, always; `off`, never;
    `auto`, while changes keep coming.
    """

    env: str
    home: Path
    shards: tuple[Shard, ...]
    stream: StreamSettings
    catalog: Mapping[str, str]
    claims: str
    warehouse: Literal["duckdb", "redshift"]
    warehouse_path: Path
    ui_port: int
    archive: ArchiveSettings
    store: StoreSettings
    drain: Drain = "auto"
    redshift: RedshiftSettings | None = None

    @property
    def is_local(self) -> bool:
        """True where the project starts the source and the stream itself."""
        return self.env in {"local", "test"}

    def require_local(self) -> None:
        """Raise SettingsError where source and stream are not the project's own.

        What starts, empties or writes to a source asks this first.
        """
        if not self.is_local:
            raise SettingsError(
                f"SMUG_ENV is {self.env!r}, and only a local stack is started from here",
                remedy="set SMUG_ENV to local",
            )

    def require_shards(self) -> None:
        """Raise SettingsError without shards: where they are due, none are no success."""
        if not self.shards:
            raise SettingsError(
                "there are no source shards",
                remedy="set SMUG_SHARDS to name=mysql://user@host:3306",
            )

    @property
    def dbt_target(self) -> str:
        """The dbt target of this environment."""
        return "local" if self.warehouse == "duckdb" else "redshift"

    @property
    def dbt_artifacts(self) -> str:
        """URI of the place where dbt's artifacts are kept: beside the claims."""
        return f"{self.claims.rpartition('/')[0]}/dbt/artifacts"

    def capture_dir(self, shard: str) -> Path:
        """Debezium's own files of one shard's runs, written anew at each start."""
        return self.home / "capture" / shard


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the environment that SMUG_ENV names; raises SettingsError.

    environ: os.environ unless given.

    >>> load_settings({"SMUG_HOME": "/tmp/smug"}).shards[1].port
    13307
    """
    environ = os.environ if environ is None else environ
    env = environ.get("SMUG_ENV", "local")
    if env not in ENVIRONMENTS:
        raise SettingsError(
            f"unknown SMUG_ENV {env!r}", remedy=f"set it to one of {', '.join(ENVIRONMENTS)}"
        )
    return _local(env, environ) if env in {"local", "test"} else _aws(env, environ)


def _local(env: str, environ: Mapping[str, str]) -> Settings:
    home = Path(environ.get("SMUG_HOME", PROJECT / ".smug")).absolute()
    count = _number(environ, "SMUG_SHARD_COUNT", 2, 100)
    first = _number(environ, "SMUG_MYSQL_PORT", 13306, _LAST_PORT - count + 1)
    user, password = (
        environ.get("SMUG_MYSQL_USER", "smug"),
        environ.get("SMUG_MYSQL_PASSWORD", "smug"),
    )
    return Settings(
        env=env,
        home=home,
        shards=tuple(
            Shard(f"shard_{i}", "127.0.0.1", first + i, user, password) for i in range(count)
        ),
        stream=StreamSettings(
            name="smug-changes",
            region="us-east-1",
            endpoint=f"http://127.0.0.1:{_number(environ, 'SMUG_KINESIS_PORT', 14566)}",
            is_local=True,
            hot_share=_number(environ, "SMUG_HOT_PERCENT", 50, 100) / 100,
        ),
        catalog={
            "type": "sql",
            "uri": f"sqlite:///{home}/lake/catalog.db",
            "warehouse": f"file://{home}/lake",
            "smug.index": f"{home}/index",
            "smug.memory": _memory(environ),
        },
        claims=f"file://{home}/claims",
        warehouse="duckdb",
        warehouse_path=home / "smug.duckdb",
        ui_port=_number(environ, "SMUG_UI_PORT", 3000),
        archive=local_archive(home, environ),
        store=store_settings(environ, table=None, region="us-east-1"),
        drain=_drain(environ),
    )


def _aws(env: str, environ: Mapping[str, str]) -> Settings:
    """On AWS the names derive from the environment's; only addresses and secrets are given."""
    region = environ.get("AWS_REGION", "us-east-1")
    bucket = environ.get("SMUG_LAKE_BUCKET", f"smug-{env}-lake")
    home = Path(environ.get("SMUG_HOME", "/var/lib/smug")).absolute()
    return Settings(
        env=env,
        home=home,
        shards=_shards(environ, region),
        stream=StreamSettings(
            name=f"smug-{env}-changes",
            region=region,
            endpoint=_endpoint(environ),
            hot_share=_number(environ, "SMUG_HOT_PERCENT", 50, 100) / 100,
        ),
        catalog={
            "type": "glue",
            "glue.region": region,
            "warehouse": f"s3://{bucket}/lake",
            "smug.index": f"{home}/index",
            "smug.memory": _memory(environ),
        },
        claims=f"s3://{bucket}/claims",
        warehouse="redshift",
        warehouse_path=home / "smug.duckdb",
        ui_port=_number(environ, "SMUG_UI_PORT", 3000),
        archive=aws_archive(env, region, environ),
        store=store_settings(environ, table=f"smug-{env}-capture", region=region),
        drain=_drain(environ),
        redshift=redshift_settings(environ, region=region, scratch=f"s3://{bucket}/load"),
    )


def _shards(environ: Mapping[str, str], region: str) -> tuple[Shard, ...]:
    """SMUG_SHARDS is `name=mysql://user@host:port`, comma separated; the password stands apart."""
    password = environ.get("SMUG_MYSQL_PASSWORD", "")
    access = access_settings(environ, region=region)
    entries = filter(None, map(str.strip, environ.get("SMUG_SHARDS", "").split(",")))
    shards = tuple(_shard(entry, password, access) for entry in entries)
    names = [shard.name for shard in shards]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SettingsError(
            f"SMUG_SHARDS: two shards have the name {twice[0]!r}",
            remedy="give each its own: changes are kept apart by it",
        )
    return shards


def _shard(entry: str, password: str, access: Access) -> Shard:
    """A name is part of topics, folders and names of checks, so it is a plain word."""
    name, _, url = entry.partition("=")
    with suppress(ValueError):  # no URL, or a port that is no number or too large for one
        parts = urlsplit(url)
        port = 3306 if parts.port is None else parts.port
        if _NAME.fullmatch(name) and parts.scheme == "mysql" and parts.hostname and port:
            return Shard(name, parts.hostname, port, parts.username or "smug", password, access)
    raise SettingsError(
        f"SMUG_SHARDS: can't read {entry!r}",
        remedy="write name=mysql://user@host:3306, the name of letters, digits and _",
    )


def _endpoint(environ: Mapping[str, str]) -> str | None:
    url = environ.get("SMUG_KINESIS_ENDPOINT")
    with suppress(ValueError):
        parts = urlsplit(url or "")
        if not url or (parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0):
            return url or None
    raise SettingsError(
        f"SMUG_KINESIS_ENDPOINT is {url!r}", remedy="set it to a URL, or leave it out"
    )


def _number(environ: Mapping[str, str], name: str, default: int, most: int = _LAST_PORT) -> int:
    """A number from 1 to `most`, by default that of a port."""
    text = environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise SettingsError(
            f"{name} is {text!r}", remedy=f"set it to a whole number from 1 to {most}"
        )
    return int(text)


def _memory(environ: Mapping[str, str]) -> str:
    """Bytes that a merge may take; SMUG_MEMORY_MB is in MiB."""
    return str(_number(environ, "SMUG_MEMORY_MB", 2048, 1 << 20) << 20)


def _drain(environ: Mapping[str, str]) -> Drain:
    chosen = environ.get("SMUG_DRAIN", "auto")
    known: tuple[Drain, ...] = ("auto", "on", "off")
    for each in known:
        if chosen == each:
            return each
    raise SettingsError(f"SMUG_DRAIN is {chosen!r}", remedy=f"set it to one of {', '.join(known)}")
