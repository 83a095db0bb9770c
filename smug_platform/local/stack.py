"""The local stack: shards, Kinesis endpoint and capture workers, up and down in the background.

`up` starts what is not running, so it can be repeated; `down` stops what `up` started and nothing
else. The order matters both ways: the stream must be there before capture, and must outlive it
until what it holds has been landed, because locally it lives in memory.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from smug_platform.capture.resources import open_store
from smug_platform.errors import SourceError, StreamError
from smug_platform.local import kinesis, mariadb
from smug_platform.local.processes import (
    Process,
    Registry,
    last_line,
    python,
    spawn,
    wait_until,
)
from smug_platform.settings import Settings, Shard
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.tables.table import Source

CAPTURE = "capture"
# MySQL's server id of the first shard; Debezium takes ids of its own beside.
_FIRST_SERVER_ID = 101
_GRACE_SECONDS = 60
_CAPTURE_START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the stack, as `status` shows it. pid and since: None while it does not run.

    last_words: of a capture worker that runs no more, the last line of its log.
    """

    name: str
    port: int | None
    pid: int | None = None
    since: datetime | None = None
    last_words: str | None = None


def up(
    settings: Settings,
    source: Source,
    *,
    progress: Callable[[str], None] = lambda _: None,
    capture: bool = True,
    workers: int | None = None,
) -> None:
    """Start what is not running of the shards, the Kinesis endpoint and the capture workers.

    progress: gets a line for each thing that was started. capture: False leaves it to the caller.
    workers: that many capture, those above it are stopped; None leaves those that run, and starts
    one if none does.

    Raises SettingsError in an environment that is not local, SourceError or StreamError when a
    part won't start.
    """
    settings.require_local()
    registry = Registry(settings.home)
    with ThreadPoolExecutor() as starters:
        begun = {
            shard: starters.submit(_up_shard, registry, shard, server_id, source.database)
            for server_id, shard in enumerate(settings.shards, _FIRST_SERVER_ID)
        }
    for shard, start in begun.items():
        if start.result():
            progress(f"{shard.name} answers on port {shard.port}")
    if _up_stream(registry, settings):
        progress(f"Kinesis answers at {settings.stream.endpoint}")
    if capture:
        _up_workers(registry, settings, workers, progress)


