"""The demo, as a stranger runs it: from nothing to verified, twice in the same place."""

import os
import subprocess
import sys
from pathlib import Path

from smug_platform.local.processes import Registry
from smug_platform.local.stack import settings_environ
from tests.conftest import local_settings


def test_the_demo_ends_verified_and_leaves_a_stack_that_can_be_stopped(tmp_path: Path) -> None:
    settings = local_settings(tmp_path)

    def smug(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "smug_platform.cli", *arguments],
            env={**os.environ, **settings_environ(settings)},
            capture_output=True,
            text=True,
            timeout=280,
        )

    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "left over").touch()
    try:
        done = smug("demo", "--changes", "2000")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "verified: source = lake = warehouse" in done.stdout
        assert (tmp_path / "dashboard" / "index.html").stat().st_size > 500_000
        assert not (tmp_path / "lake" / "left over").exists()
        assert [p.name for p in Registry(tmp_path).running()][-1] == "capture"
        captured = [
            line.split() for line in smug("status").stdout.splitlines() if " streaming " in line
        ]
        assert [row[0] for row in captured] == ["shard_0", "shard_1"]
        assert all(row[6] == "s" and float(row[5]) < 10.0 for row in captured), captured
    finally:
        stopped = smug("down")
    assert stopped.stdout.count("stopped") == 4
    assert Registry(tmp_path).running() == []
