import logging
import os
from pathlib import Path

import pytest

from smug_platform.tables.declared import Declared
from smug_platform.tables.flickr import FLICKR

TEXT = """
from smug_platform.tables.table import Source, Table
FLICKR = Source(database="f", tables=({}))
"""
TABLE = 'Table(name="{}", domain="d", owner="o"),'


def write(file: Path, text: str) -> None:
    """A change that is seen however coarse the file system's clock is."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text)
    os.utime(file, ns=(before + 10**9, before + 10**9))


def test_the_projects_own_contract_is_what_is_declared():
    assert Declared()() == FLICKR


def test_a_changed_file_counts_at_once(tmp_path: Path):
    file = tmp_path / "contract.py"
    write(file, TEXT.format(TABLE.format("one")))
    declared = Declared(file)
    assert [table.name for table in declared().tables] == ["one"]
    write(file, TEXT.format(TABLE.format("one") + TABLE.format("two")))
    assert [table.name for table in declared().tables] == ["one", "two"]


@pytest.mark.parametrize(
    "text", ["FLICKR = (", "FLICKR = None", TEXT.format(TABLE.format("one") * 2)]
)
def test_what_was_declared_stays_in_force_while_the_file_says_nothing_that_can_be(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
):
    file = tmp_path / "contract.py"
    write(file, TEXT.format(TABLE.format("one")))
    declared = Declared(file)
    write(file, text)
    with caplog.at_level(logging.ERROR):
        assert [table.name for table in declared().tables] == ["one"]
        declared()
    assert len(caplog.records) == 1
    assert "stays in force" in caplog.text
    file.unlink()
    assert [table.name for table in declared().tables] == ["one"]
