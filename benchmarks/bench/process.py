"""A function in a process of its own: what it returns, and the memory that it took at most."""

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Done:
    """value: None when the time was up. rss, own: bytes at most, of the process and its children:
    with the files that are mapped into it, whose pages the system takes back at will, and without.
    """

    value: Any
    rss: int
    own: int

    @property
    def memory(self) -> str:
        """Both, in MB."""
        return f"{self.rss / 1e6:,.0f} ({self.own / 1e6:,.0f})"


def fresh(function: Callable[..., Any], *args: Any, seconds: float = 3600.0) -> Done:
    """Call the function in a fresh process, for so many seconds at most.

    Raises RuntimeError when it raises.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is temporary goes
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(there, function, args), daemon=True)
    process.start()
    there.close()
    rss = own = 0
    until = time.monotonic() + seconds
    try:
        while not here.poll(_LOOK_SECONDS):
            now = _memory(process.pid or 0)
            rss, own = max(rss, now[0]), max(own, now[1])
            if time.monotonic() > until:
                return Done(None, rss, own)
        error, value = here.recv()
    finally:
        _end(process.pid or 0)
        process.join()
    if error:
        raise RuntimeError(error)
    return Done(value, rss, own)


def _call(there: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        there.send((None, function(*args)))
    except Exception as error:  # to be raised by who waits for it
        there.send((f"{type(error).__name__}: {error}", None))
        raise


def _memory(pid: int) -> tuple[int, int]:
    """Resident bytes of a process and its children, and those that are no file's."""
    total = own = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                found = one.memory_info()
                total, own = total + found.rss, own + _anonymous(one.pid, found.rss)
    return total, own


def _anonymous(pid: int, rss: int) -> int:
    """Of the resident bytes those that belong to no file; all where the system does not say."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return rss


def _end(pid: int) -> None:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (*process.children(recursive=True), process):
            with suppress(psutil.Error):
                one.kill()
