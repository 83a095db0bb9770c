"""Processes that the local stack starts, and the register of them in `home/processes.json`.

A process is known by its pid and its start time, so that a pid which the system has given to
somebody else is never taken for ours: what we did not start, we do not stop. The register is
written under a file lock and replaced whole; a part is started under a lock of its own name, so
that of two `smug up` at once one starts it and the other finds it running.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from smug_platform.errors import SmugError

# The start time comes from the boot time, in whole seconds, which moves when the clock is adjusted.
_SAME_START_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Process:
    """A process that we started; started: seconds since 1970; port: what it listens on, if any."""

    name: str
    pid: int
    started: float
    port: int | None = None
    log: str | None = None

    @property
    def alive(self) -> bool:
        """True while that very process runs; a zombie does not."""
        return self._handle() is not None

    def stop(self, *, grace: float = 30.0) -> bool:
        """SIGTERM, up to `grace` seconds to finish, then SIGKILL to it and to its children.

        Returns whether there was something to stop.
        """
        handle = self._handle()
        if handle is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            family = handle.children(recursive=True)
            handle.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + grace
            while self.alive and time.monotonic() < deadline:
                time.sleep(0.02)
            for process in (handle, *family):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        while self.alive:
            time.sleep(0.02)
        return True

    def _handle(self) -> psutil.Process | None:
        try:
            handle = psutil.Process(self.pid)
            if abs(handle.create_time() - self.started) > _SAME_START_SECONDS:
                return None
            if handle.status() == psutil.STATUS_ZOMBIE:
                # Dead. If it is a child of ours, take it off the process table; else that is up
                # to pid 1, which in a container may never do it.
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(self.pid, os.WNOHANG)
                return None
        except psutil.NoSuchProcess:
            return None
        return handle


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Process:
    """Start argv in a session of its own, so that a ctrl-C in the terminal does not reach it.

    log: where its output goes; the log of the time before is kept as `.previous.log`.
    env: added to this process's environment, which is handed on as it is. argv[0] is a path.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    pid = os.posix_spawn(
        argv[0],
        list(argv),
        child_environ(env or {}),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), writing, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Process(name, pid, psutil.Process(pid).create_time(), port, str(log))


def child_environ(added: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, handed on as it is, with these variables."""
    return {**os.environ, **added}


def last_line(log: Path) -> str:
    """The last line of a log that says something, the latest error before any other.

    >>> last_line(Path("/nowhere/at/all.log"))
    'it left no log'
    """
    with contextlib.suppress(OSError):
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
        lines = [line for line in lines if line and not line.endswith("Aborting")]
        errors = [line for line in lines if "ERROR" in line or "Error" in line]
        if errors or lines:
            return (errors or lines)[-1]
    return "it left no log"


def port_holder(port: int) -> str | None:
    """Who listens on a port of this machine: None when it is free, else a name to show people."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return _listener(port)
    return None


def _listener(port: int) -> str:
    with contextlib.suppress(psutil.Error):
        for held in psutil.net_connections("tcp"):
            if held.status == psutil.CONN_LISTEN and held.laddr[1:] == (port,) and held.pid:
                return f"{psutil.Process(held.pid).name()} (pid {held.pid})"
    return "another program"


def wait_until(
    ready: Callable[[], bool], process: Process, *, seconds: float, error: type[SmugError]
) -> None:
    """Poll `ready` until it holds; raises `error` when the process ends or the time is up.

    Whatever it raises, a ctrl-C included, the process is stopped: it is in no register yet.
    """
    deadline = time.monotonic() + seconds
    log = Path(process.log or os.devnull)
    with contextlib.ExitStack() as undo:
        undo.callback(process.stop, grace=5)
        while not ready():
            if not process.alive:
                problem = f"{process.name} stopped as it started: {last_line(log)}"
                raise error(problem, remedy=_see(log))
            if time.monotonic() > deadline:
                problem = f"{process.name} did not answer within {seconds:.0f} s"
                raise error(problem, remedy=_see(log))
            time.sleep(0.05)
        undo.pop_all()


def _see(log: Path) -> str:
    return f"its log is {log}"


@dataclass(frozen=True)
class Registry:
    """What this home's stack has started. Every method reads the file anew."""

    home: Path

    def running(self) -> list[Process]:
        """The processes that are alive, in the order in which they were started."""
        return [process for process in self._read() if process.alive]

    def find(self, name: str) -> Process | None:
        """The running process of that name, or None."""
        return next((p for p in self.running() if p.name == name), None)

    def ensure(self, name: str, start: Callable[[], Process]) -> tuple[Process, bool]:
        """The running process of that name, started if there is none; and whether it was started.

        Two callers at once get the same process.
        """
        with self._locked(name):
            if (found := self.find(name)) is not None:
                return found, False
            process = replace(start(), name=name)
            self._replace(name, process)
            return process, True

    def stop(self, name: str, *, grace: float = 30.0) -> bool:
        """Stop the process of that name if it is ours and alive; whether there was one."""
        with self._locked(name):
            found = self.find(name)
            stopped = found is not None and found.stop(grace=grace)
            self._replace(name, None)
        return stopped

    def _replace(self, name: str, process: Process | None) -> None:
        with self._locked("processes"):
            kept = [p for p in self._read() if p.name != name and p.alive]
            kept += [process] if process else []
            fresh = self.home / f"processes.{os.getpid()}.tmp"
            fresh.write_text(json.dumps([asdict(p) for p in kept], indent=1))
            fresh.replace(self.home / "processes.json")

    def _read(self) -> list[Process]:
        path = self.home / "processes.json"
        if not path.exists():
            return []
        try:
            return [Process(**entry) for entry in json.loads(path.read_text())]
        except (ValueError, TypeError) as fault:
            raise SmugError(
                f"{path} can't be read ({fault})",
                remedy="remove it, and stop by hand what it listed",
            ) from None

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold `home/locks/<name>`; the system lets go of it when the holder dies."""
        path = self.home / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def python(*args: str) -> list[str]:
    """An argv that runs this very interpreter.

    >>> python("-V")[1:]
    ['-V']
    """
    return [sys.executable, *args]
