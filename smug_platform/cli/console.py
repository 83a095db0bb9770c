"""What the commands share: one console, one look of tables, and how they are told to stop."""

import fcntl
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table as Grid

_FILE_WIDTH = 160  # of what is written to a file or a pipe, where nothing says how wide it may be


def grid(*columns: str, left: int = 1, title: str | None = None) -> Grid:
    """A plain table; all columns after the first `left` ones are aligned to the right."""
    made = Grid(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None,
        padding=(0, 2),
    )  # fmt: skip
    for number, name in enumerate(columns):
        made.add_column(name, justify="left" if number < left else "right", no_wrap=True)
    return made


def console() -> Console:
    """A console that, written to a file, does not fold lines at 80 columns."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=_FILE_WIDTH)


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Within it, ctrl-C and SIGTERM set the event and interrupt nothing."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def alone(home: Path, name: str, refusal: Exception) -> Iterator[None]:
    """Holds `home/locks/<name>`; raises the refusal when another process does.

    The system lets go of it when the holder dies.
    """
    path = home / "locks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield
