"""Merges and compaction in processes that are killed, or that are at one table together.

The rows that the source holds are the oracle.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smug_platform import iceberg
from smug_platform.iceberg import LakeFiles, Table, remove_orphans
from smug_platform.lake.compact import step
from smug_platform.lake.merge import KIND, SEQUENCE, merge, merged_sequence, name_of
from smug_platform.lake.verify import check_keys
from smug_platform.raw import deltas as raw
from tests.history import Shard, arrow, column
from tests.pipeline.lake_process import COMMITTED, COMPACT, MERGE, PHOTOS, STEPS, catalog_of

COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR")]
COMMAND = [sys.executable, "-m", "tests.pipeline.lake_process"]
AT_ONCE = timedelta(seconds=-60)  # an age that all files have


class Lake:
    """A shard, and the lake after it."""

    def __init__(self, home: Path) -> None:
        self.home, self.catalog = home, catalog_of(home)
        self.shard = Shard("shard_0", "photos", COLUMNS)
        self.shard.snapshot()
        self.landed = 0

    def change(self, first: int) -> None:
        """Ten rows come, and of those before some change and some go; all in one raw commit."""
        self.shard.insert(*[{"id": id_, "title": "new"} for id_ in range(first, first + 10)])
        for row in self.shard.rows[first % 3 : first : 3]:
            self.shard.update({"id": row["id"]}, title=f"at {first}")
        if first:
            self.shard.delete({"id": self.shard.rows[0]["id"]})
        self.land(self.shard.deltas[self.landed :])
        self.landed = len(self.shard.deltas)

    def land(self, deltas: list[dict[str, Any]]) -> None:
        raw.open_deltas(self.catalog).append(arrow(deltas))

    def table(self) -> Table:
        found = iceberg.load(self.catalog, name_of(PHOTOS))
        assert found is not None
        return found

    @property
    def live(self) -> list[tuple[int, str]]:
        """By our reader, which has to agree with pyiceberg's."""
        table = self.table()
        files = LakeFiles(table.io, table.schema(), table.current_snapshot())
        names = ["id", "title", "_is_deleted"]
        found = [
            sorted((int(r["id"]), r["title"]) for r in rows.to_pylist() if not r["_is_deleted"])
            for rows in (files.read(names), table.scan(selected_fields=tuple(names)).to_arrow())
        ]
        assert found[0] == found[1]
        return found[0]

    @property
    def source(self) -> list[tuple[int, str]]:
        return sorted((row["id"], row["title"]) for row in self.shard.rows)

    def check(self) -> None:
        """The lake is the source, and what the index says of it is right."""
        assert self.live == self.source
        assert check_keys(self.catalog, PHOTOS).unique
        self.land(self.shard.deltas)
        again = merge(self.catalog, PHOTOS)
        assert (again.commits, again.written) == (1, 0), "older changes must not get through"
        assert self.live == self.source


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake(tmp_path)
    for number in range(3):
        found.change(number * 10)
        merge(found.catalog, PHOTOS)
    return found


def in_a_new_thread(work: Callable[[], None]) -> None:
    """As another process: with an index of its own, as it is on the disk."""
    failed: list[BaseException] = []

    def call() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  told by the test's thread
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


@pytest.mark.parametrize("at", STEPS)
@pytest.mark.parametrize("work", [MERGE, COMPACT])
def test_a_process_that_is_killed_is_made_good(lake: Lake, work: str, at: str) -> None:
    before = lake.source
    lake.change(30)
    done = subprocess.run([*COMMAND, str(lake.home), work, at], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    is_committed = list(STEPS).index(at) >= list(STEPS).index(COMMITTED)
    assert len(lake.table().metadata.snapshots) == 3 + (work == COMPACT) + is_committed
    is_merged = work == COMPACT or is_committed
    assert lake.live == (lake.source if is_merged else before), "half of a commit was read"

    def go_on() -> None:
        lake.change(40)
        merge(lake.catalog, PHOTOS)
        assert lake.live == lake.source
        assert step(lake.catalog, PHOTOS, thorough=True)
        lake.change(50)
        merge(lake.catalog, PHOTOS)
        removed = remove_orphans(lake.table(), AT_ONCE)
        assert removed or is_committed, "what was written for nothing is still there"
        lake.check()

    in_a_new_thread(go_on)


@pytest.mark.parametrize(
    ("works", "backlog"),
    [((MERGE, MERGE), 6), ((MERGE, COMPACT), 6), ((COMPACT, COMPACT), 0)],
    ids=["two merges", "a merge and a compaction", "two compactions"],
)
def test_two_processes_at_one_table(lake: Lake, works: tuple[str, str], backlog: int) -> None:
    """One wins, the other plans anew: nothing is lost, and nothing comes twice."""
    merged, landed = merged_sequence(lake.table()), lake.landed
    for number in range(3, 3 + backlog):
        lake.change(number * 10)
    processes = [
        subprocess.Popen([*COMMAND, str(lake.home), work, "beside"], stdout=subprocess.PIPE)
        for work in works
    ]
    told = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(map(int, told)) >= 1, "they never met"

    later = [one.summary for one in lake.table().metadata.snapshots[3:] if one.summary]
    sequences = [int(str(one[SEQUENCE])) for one in later]
    assert sequences == sorted(sequences), "the merged position went back"
    merges = [one for one in later if one[KIND] == "merge"]
    deltas = [int(str(one["smug.deltas"])) for one in merges]
    assert sum(deltas) == lake.landed - landed
    assert len({one[SEQUENCE] for one in merges}) == len(merges), "something was merged twice"
    assert (len(later) > len(merges)) == (COMPACT in works)
    assert merged_sequence(lake.table()) == merged + backlog
    lake.check()
