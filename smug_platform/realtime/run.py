"""The consumer as a process: step after step, until it is told to stop."""

import logging
import threading

from pyiceberg.table import Table as Iceberg

from smug_platform import iceberg
from smug_platform.errors import StreamError
from smug_platform.lake.merge import name_of
from smug_platform.lake.target import Target
from smug_platform.raw.catalog import open_catalog
from smug_platform.realtime.consume import Consumer, Step
from smug_platform.realtime.effects import Lake
from smug_platform.realtime.store import Store, store_path
from smug_platform.settings import Settings
from smug_platform.stream.resources import Stream
from smug_platform.tables.table import Source

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.25  # at the tip; Kinesis allows five reads a second of a shard
_AGAIN_SECONDS = 2.0
_TELL_SECONDS = 10.0


def consume(
    settings: Settings, source: Source, *, stop: threading.Event, until_quiet: bool = False
) -> Step:
    """Count what the stream brings until `stop` is set, or nothing is left to read; what was done.

    A stream that does not answer is asked again. Raises StreamError for what does not pass.
    """
    total, told = Step(), 0.0
    with Store(store_path(settings)) as store:
        consumer = Consumer(store, Stream(settings).reader, source, lake=lake_of(settings))
        while not stop.is_set():
            try:
                step = consumer.step()
            except StreamError as error:
                if not error.passes or until_quiet:
                    raise
                _log.warning("%s", error)
                stop.wait(_AGAIN_SECONDS)
                continue
            _add(total, step)
            if consumer.progress.updated_at - told >= _TELL_SECONDS and step.changes:
                told = consumer.progress.updated_at
                _log.info("%d changes counted, %s behind", total.changes, step.behind)
            if not step.behind:
                if until_quiet:
                    break
                stop.wait(_PAUSE_SECONDS)
    return total


def lake_of(settings: Settings) -> Lake:
    """The lake's tables. A catalog that does not answer is done without."""

    def table(target: Target) -> Iceberg | None:
        try:
            return iceberg.load(open_catalog(settings), name_of(target))
        except Exception:  # noqa: BLE001  of whatever store it is kept in
            _log.warning("the lake can't be asked for %s", target.table.name, exc_info=True)
            return None

    return table


def _add(total: Step, step: Step) -> None:
    for name in ("changes", "duplicates", "identical", "refused"):
        setattr(total, name, getattr(total, name) + getattr(step, name))
    total.behind, total.seconds = step.behind, total.seconds + step.seconds
