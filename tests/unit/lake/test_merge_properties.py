"""Any interleaving, duplication and batch split of a change history gives the same lake.

A seed makes the history of two shards: inserts, updates, deletes, changed keys, rows moved between
the shards, truncates, snapshots taken anew, columns added with a default and renamed. The deltas
then go through lanes, as on the stream: a key's deltas keep their order within its lane, schema
changes and truncates go through every lane, and parts of a lane are delivered again.
"""

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.tables.table import Table
from tests.history import Row, Shard, column
from tests.unit.lake.test_merge import land, new_catalog, rows

PHOTOS = Table(name="photos", domain="photos", owner="team:photos", history=True)
VIEWS = Table(name="views", domain="photos", owner="team:photos", key=(), key_scope="shard")
COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR"), column("n", "INT")]
LANES = 3


class History:
    """Two shards and the random changes that a seed makes."""

    def __init__(self, seed: int, table: Table) -> None:
        self.random = random.Random(seed)
        self.table = table
        self.shards = [Shard(f"shard_{i}", table.name, COLUMNS, table.key) for i in (0, 1)]
        for shard in self.shards:
            shard.snapshot()
        changes = [
            self.insert, self.insert, self.insert, self.update, self.update, self.delete,
            self.rekey, self.move, self.truncate, self.resnapshot, self.add_column, self.rename,
        ]  # fmt: skip
        weights = [6, 6, 6, 8, 8, 5, 3, 4, 0.4, 0.7, 0.8, 0.5]
        for _ in range(self.random.randint(5, 40)):
            shard = self.random.choice(self.shards)
            self.random.choices(changes, weights)[0](shard)

    def row(self, shard: Shard) -> Row:
        """A new row under a key that the shard does not hold."""
        held = {row["id"] for row in shard.rows} if self.table.key else set()
        free = sorted(set(range(2**63, 2**63 + 30)) - held)
        row: Row = {"id": self.random.choice(free)}
        for spec in shard.columns[1:]:
            values = ["a", "é", "", None] if spec["typeName"] == "VARCHAR" else [1, -2, None]
            row[spec["name"]] = self.random.choice(values)
        return row

    def insert(self, shard: Shard) -> None:
        """Sometimes the same key on both shards, as a reference table has it."""
        row = self.row(shard)
        shard.insert(row)
        if not self.table.key:
            shard.insert(*[dict(row)] * self.random.randint(1, 3))

    def some(self, shard: Shard) -> Row | None:
        return self.random.choice(shard.rows) if shard.rows else None

    def update(self, shard: Shard) -> None:
        if row := self.some(shard):
            new = self.row(shard)
            shard.update(row, **{k: v for k, v in new.items() if k != "id"})

    def delete(self, shard: Shard) -> None:
        if row := self.some(shard):
            shard.delete(row)

    def rekey(self, shard: Shard) -> None:
        if self.table.key and (row := self.some(shard)):
            shard.update(row, id=self.row(shard)["id"])

    def move(self, shard: Shard) -> None:
        other = self.shards[shard is self.shards[0]]
        row = self.some(shard)
        if row is None or any(row["id"] == held["id"] for held in other.rows):
            return
        names = {spec["name"] for spec in other.columns}
        copy = {name: value for name, value in row.items() if name in names}
        steps = [lambda: other.insert(copy), lambda: shard.delete(row)]
        for step in self.random.sample(steps, 2):
            step()

    def truncate(self, shard: Shard) -> None:
        shard.truncate()

    def resnapshot(self, shard: Shard) -> None:
        """Capture starts anew: a row may have gone without an event, the order of rows stays."""
        shard.snapshot()

    def add_column(self, shard: Shard) -> None:
        name = self.random.choice(["x", "y"])
        if any(spec["name"] == name for spec in shard.columns):
            return
        default = self.random.choice([None, "7"])
        new = column(name, "INT", defaultValueExpression=default)
        filled = [row | {name: default and int(default)} for row in shard.rows]
        shard.alter([*shard.columns, new], f"ALTER TABLE t ADD COLUMN {name} INT", filled)

    def rename(self, shard: Shard) -> None:
        if not any(spec["name"] == "n" for spec in shard.columns):
            return
        columns = [spec | {"name": "m"} if spec["name"] == "n" else spec for spec in shard.columns]
        renamed = [{"m" if k == "n" else k: v for k, v in row.items()} for row in shard.rows]
        shard.alter(columns, "ALTER TABLE t CHANGE COLUMN `n` m INT", renamed)

    def delivered(self) -> list[list[dict[str, Any]]]:
        """The deltas as batches: through lanes, interleaved, with parts delivered again."""
        lanes = [lane for shard in self.shards for lane in self.lanes(shard)]
        found = []
        while lanes:
            lane = self.random.choice(lanes)
            take = self.random.randint(1, 8)
            found += lane[:take]
            del lane[:take]
            lanes = [lane for lane in lanes if lane]
        cuts = sorted(self.random.sample(range(len(found) + 1), min(3, len(found))))
        edges = [0, *cuts, len(found)]
        return [found[a:b] for a, b in itertools.pairwise(edges) if a < b]

    def lanes(self, shard: Shard) -> Iterator[list[dict[str, Any]]]:
        lanes: list[list[dict[str, Any]]] = [[] for _ in range(LANES)]
        for delta in shard.deltas:
            if delta["op"] in {"ddl", "t"}:
                for lane in lanes:
                    lane.append(delta)
                continue
            payload = json.loads(delta["payload"])
            key = (payload["after"] or payload["before"])["id"] if self.table.key else 0
            lanes[key % LANES].append(delta)
        for lane in lanes:
            if lane and self.random.random() < 0.5:  # delivered again, from some point on
                start = self.random.randrange(len(lane))
                end = self.random.randint(start, len(lane))
                lane[end:end] = lane[start:end]
            yield lane


