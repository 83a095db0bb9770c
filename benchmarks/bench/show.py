"""Tables and progress on the terminal."""

import sys

from rich.console import Console
from rich.table import Table as Grid

_TEXTS = {"engine", "what", "reader", "state"}


def numbers(text: str) -> list[int]:
    """The numbers in an option: 10_000,100_000."""
    return [int(part) for part in text.split(",") if part]


def grid(*columns: str) -> Grid:
    """A table whose figures stand on the right."""
    found = Grid()
    for name in columns:
        found.add_column(name, justify="left" if name in _TEXTS else "right")
    return found


def print_grid(title: str, found: Grid) -> None:
    """Print it whole, however narrow the terminal is said to be."""
    Console(width=None if sys.stdout.isatty() else 140).print(title, found, sep="\n")


def progress(text: str) -> None:
    """Say how far a benchmark is, apart from its table."""
    print(text, file=sys.stderr, flush=True)
