"""Declarations that can't be."""

from typing import Any

import pytest

from smug_platform.tables.table import Table


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"zero_dates": {"taken_on": "flagged"}}, "neither 'flag' nor a day"),
        ({"zero_dates": {"taken_on": "0000-00-00"}}, "neither 'flag' nor a day"),
        ({"zero_dates": {"taken_on": "20260131"}}, "neither 'flag' nor a day"),
        ({"zero_dates": {"taken_on": "flag"}, "excluded": ("taken_on",)}, "excluded and has zero"),
        ({"warehouse_columns": ("size",), "excluded": ("size",)}, "excluded and of the warehouse"),
        ({"zero_dates": {"id": "flag"}}, "key column 'id' can't be NULL"),
    ],
)
def test_zero_dates_that_cannot_be_declared(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Table(name="photos", domain="photos", owner="team:photos", **given)
