"""Every one of the first forty cases has a test that carries its id."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
_BY_CHAPTER = {
    "A": (3, 5, 6, 8),
    "B": (3, 6),
    "C": (1, 6, 10, 15),
    "D": (4, 10),
    "E": (3, 8, 10, 14),
    "F": (1, 5),
    "G": (2, 3, 6, 15, 16, 24),
    "H": (1, 5),
    "I": (2,),
    "J": (1, 3, 6, 7, 12),
    "K": (1, 2),
    "L": (4,),
    "M": (1, 3),
    "N": (1,),
    "O": (3,),
    "P": (1,),
}
FIRST_40 = tuple(
    f"{chapter}{number:02}" for chapter, numbers in _BY_CHAPTER.items() for number in numbers
)
_ID = re.compile(r"(?:^|_)([A-R]\d\d)(?=$|[_-])")


def _ids() -> Iterator[str]:
    """The ids in the names of tests, and in the strings that name parameters."""
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield from _ID.findall(node.name)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from _ID.findall(node.value)


@pytest.fixture(scope="module")
def automated() -> set[str]:
    return set(_ids())


@pytest.mark.parametrize("case", FIRST_40)
def test_case_is_automated(case: str, automated: set[str]) -> None:
    assert case in automated
