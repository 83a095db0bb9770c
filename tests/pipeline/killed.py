"""A pass that ends at a chosen moment without a word, as a killed run does.

python -m tests.pipeline.killed HOME RECORDED MOMENT: brings what is recorded to the marts, and
kills itself at that moment.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smug_platform.lake.merged import Merged
from smug_platform.raw import land as landing
from smug_platform.raw.land import Landed
from smug_platform.settings import load_settings
from smug_platform.sync import Platform, sync
from smug_platform.tables.flickr import FLICKR
from smug_platform.warehouse.dbt import NodeResult
from smug_platform.warehouse.load import Loaded
from tests.recorded import RecordedStream, load_recorded

MOMENTS = {
    "before the raw commit": None,
    "between raw and lake": Landed,
    "between two lake tables": Merged,
    "between lake and warehouse": None,
    "between two replicas": Loaded,
    "between warehouse and models": None,
    "between two models": NodeResult,
}


def main(home: str, recorded: str, moment: str) -> None:
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": home})
    stream = RecordedStream(settings, load_recorded(Path(recorded)))
    platform = Platform(settings, FLICKR, stream=stream)
    if moment == "before the raw commit":
        landing.quarantine = _then_die(landing.quarantine)  # type: ignore[assignment]
    elif moment == "between lake and warehouse":
        platform.load = _die  # type: ignore[assignment, method-assign]
    elif moment == "between warehouse and models":
        platform.build = _die  # type: ignore[assignment, method-assign]
    kind = MOMENTS[moment]
    sync(platform, progress=lambda result: _die() if kind and isinstance(result, kind) else None)
    sys.exit(f"it was not killed {moment}")


def _then_die(work: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **more: Any) -> Any:
        work(*args, **more)
        _die()

    return wrapped


def _die(**_more: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