def down(
    settings: Settings,
    *,
    drain: Callable[[], object] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Stop what `up` has started: capture, then, after `drain`, the endpoint and the shards.

    drain: lands what the stream still holds; called only while the endpoint runs, for what it
    holds is gone with it.
    """
    registry = Registry(settings.home)
    running = [p.name for p in registry.running()]
    workers = [name for name in running if _is_worker(name)]
    others = [name for name in running if name not in {*_part_names(settings), *workers}]
    with ThreadPoolExecutor() as stoppers:  # at once: what one gives back no other takes
        list(stoppers.map(lambda name: registry.stop(name, grace=_GRACE_SECONDS), workers))
    for name in others:
        registry.stop(name, grace=_GRACE_SECONDS)
    for name in [*others, *workers]:
        progress(f"{name} stopped")
    if drain is not None and registry.find(kinesis.NAME):
        drain()
    for name in (kinesis.NAME, *(shard.name for shard in settings.shards)):
        if registry.stop(name):
            progress(f"{name} stopped")


def status(settings: Settings) -> list[Part]:
    """Each part of the stack, running or not, in the order in which they are started."""
    running = {process.name: process for process in Registry(settings.home).running()}
    ports = {shard.name: shard.port for shard in settings.shards}
    if settings.stream.endpoint:
        ports[kinesis.NAME] = urlsplit(settings.stream.endpoint).port or 0
    parts = []
    for name in dict.fromkeys([*_part_names(settings), *running]):
        process, port = running.get(name), ports.get(name)
        if process:
            since = datetime.fromtimestamp(process.started, UTC)
            parts.append(Part(name, port or process.port, process.pid, since))
        else:
            log = _capture_log(settings, name)
            words = last_line(log) if name == CAPTURE and log.exists() else None
            is_orderly = words is not None and "stopped at" in words
            parts.append(Part(name, port, last_words=None if is_orderly else words))
    return parts


def start_capture(settings: Settings, name: str = CAPTURE, *, workers: int = 1) -> Process:
    """Start a capture worker in the background, with these settings as its environment.

    workers: that are being started with it. Returns when it has signed, and each shard has been
    told of since; raises SourceError when it ends before, with the last line of its log.
    """
    began, store = time.time(), open_store(settings)
    process = spawn(
        name,
        python("-m", "smug_platform.cli", "capture"),
        log=_capture_log(settings, name),
        env={**settings_environ(settings), "SMUG_WORKERS": str(workers)},
    )

    def runs() -> bool:
        if not any(f":{process.pid}:" in signed for signed in store.workers()):
            return False
        found = [store.status(shard.name) for shard in settings.shards]
        fresh = [one for one in found if one and one.updated_at >= began]
        return len(fresh) == len(found) and any(one.phase != "failed" for one in fresh)

    wait_until(runs, process, seconds=_CAPTURE_START_SECONDS, error=SourceError)
    return process


def _up_workers(
    registry: Registry, settings: Settings, count: int | None, progress: Callable[[str], None]
) -> None:
    running = [p.name for p in registry.running() if _is_worker(p.name)]
    wanted = [worker_name(number) for number in range(count or 1)]
    for name in [] if count is None else [name for name in running if name not in wanted]:
        if registry.stop(name, grace=_GRACE_SECONDS):
            progress(f"{name} stopped")

    def start(name: str) -> bool:
        return registry.ensure(name, lambda: start_capture(settings, name, workers=len(wanted)))[1]

    if count is None and running:
        return
    with ThreadPoolExecutor() as starters:
        for name, started in zip(wanted, starters.map(start, wanted), strict=True):
            if started:
                progress(f"{name} runs in the background")


def worker_name(number: int) -> str:
    """The name in the register of the nth capture worker, from 0.

    >>> worker_name(0), worker_name(2)
    ('capture', 'capture_3')
    """
    return CAPTURE if number == 0 else f"{CAPTURE}_{number + 1}"


def _is_worker(name: str) -> bool:
    return name == CAPTURE or name.startswith(f"{CAPTURE}_")


def settings_environ(settings: Settings) -> dict[str, str]:
    """The SMUG_* variables from which `load_settings` makes these settings of a local stack.

    >>> from smug_platform.settings import load_settings
    >>> settings = load_settings({"SMUG_HOME": "/tmp/smug", "SMUG_DRAIN": "on"})
    >>> load_settings(settings_environ(settings)) == settings
    True
    """
    settings.require_local()
    first = settings.shards[0]
    return {
        "SMUG_ENV": settings.env,
        "SMUG_HOME": str(settings.home),
        "SMUG_SHARD_COUNT": str(len(settings.shards)),
        "SMUG_MYSQL_PORT": str(first.port),
        "SMUG_MYSQL_USER": first.user,
        "SMUG_MYSQL_PASSWORD": first.password,
        "SMUG_KINESIS_PORT": str(urlsplit(settings.stream.endpoint or "").port),
        "SMUG_UI_PORT": str(settings.ui_port),
        "SMUG_DRAIN": settings.drain,
    }


def _up_shard(registry: Registry, shard: Shard, server_id: int, database: str) -> bool:
    folder = registry.home / "mysql" / shard.name
    process, started = registry.ensure(
        shard.name, lambda: mariadb.start_shard(shard, folder, server_id=server_id)
    )
    if process.port != shard.port:
        raise SourceError(
            f"{shard.name} runs on port {process.port} already",
            remedy=f"set SMUG_MYSQL_PORT as it was, or run `smug down` to start it on {shard.port}",
        )
    mariadb.load_schema(shard, database=database)
    return started


def _up_stream(registry: Registry, settings: Settings) -> bool:
    process, started = registry.ensure(
        kinesis.NAME, lambda: kinesis.start_kinesis(settings.stream, settings.home / "logs")
    )
    if process.port != urlsplit(settings.stream.endpoint or "").port:
        raise StreamError(
            f"Kinesis runs on port {process.port} already",
            remedy="set SMUG_KINESIS_PORT as it was, or run `smug down`",
        )
    ensure_stream(kinesis_client(settings.stream), settings.stream)
    return started


def _capture_log(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"{name}.log"


def _part_names(settings: Settings) -> Sequence[str]:
    return [*(shard.name for shard in settings.shards), kinesis.NAME, CAPTURE]
