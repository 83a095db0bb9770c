"""The score of the conformance cases: a part of pytest's summary, and `docs/conformance.md`.

python -m tests.conformance.score > docs/conformance.md

`cases.txt` holds the cases. A test belongs to those whose ids stand in its name or in that of its
parameters; what does not pass is told with its reason in `unmet`.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.unmet import NOT_APPLICABLE, OPEN, PARTLY

TESTS = Path(__file__).parents[1]
_ID = re.compile(r"(?:^|[\[_-])([A-R]\d\d)(?=$|[\]_-])")
_WITHOUT_TEST = NOT_APPLICABLE | OPEN


def cases() -> dict[str, dict[str, str]]:
    """Each chapter's cases: what is expected, by id."""
    found: dict[str, dict[str, str]] = {}
    for line in (Path(__file__).parent / "cases.txt").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if first == "#":
            found[rest] = {}
        else:
            found[list(found)[-1]][first] = rest
    return found


def all_cases() -> dict[str, str]:
    return {id_: text for chapter in cases().values() for id_, text in chapter.items()}


def named() -> dict[str, set[str]]:
    """The ids in the names of tests and in the texts that name parameters, with their files."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(TESTS.rglob("*.py")):
        if path.name != "unmet.py":
            for id_ in _ids(path):
                found[id_].add(str(path.relative_to(TESTS.parent)))
    return found


def _ids(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield from _ID.findall(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _ID.findall(node.value) if len(node.value) < 80 else ()


class Score:
    """What a run found, by case: the worst outcome of its tests."""

    def __init__(self) -> None:
        self._outcomes: dict[str, set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
            for id_ in _ID.findall(report.nodeid.rpartition("::")[2]):
                self._outcomes[id_].add(outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._outcomes:
            return
        known = all_cases()
        ran = {id_: found for id_, found in self._outcomes.items() if id_ in known}
        apart = NOT_APPLICABLE.keys() | PARTLY.keys()
        passed = [id_ for id_, found in ran.items() if found == {"passed"} and id_ not in apart]
        failed = sorted(id_ for id_, found in ran.items() if "failed" in found)
        partly = [id_ for id_ in PARTLY if id_ in ran and id_ not in failed]
        terminalreporter.section("conformance")
        terminalreporter.line(
            f"{len(passed)} cases passed, {len(partly)} in part (xfail), {len(failed)} failed,"
            f" {len(NOT_APPLICABLE)} not applicable here, {len(OPEN)} open, of {len(known)};"
            " docs/conformance.md has the reasons"
        )
        if failed:
            terminalreporter.line(f"failed: {' '.join(failed)}")


def page() -> str:
    """The page of docs."""
    files, known = named(), all_cases()
    passing = len(known) - len(PARTLY) - len(_WITHOUT_TEST)
    lines = [
        "# Conformance",
        "",
        "The hard cases that this platform is held to, made by"
        " `python -m tests.conformance.score > docs/conformance.md`. A case passes when, at a",
        "position of the source, source, lake and warehouse hold the same. `pytest -k A05` runs the"
        " tests of one; each run ends with the score.",
        "",
        f"**{passing} of {len(known)} pass**, {len(PARTLY)} in part, {len(NOT_APPLICABLE)} do not"
        f" apply to the server that runs here, {len(OPEN)} are open.",
    ]
    for chapter, held in cases().items():
        lines += ["", f"## {chapter}", "", "| Case | Expected | Here |", "|---|---|---|"]
        for id_, text in held.items():
            shown = text.replace("|", "\\|")
            lines.append(f"| {id_} | {shown} | {_here(id_, files.get(id_, set()))} |")
    return "\n".join(lines) + "\n"


def _here(id_: str, files: set[str]) -> str:
    if id_ in NOT_APPLICABLE:
        return f"not applicable: {NOT_APPLICABLE[id_]}"
    if id_ in OPEN:
        return f"open: {OPEN[id_]}"
    places = ", ".join(f"`{Path(file).stem}`" for file in sorted(files))
    return f"in part: {PARTLY[id_]} ({places})" if id_ in PARTLY else f"passes ({places})"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
