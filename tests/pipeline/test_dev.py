"""`make dev`, as it is typed: the stack, the Dagster UI on it, and an end by ctrl-C."""

import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from smug_platform.local import stack
from smug_platform.settings import PROJECT
from tests.conftest import local_settings

SECONDS = 90


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as found:
            return bool(found.status == 200)
    except OSError:
        return False


def test_the_ui_comes_up_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    settings = local_settings(tmp_path)
    log = tmp_path / "dev.log"
    environ = {
        **os.environ,
        **stack.settings_environ(settings),
        "SMUG_DRAIN": "off",
        "DAGSTER_MODULE_NAME": "smug_platform.definitions",  # as a user of Dagster may have it
    }
    with log.open("w") as said:
        process = subprocess.Popen(
            ["make", "dev"], cwd=PROJECT, env=environ, stdout=said, stderr=said, process_group=0
        )
        try:
            until = time.monotonic() + SECONDS
            url = f"http://127.0.0.1:{settings.ui_port}/server_info"
            while not answers(url):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            stack.down(settings, progress=lambda _: None)
    assert "the stack runs on" in log.read_text()
    assert not answers(url)
