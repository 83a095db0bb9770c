"""Literals as they are written in SQL, each with the value that it must be downstream."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

Values = list[tuple[str, Any]]


def same(*numbers: int) -> Values:
    """Whole numbers, which are what they say."""
    return [(str(number), number) for number in numbers]


def texts(texts: Iterable[str]) -> Values:
    """Text literals; MySQL takes a backslash for an escape unless it stands twice."""
    return [("'" + text.replace("\\", "\\\\").replace("'", "''") + "'", text) for text in texts]


def numerals(*numerals: str) -> Values:
    """Numbers that come as text."""
    return [(numeral, numeral) for numeral in numerals]


def floats(*literals: str) -> Values:
    """Numbers in single precision."""
    return [(literal, float(np.float32(float(literal)))) for literal in literals]


def hexes(width: int, *values: str) -> Values:
    """Bytes, with zeros behind them up to the width."""
    return [(f"UNHEX('{value}')", bytes.fromhex(value).ljust(width, b"\0")) for value in values]


def bits(*values: int) -> Values:
    """Bits, as the number that they make."""
    return [(f"b'{value:b}'", value) for value in values]


def decimals(*numerals: str) -> Values:
    """Decimals that the lake has a type for."""
    return [(numeral, Decimal(numeral)) for numeral in numerals]


def doubles(*literals: str) -> Values:
    """Numbers in double precision."""
    return [(literal, float(literal)) for literal in literals]


def days(*texts: str) -> Values:
    """Days."""
    return [(f"'{text}'", date.fromisoformat(text)) for text in texts]
