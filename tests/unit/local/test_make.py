"""The ways in: the Makefile says what it offers, and CI goes the same ways."""

import re
import shutil
import subprocess
from pathlib import Path

from smug_platform.local.demo import _STATE

ROOT = Path(__file__).parents[3]


def test_help_is_the_default_and_lists_every_target() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    listed = re.findall(r"^make (\w+) +\S", shown, flags=re.MULTILINE)
    assert listed == ["help", "demo", "test", "check", "dev", "up", "down", "bench", "clean"]


def test_clean_removes_what_a_stack_leaves_in_its_home_and_nothing_else(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "a home"
    project.mkdir()
    shutil.copy(ROOT / "Makefile", project)

    def clean() -> None:
        command = ["make", "clean", f"SMUG_HOME={home}"]
        subprocess.run(command, cwd=project, check=True, capture_output=True)

    for name in (*_STATE, "locks", "dashboard"):
        (home / name).mkdir(parents=True)
    (home / "mine").touch()
    clean()
    assert [path.name for path in home.iterdir()] == ["mine"]
    (home / "mine").unlink()
    clean()
    assert not home.exists()
    clean()


def test_ci_runs_check_and_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make check", "make test"]
    assert len(lines) == 5


def test_no_package_index_is_named() -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml", ".ci/run"):
        text = (ROOT / name).read_text()
        assert "://" not in text, name
        assert "index-url" not in text, name
