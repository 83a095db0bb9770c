"""Who may import whom: with the data's way, one direction only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "smug_platform"
# Each stage may import those before it, and what stands below all of them.
WAY = ("tables", "capture", "stream", "raw", "lake", "warehouse", "bi")
BELOW = {
    "aws", "duck", "errors", "iceberg", "scan", "settings", "settings_capture", "sqlite",
    "settings_warehouse", "stamps",
}  # fmt: skip
BELOW_ASSETS = BELOW | {"policies"}
DAGSTER = {"assets", "checks", "metadata", "resources", "sensors"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """The full names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def stage_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_edge(module: Path) -> bool:
    """Whether the module is one of those that tell Dagster of a stage."""
    return module.stem in DAGSTER or module.stem.endswith("_assets")


def name_of(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


STAGES = [module for module in MODULES if stage_of(module) in WAY]


@pytest.mark.parametrize("module", STAGES, ids=name_of)
def test_stage_imports_only_stages_before_it(module: Path) -> None:
    mine = WAY.index(stage_of(module))
    below = BELOW_ASSETS if is_edge(module) else BELOW
    for name in imported(module):
        root, _, rest = name.partition(".")
        if root == "smug_platform":
            other = rest.split(".")[0]
            assert other in below or other in WAY[: mine + 1], f"{name_of(module)} imports {name}"


def test_iceberg_stands_below_all_stages() -> None:
    for module in (module for module in MODULES if stage_of(module) == "iceberg"):
        for name in imported(module):
            root, _, rest = name.partition(".")
            if root == "smug_platform":
                assert rest.split(".")[0] in BELOW, f"{name_of(module)} imports {name}"


@pytest.mark.parametrize("module", STAGES, ids=name_of)
def test_logic_knows_nothing_of_dagster(module: Path) -> None:
    uses = any(name.split(".")[0] in {"dagster", "dagster_dbt"} for name in imported(module))
    assert is_edge(module) or not uses


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_settings_alone_reads_the_environment(module: Path) -> None:
    tree = ast.parse(module.read_text())
    reads = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]
    # These two hand the environment on to the processes that they start.
    allowed = {"settings.py", "local/processes.py", "cli/stack.py"}
    assert not reads or name_of(module) in allowed


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_modules_are_short(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 300
