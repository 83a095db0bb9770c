import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from smug_platform.errors import SmugError, SourceError
from smug_platform.local.processes import (
    Process,
    Registry,
    last_line,
    port_holder,
    python,
    spawn,
    wait_until,
)

# Ready when it has written a line; ends by itself, should a test fail to stop it.
STUBBORN = "import signal,time;signal.signal(15,signal.SIG_IGN);print(1,flush=True);time.sleep(60)"
PARENT = (
    "import subprocess,time;p=subprocess.Popen(['sleep','60']);print(p.pid,flush=True);"
    "time.sleep(60)"
)


def sleeper(folder: Path, name: str = "sleeper") -> Process:
    return spawn(name, ["/bin/sleep", "60"], log=folder / f"{name}.log")


def first_words(process: Process) -> str:
    log = Path(process.log or "")
    deadline = time.monotonic() + 20
    while not log.read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return log.read_text().strip()


def test_a_process_runs_in_a_session_of_its_own_until_it_is_stopped(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    assert process.alive
    assert os.getsid(process.pid) == process.pid
    assert process.stop()
    assert not process.alive
    assert not psutil.pid_exists(process.pid)  # nor a zombie
    assert not process.stop()


def test_environment_and_log_reach_the_process(tmp_path: Path) -> None:
    argv = python("-c", "import os; print(os.environ['SMUG_TEST'], os.environ['PATH'] != '')")
    process = spawn("echo", argv, log=tmp_path / "logs" / "echo.log", env={"SMUG_TEST": "é"})
    assert first_words(process) == "é True"
    process.stop()
    again = spawn("echo", argv, log=tmp_path / "logs" / "echo.log", env={"SMUG_TEST": "2"})
    assert first_words(again) == "2 True"
    again.stop()
    assert (tmp_path / "logs" / "echo.previous.log").read_text() == "é True\n"


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    process = spawn("stubborn", python("-c", STUBBORN), log=tmp_path / "log")
    first_words(process)
    assert process.stop(grace=0.2)
    assert not process.alive


def test_children_go_with_their_parent(tmp_path: Path) -> None:
    process = spawn("parent", python("-c", PARENT), log=tmp_path / "log")
    child = psutil.Process(int(first_words(process)))
    process.stop()
    with suppress(psutil.NoSuchProcess):
        deadline = time.monotonic() + 10
        while child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_pid_that_was_given_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    stranger = replace(process, started=process.started - 3600)
    assert not stranger.alive
    assert not stranger.stop()
    assert process.alive
    process.stop()


def test_the_register_knows_what_runs(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    process, started = registry.ensure("a", lambda: sleeper(tmp_path, "a"))
    assert started
    assert registry.ensure("a", lambda: sleeper(tmp_path, "a")) == (process, False)
    other, _ = registry.ensure("b", lambda: sleeper(tmp_path, "b"))
    assert Registry(tmp_path).running() == [process, other]
    assert registry.stop("a")
    assert not registry.stop("a")
    assert registry.running() == [other]
    other.stop()
    assert registry.find("b") is None


def test_a_dead_process_is_started_anew(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    first, _ = registry.ensure("a", lambda: sleeper(tmp_path, "a"))
    first.stop()
    second, started = registry.ensure("a", lambda: sleeper(tmp_path, "a"))
    assert started
    assert second.pid != first.pid
    registry.stop("a")


def test_of_two_callers_at_once_one_starts(tmp_path: Path) -> None:
    def start() -> Process:
        time.sleep(0.2)
        return sleeper(tmp_path)

    with ThreadPoolExecutor(4) as callers:
        got = list(callers.map(lambda _: Registry(tmp_path).ensure("one", start), range(4)))
    assert len({process.pid for process, _ in got}) == 1
    assert sorted(started for _, started in got) == [False, False, False, True]
    Registry(tmp_path).stop("one")


def test_two_names_at_once_lose_no_entry(tmp_path: Path) -> None:
    names = [f"n{i}" for i in range(6)]
    with ThreadPoolExecutor(6) as callers:
        list(
            callers.map(
                lambda name: Registry(tmp_path).ensure(name, lambda: sleeper(tmp_path, name)),
                names,
            )
        )
    assert sorted(p.name for p in Registry(tmp_path).running()) == names
    for name in names:
        assert Registry(tmp_path).stop(name)


def test_a_failed_start_leaves_no_entry(tmp_path: Path) -> None:
    def start() -> Process:
        raise SourceError("no", remedy="none")

    with pytest.raises(SourceError):
        Registry(tmp_path).ensure("a", start)
    assert Registry(tmp_path).running() == []


@pytest.mark.parametrize("text", ["{", '[{"name": "a"}]'])
def test_a_register_that_cannot_be_read_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "processes.json").write_text(text)
    with pytest.raises(SmugError, match="remove it"):
        Registry(tmp_path).running()


def test_who_holds_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert str(os.getpid()) in str(port_holder(port))
    assert port_holder(port) is None


def test_waiting_ends_with_the_process_and_its_last_words(tmp_path: Path) -> None:
    argv = python("-c", "import sys; print('ERROR: no room'); print('bye'); sys.exit(1)")
    process = spawn("dying", argv, log=tmp_path / "log")
    with pytest.raises(SourceError, match="dying stopped as it started: ERROR: no room: its log"):
        wait_until(lambda: False, process, seconds=20, error=SourceError)


def test_waiting_does_not_last_for_ever(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    with pytest.raises(SourceError, match="sleeper did not answer within 0 s"):
        wait_until(lambda: False, process, seconds=0.1, error=SourceError)
    assert not process.alive


def test_the_last_line_is_the_last_error_if_there_is_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("[ERROR] unknown variable\n[Note] on\n[ERROR] Aborting\n")
    assert last_line(log) == "[ERROR] unknown variable"
    log.write_text("one\ntwo\n\n")
    assert last_line(log) == "two"
    log.write_text("")
    assert last_line(log) == "it left no log"
