"""A start of Java with what `make setup` recorded, and with what is of no use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from smug_platform.capture.jvm import CACHE, fingerprint, made_of
from smug_platform.settings import PROJECT

_WARM_UP = """
import os, sys
from pathlib import Path
from smug_platform.capture import jvm
from smug_platform.capture.engine import warm_up
from smug_platform.settings import load_settings
from smug_platform.tables.flickr import FLICKR
jvm.CACHE, home = Path(sys.argv[1]), Path(sys.argv[2])
shard = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)}).shards[0]
warm_up(shard, FLICKR, folder=home, logs=home)
os._exit(0)
"""


def loaded(cache: Path, home: Path) -> list[str]:
    """Debezium's classes that a warm-up loads, each with where from; fails if anything is said."""
    log = home / "classes.log"
    options = os.environ.get("JAVA_TOOL_OPTIONS", "")
    done = subprocess.run(
        [sys.executable, "-c", _WARM_UP, str(cache), str(home)],
        cwd=PROJECT,
        env={**os.environ, "JAVA_TOOL_OPTIONS": f"{options} -Xlog:class+load:file={log}"},
        capture_output=True,
        text=True,
        check=True,
    )
    said = (done.stdout + done.stderr).splitlines()
    assert [line for line in said if not line.startswith("Picked up")] == []
    return [line for line in log.read_text().splitlines() if " io.debezium." in line]


def test_classes_come_from_what_the_setup_recorded(tmp_path: Path) -> None:
    assert CACHE.is_file(), "make setup"
    classes = loaded(CACHE, tmp_path)
    kept = [line for line in classes if "shared objects file" in line]
    assert len(kept) > 0.9 * len(classes) > 100


def test_what_is_no_record_is_done_without(tmp_path: Path) -> None:
    other = tmp_path / "capture.aot"
    other.write_bytes(b"of another Java" * 1000)
    made_of(other).write_text(fingerprint())
    classes = loaded(other, tmp_path)
    assert len(classes) > 100
    assert not any("shared objects file" in line for line in classes)


def test_a_record_of_other_classes_than_are_altered_now_is_not_used(tmp_path: Path) -> None:
    old = tmp_path / "capture.aot"
    shutil.copy(CACHE, old)
    made_of(old).write_text("another fingerprint")
    assert not any("shared objects file" in line for line in loaded(old, tmp_path))
