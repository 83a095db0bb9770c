"""A table read anew from its source, into the lake: what a replay from the archive spares."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench import readers
from bench.job import Job
from bench.process import fresh
from bench.sources import fill, running, source_of
from bench.stack import settings_in
from smug_platform.settings import Settings
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.sync import Platform

_SHAPE = "narrow"


@dataclass(frozen=True)
class Read:
    """Seconds until the rows were on the stream, and those that landing and merging them took."""

    captured: float
    merged: float


def resnapshot(home: Path, rows: int) -> Read:
    """Read so many rows of 8 columns from two local shards, in pieces, and bring them to the lake.

    The start of capture, and that of its virtual machine, are not counted.
    """
    settings = settings_in(home)
    settings = replace(settings, claims=f"file://{home}/claims")
    share = rows // len(settings.shards)
    with running(settings):
        ensure_stream(kinesis_client(settings.stream), settings.stream)
        fill(settings, _SHAPE, share)
        captured, _ = fresh(readers.ours, Job(settings, _SHAPE, share)).value
        return Read(captured, fresh(_bring, settings).value)


def _bring(settings: Settings) -> float:
    """Land and merge what is on the stream."""
    platform = Platform(settings, source_of(_SHAPE))
    started = time.perf_counter()
    for _ in platform.land():
        pass
    for target in platform.unmerged():
        platform.merge(target)
    return time.perf_counter() - started
