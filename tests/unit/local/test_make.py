"""The ways in: the Makefile says what it offers, and CI goes the same ways."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_help_is_the_default_and_lists_every_target() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    listed = re.findall(r"^make (\w+) +\S", shown, flags=re.MULTILINE)
    assert listed == ["help", "demo", "test", "check", "dev", "up", "down", "bench", "clean"]


def test_ci_runs_check_and_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make check", "make test"]
    assert len(lines) == 5


def test_no_package_index_is_named() -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml", ".ci/run"):
        text = (ROOT / name).read_text()
        assert "://" not in text, name
        assert "index-url" not in text, name