def expected(shard: Shard, names: list[str]) -> list[tuple[Any, ...]]:
    return sorted((tuple(row.get(n) for n in names) for row in shard.rows), key=repr)


def winners(history: History) -> list[tuple[Any, ...]]:
    best: dict[Any, tuple[Any, str]] = {}
    for shard in history.shards:
        for row in shard.rows:
            rank = (row["_at"], shard.name)
            best[row["id"]] = max(rank, best.get(row["id"], rank))
    return sorted((key, shard) for key, (_, shard) in best.items())


EXAMPLES = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@EXAMPLES
@given(seed=st.integers(0, 2**32))
def test_keyed(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    history = History(seed, PHOTOS)
    found = merged(tmp_path_factory.mktemp("lake"), history, Target(PHOTOS))
    for shard in history.shards:
        names = [spec["name"] for spec in shard.columns]
        held = [
            row
            for row in found
            if row["_shard"] == shard.name and (not row["_is_deleted"] or row["_moved_to"])
        ]
        assert expected(shard, names) == sorted(
            (tuple(row.get(n, row.get("m")) for n in names) for row in held), key=repr
        )
    live = sorted((int(row["id"]), row["_shard"]) for row in found if not row["_is_deleted"])
    assert live == winners(history)


@EXAMPLES
@given(seed=st.integers(0, 2**32))
def test_keyless(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    history = History(seed, VIEWS)
    found = merged(tmp_path_factory.mktemp("lake"), history, Target(VIEWS))
    for shard in history.shards:
        names = [spec["name"] for spec in shard.columns]
        held = [row for row in found if row["_shard"] == shard.name and not row["_is_deleted"]]
        assert expected(shard, names) == sorted(
            (tuple(row.get(n, row.get("m")) for n in names) for row in held), key=repr
        )


@EXAMPLES
@given(seed=st.integers(0, 2**32))
def test_history_keeps_each_change_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    history = History(seed, PHOTOS)
    found = merged(tmp_path_factory.mktemp("lake"), history, Target(PHOTOS, history=True))
    changes = set()
    for shard in history.shards:
        for delta in shard.deltas:
            payload = json.loads(delta["payload"])
            image = payload.get("after") or payload.get("before")
            if image and payload["before"] != payload["after"]:
                where = delta["binlog_offset"], delta["row_number"]
                changes.add((shard.name, image["id"], *where, delta["op"] == "d"))
    got = [
        (row["_shard"], int(row["id"]), *place(int(row["_position"])), row["_is_deleted"])
        for row in found
    ]
    assert sorted(got) == sorted(changes)


def place(position: int) -> tuple[int, int]:
    return position // 10**9 % 10**14, position % 10**9


def merged(folder: Path, history: History, target: Target) -> list[dict[str, Any]]:
    catalog = new_catalog(folder)
    for batch in history.delivered():
        land(catalog, batch)
        if history.random.random() < 0.8:
            merge(catalog, target)
    merge(catalog, target)
    return rows(catalog, target)
