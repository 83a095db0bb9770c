"""Archive equals raw: each difference is seen, and where it is."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from smug_platform.archive.assets import ARCHIVE, HOURS, archive_assets
from smug_platform.archive.compare import compare
from smug_platform.archive.resources import ArchiveResource
from smug_platform.raw.resources import Lakehouse
from tests.unit.archive.archives import SOURCE, World, change, fill, make_world

FIRST, SECOND = "2026-01-01T00", "2026-01-01T01"


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = make_world(tmp_path)
    fill(made)
    made.land()
    made.write()
    return made


def test_equal(world: World) -> None:
    compared = compare(world.catalog, world.archive)
    assert compared.differences == ()
    assert compared.rows == sum(len(one.deltas) for one in world.shards.values())


def test_what_is_not_archived_yet_is_a_difference_in_its_hour_alone(world: World) -> None:
    change(world, 1, 2)
    world.land(hours=1)
    found = compare(world.catalog, world.archive).differences
    assert {one.place for one in found} == {
        (shard, SECOND, table)
        for shard in ("shard_0", "shard_1")
        for table in ("accounts", "photos")
    }
    assert str(found[0]) == f"accounts of shard_0 in {SECOND}: 1 in raw, 0 archived"
    assert compare(world.catalog, world.archive, {FIRST}).differences == ()
    world.write()
    assert compare(world.catalog, world.archive, {FIRST, SECOND}).differences == ()


def test_as_many_rows_at_other_positions_are_a_difference(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smug_platform.archive import compare as comparing

    inner = comparing.mixed
    monkeypatch.setattr(comparing, "mixed", lambda rows: inner(rows) + 1)
    found = compare(world.catalog, world.archive).differences
    assert found
    assert all(one.raw.rows == one.archive.rows for one in found)


def resources(world: World) -> dict[str, Any]:
    return {
        "settings": world.settings, "source": SOURCE,
        "lakehouse": Lakehouse(world.settings), "archive": ArchiveResource(world.settings),
    }  # fmt: skip


def materialized(world: World, hour: str) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [archive_assets()],
        resources=resources(world),
        partition_key=hour,
        raise_on_error=False,
    )


def test_the_asset_writes_an_hour_and_checks_it(world: World) -> None:
    change(world, 1, 2)
    world.land(hours=1)
    done = materialized(world, "2026-01-01-01:00")
    assert done.success
    (made,) = done.asset_materializations_for_node("archive__deltas")[:1]
    assert (made.metadata["rows"].value, made.metadata["new_rows"].value) == (4, 4)
    assert [check.passed for check in done.get_asset_check_evaluations()] == [True, True]


def test_the_asset_tells_of_a_broken_chain(world: World) -> None:
    next((world.settings.home / "archive").rglob("*.parquet")).unlink()
    done = materialized(world, "2026-01-01-00:00")
    found = {check.check_name: check.passed for check in done.get_asset_check_evaluations()}
    assert found == {"equals_raw": True, "chain_holds": False}
    assert ARCHIVE.path == ["archive", "deltas"]


def test_R09_a_backfill_of_two_thousand_hours_is_one_run(world: World) -> None:
    change(world, 1, 2)
    world.land(hours=1)
    hours = HOURS.get_partition_keys()[:2000]
    ends = {
        "dagster/asset_partition_range_start": hours[0],
        "dagster/asset_partition_range_end": hours[-1],
    }
    assert archive_assets().backfill_policy == dg.BackfillPolicy.single_run()
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [archive_assets()], resources=resources(world), instance=instance, tags=ends
        )
        assert instance.get_runs_count() == 1
        assert instance.get_materialized_partitions(ARCHIVE) == set(hours)
    assert [check.passed for check in done.get_asset_check_evaluations()] == [True, True]
    assert compare(world.catalog, world.archive).differences == ()
