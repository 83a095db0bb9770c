"""What is imported is declared, and what is declared is used."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN = {"smug_platform", "tests"}
# Used without an import: commands, dbt's adapters, the server that runs in a process of its own.
NOT_IMPORTED = {"dagster-webserver", "dbt-duckdb", "dbt-redshift", "moto"}
# The Dagster integrations that the platform is deployed with.
NOT_IMPORTED |= {"dagster-aws", "dagster-dbt"}
# Its test is skipped where there is none.
NOT_INSTALLED = {"pyspark"}


def normal(name: str) -> str:
    """A distribution's name without extras and versions, as the index spells it."""
    found = re.match(r"[\w.-]+", name)
    assert found, name
    return re.sub(r"[-_.]+", "-", found[0]).lower()


RUNTIME = {normal(each) for each in PROJECT["dependencies"]}
DEV = {normal(each) for each in PROJECT["optional-dependencies"]["dev"]}


def imported(folder: str) -> Iterator[tuple[str, str]]:
    """The module and the first part of each import that runs, in the files of a folder."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in running(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            yield from ((path.name, name.partition(".")[0]) for name in names)


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All of a tree but what is there for the type checker alone."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from running(child)


@pytest.mark.parametrize(
    ("folder", "declared"), [("smug_platform", RUNTIME), ("tests", RUNTIME | DEV)]
)
def test_what_is_imported_is_declared(folder: str, declared: set[str]) -> None:
    holders = packages_distributions()
    known = OWN | NOT_INSTALLED | set(sys.stdlib_module_names)
    undeclared = {
        f"{file} imports {name}"
        for file, name in imported(folder)
        if name not in known and not {normal(each) for each in holders.get(name, [])} & declared
    }
    assert undeclared == set()


def test_what_is_declared_is_imported() -> None:
    holders = packages_distributions()
    used = {normal(each) for _, name in imported("smug_platform") for each in holders.get(name, [])}
    assert RUNTIME - used == NOT_IMPORTED - used
    assert RUNTIME >= NOT_IMPORTED


def test_all_that_is_declared_is_locked() -> None:
    locked = {normal(line) for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert locked >= RUNTIME | DEV


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout, so nothing is tracked")
def test_nothing_that_is_made_here_is_tracked() -> None:
    """A tracked link to the environment would take the place of the environment in a checkout."""
    asked = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
