"""A local stack of a benchmark's own: free ports, a temporary home, commands in the background."""

import os
import socket
import subprocess
from pathlib import Path

from smug_platform.local import stack
from smug_platform.local.processes import python
from smug_platform.settings import PROJECT, Settings, load_settings


def settings_in(home: Path) -> Settings:
    """Settings of a local stack in that folder, on free ports."""
    ports = []
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [one.getsockname()[1] for one in held]
    first = _pair()
    for one in held:
        one.close()
    return load_settings(
        {
            "SMUG_HOME": str(home),
            "SMUG_MYSQL_PORT": str(first),
            "SMUG_KINESIS_PORT": str(ports[0]),
            "SMUG_UI_PORT": str(ports[1]),
        }
    )


def _pair() -> int:
    """The first of two free ports in a row."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            first = int(one.getsockname()[1])
            try:
                socket.create_server(("127.0.0.1", first + 1)).close()
            except OSError:
                continue
            return first


def workload(settings: Settings, *arguments: str) -> "subprocess.Popen[bytes]":
    """`smug workload`, in the background."""
    argv = python("-m", "smug_platform.cli", "workload", *arguments)
    return start(settings, argv, settings.home / "logs" / "workload.log")


def start(settings: Settings, argv: list[str], log: Path) -> "subprocess.Popen[bytes]":
    """A command with these settings, in a session of its own."""
    environ = os.environ | stack.settings_environ(settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            argv, cwd=PROJECT, env=environ, stdout=file, stderr=file, start_new_session=True
        )
