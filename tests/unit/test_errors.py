"""Each error that people see stands in the operators' table, with what to do."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import smug_platform
from smug_platform.errors import SmugError

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
_ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def family(error: type[SmugError]) -> Iterator[type[SmugError]]:
    """A class and all that derive from it."""
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def test_the_table_of_errors_has_each_class_and_no_other() -> None:
    for module in pkgutil.walk_packages(smug_platform.__path__, "smug_platform."):
        if not module.name.endswith(("__main__", "_scan")):  # of C, loaded by ctypes alone
            importlib.import_module(module.name)
    raised = {e.__name__ for e in family(SmugError) if e.__module__.startswith("smug_platform.")}
    assert len(raised) > 20
    text = OPERATIONS.read_text().partition("## Errors, by class")[2]
    told = [name for name, _, _ in _ROW.findall(text)]
    assert sorted(told) == sorted(raised)
