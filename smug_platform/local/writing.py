"""The workload in a process of its own, for a caller that has work to do meanwhile."""

import multiprocessing
import signal
import time
from collections.abc import Iterator
from typing import Any

from smug_platform.errors import SourceError
from smug_platform.local.workload import run_workload
from smug_platform.settings import Settings


def writing(
    settings: Settings, *, changes: int, seed: int, evolve: bool = True, pause: float = 0.1
) -> Iterator[int]:
    """Write at least `changes` row changes; yields the rows written so far until that is done.

    pause: seconds between two looks. Raises SourceError when the workload failed. A caller that
    gives up ends it.
    """
    settings.require_local()
    context = multiprocessing.get_context("spawn")
    rows = context.Value("q", 0)
    told, telling = context.Pipe(duplex=False)
    writer = context.Process(
        target=_write, args=(settings, changes, seed, evolve, rows, telling), daemon=True
    )
    writer.start()
    try:
        while writer.is_alive():
            yield rows.value
            time.sleep(pause)
    finally:
        writer.terminate()
        writer.join()
    if writer.exitcode:
        ended = ("the workload has ended", "run it again")
        problem, remedy = told.recv() if told.poll() else ended
        raise SourceError(problem, remedy=remedy)
    yield rows.value


def _write(
    settings: Settings, changes: int, seed: int, evolve: bool, rows: Any, telling: Any
) -> None:
    """What the process does. rows: a shared number; telling: gets problem and remedy."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is the caller's, who then ends us

    def progress(done: int) -> None:
        rows.value = done

    try:
        run_workload(settings.shards, seed=seed, changes=changes, evolve=evolve, progress=progress)
    except SourceError as error:
        telling.send((error.problem, error.remedy))
        raise SystemExit(1) from None
