"""The reconciliation as checks: what is equal passes, what differs is told."""

import dagster as dg
import pytest

from smug_platform.capture.position import Position
from smug_platform.oracle.differ import Difference
from smug_platform.oracle.reconcile import Comparison
from smug_platform.orchestration.checks import check_key, reconciled


def comparison(*differences: Difference) -> Comparison:
    return Comparison(
        table="photos",
        shard="shard_1",
        position=Position(1, 2, 3),
        rows=10,
        late=1,
        different=len(differences),
        seconds=0.25,
        differences=differences,
    )


def test_what_is_equal_passes() -> None:
    result = reconciled(comparison())
    assert result.passed
    assert result.asset_key == dg.AssetKey(["mysql", "shard_1"])
    assert result.check_name == check_key("photos", "shard_1").name
    assert result.metadata["position"].value == "1/2:3#0"
    assert result.metadata["changed_since"].value == 1


@pytest.mark.parametrize("count", [1, 9])
def test_what_differs_fails_and_is_told(count: int) -> None:
    differences = [
        Difference(f"id={number}", "title", "'a'", "'b'", "'b'") for number in range(count)
    ]
    result = reconciled(comparison(*differences))
    assert not result.passed
    assert result.description is not None
    assert "id=0" in result.description
    assert ("id=5" in result.description) is False
