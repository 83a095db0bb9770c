"""Every one of the first forty cases has a test that carries its id, and so has every case of order
(J) and of the lake (N), or it says here where it belongs.
"""

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
ELSEWHERE = {
    ("J", 8): "capture: what was rolled back is not in the binlog, or Debezium holds it back",
    ("J", 9): "capture: Debezium sends a transaction when the source has committed it",
    ("J", 10): "warehouse: the lake publishes table by table, dbt's marts all at one position",
    ("J", 19): "warehouse: test_whole_way kills a run between the lake and the warehouse",
    ("N", 11): "governance: grants on columns are Lake Formation's",
}
"""Cases that raw and lake don't decide, and who does."""
_CHAPTERS = {"J": 20, "N": 12}
LAKE_CASES = tuple(
    (chapter, number) for chapter, last in _CHAPTERS.items() for number in range(1, last + 1)
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


@pytest.mark.parametrize("case", LAKE_CASES, ids=lambda case: f"{case[0]}{case[1]:02}")
def test_case_of_the_lake_is_automated_or_belongs_elsewhere(
    case: tuple[str, int], automated: set[str]
) -> None:
    chapter, number = case
    assert f"{chapter}{number:02}" in automated or case in ELSEWHERE
