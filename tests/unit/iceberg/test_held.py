"""What a reader found stays for it, however fast the table goes on."""

import os
import random
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import pytest
from pyiceberg.table.refs import SnapshotRefType

from smug_platform import iceberg
from smug_platform.iceberg import Change, Table, change, held, orphans, remove_orphans
from smug_platform.iceberg.catalog import LocalCatalog
from tests.unit.iceberg.tables import (
    NAME,
    SCHEMA,
    all_files,
    ids_of,
    load,
    new_catalog,
    on_disk,
    put,
    rows,
    stage,
)

MINUTE = 60.0
LEAST = held.HELD - timedelta(minutes=10)


class Clock:
    """The time by which commits are made and files grow old."""

    def __init__(self, folder: Path) -> None:
        self.now, self._folder = 1_800_000_000.0, folder
        self._seen: set[str] = set()

    def time_ns(self) -> int:
        return int(self.now * 1e9)

    def written(self) -> None:
        """All files that have come since the last time are of now."""
        for path in on_disk(self._folder, "*.*") - self._seen:
            os.utime(path, (self.now, self.now))
            self._seen.add(path)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock(tmp_path / "lake")

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(found.now, tz)

    monkeypatch.setattr(change, "time", found)
    monkeypatch.setattr(orphans, "datetime", Now)
    monkeypatch.setattr(change, "_KEEP", 2)
    return found


@pytest.fixture
def catalog(tmp_path: Path) -> LocalCatalog:
    catalog = new_catalog(tmp_path)
    iceberg.create(catalog, NAME, SCHEMA)
    return catalog


def found_by_a_reader(table: Table) -> set[Path]:
    """All that a reader of the table as it stands may open, but for what it has read by then."""
    snapshot = table.current_snapshot()
    assert snapshot is not None
    manifests = [one.manifest_path for one in snapshot.manifests(table.io)]
    data = [file.file_path for file in all_files(table)]
    names = [snapshot.manifest_list, *manifests, *data]
    return {Path(name.removeprefix("file://")) for name in names}


def rewrite(table: Table) -> None:
    whole = Change(rows(*ids_of(table)), removed=all_files(table))
    stage(table, [], whole).commit_transaction()


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_goes_that_a_reader_found_in_the_last_hour(
    catalog: LocalCatalog, clock: Clock, seed: int
) -> None:
    some = random.Random(seed)
    readers: list[tuple[float, set[Path]]] = []
    removed = 0
    for number in range(120):
        clock.now += some.choice([0.1, 0.1, 1, 5, 2 * MINUTE, 9 * MINUTE, 25 * MINUTE])
        if number > 3 and some.random() < 0.15:
            rewrite(load(catalog))
        else:
            put(load(catalog), some.randrange(8))
        clock.written()
        readers.append((clock.now, found_by_a_reader(load(catalog))))
        clock.now += some.choice([0.1, 5 * MINUTE])
        removed += remove_orphans(load(catalog))
        readers = [one for one in readers if one[0] > clock.now - LEAST.total_seconds()]
        assert all(path.exists() for _, paths in readers for path in paths)
    assert removed > 300
    assert len(load(catalog).metadata.snapshots) < 14


def test_a_busy_table_holds_one_snapshot_in_ten_minutes(
    catalog: LocalCatalog, clock: Clock
) -> None:
    for number in range(50):
        put(load(catalog), number % 5)
        clock.now += 4 * MINUTE
    refs = load(catalog).metadata.refs
    tags = [ref for ref in refs.values() if ref.snapshot_ref_type == SnapshotRefType.TAG]
    assert len(tags) == len(refs) - 1
    assert 5 <= len(tags) <= 7
