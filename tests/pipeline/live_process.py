"""A consumer that ends at a chosen moment without a word.

python -m tests.pipeline.live_process DATABASE STREAM MOMENT STEPS: counts what is recorded, a few
changes a step, and kills itself at that moment of the step after so many.
"""

import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smug_platform.realtime import store as stored
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.store import Store
from smug_platform.tables.flickr import FLICKR

MOST = 40
ALL = "all is written, and not committed"
MOMENTS = {
    "before anything is written": "refuse_another",
    "the windows are written, and not where the lanes stand": "save_lanes",
    "the lanes are written, and not where the stream stands": "save_progress",
    ALL: "save_progress",
}
"""At the call of what; for `ALL` once it has returned."""


def main(database: str, stream: str, moment: str, steps: str) -> None:
    with Store(Path(database)) as store:
        consumer = Consumer(store, pickle.loads(Path(stream).read_bytes()), FLICKR)
        for _ in range(int(steps)):
            if not consumer.step(most=MOST).behind:
                sys.exit("the stream is at its end")
        name = MOMENTS[moment]
        setattr(stored, name, _then(getattr(stored, name)) if moment == ALL else _die)
        consumer.step(most=MOST)
    sys.exit(f"it was not killed: {moment}")


def _then(work: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any) -> None:
        work(*arguments)
        _die()

    return wrapped


def _die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
