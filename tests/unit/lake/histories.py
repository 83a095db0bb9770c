"""Random change histories, and a lake that merges one after the other.

A seed makes the history of two shards: inserts, updates, deletes, changed keys, rows moved between
the shards, truncates, snapshots taken anew, columns added with a default and renamed. The deltas
then go through lanes, as on the stream: a key's deltas keep their order within its lane, schema
changes and truncates go through every lane, and parts of a lane are delivered again.

Any interleaving, duplication and batch split of a history must give the same lake: that is what
the tests of `test_histories_*.py` hold. `pytest --histories N` says how many they try in all, and
`--first-history SEED` where their seeds begin. One history is one test, whose id is its seed. The
seeds are counted, not drawn by Hypothesis: of 667 that it drew 250 were there twice, and a third
of the histories had the fewest changes.
"""

import itertools
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyiceberg.catalog.sql import IcebergTables
from sqlalchemy import delete, update

from smug_platform import iceberg
from smug_platform.lake.batch import MEMORY
from smug_platform.lake.merge import merge
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Table
from tests.history import Row, Shard, arrow, column
from tests.unit.lake.test_merge import rows

PHOTOS = Table(name="photos", domain="photos", owner="team:photos", history=True)
VIEWS = Table(name="views", domain="photos", owner="team:photos", key=(), key_scope="shard")
COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR"), column("n", "INT")]
LANES = 3
MERGED_IN_PARTS = 0.3  # of the lakes: memory is so little there that a batch takes several parts
READ_BY_PYICEBERG = 0.1  # of the lakes: to do it for each would take a sixth more time


class History:
    """Two shards and the random changes that a seed makes.

    changes: how many, if not as many as the seed says; with fewer, the first ones stay the same.
    """

    def __init__(self, seed: int, table: Table, changes: int | None = None) -> None:
        self.random = random.Random(seed)
        self.table = table
        self.shards = [Shard(f"shard_{i}", table.name, COLUMNS, table.key) for i in (0, 1)]
        for shard in self.shards:
            shard.snapshot()
        kinds = [
            self.insert, self.insert, self.insert, self.update, self.update, self.delete,
            self.rekey, self.move, self.truncate, self.resnapshot, self.add_column, self.rename,
        ]  # fmt: skip
        weights = [6, 6, 6, 8, 8, 5, 3, 4, 0.4, 0.7, 0.8, 0.5]
        usual = self.random.randint(5, 40)
        for _ in range(usual if changes is None else changes):
            shard = self.random.choice(self.shards)
            self.random.choices(kinds, weights)[0](shard)

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
        count = min(self.random.randint(0, 3), len(found))
        cuts = sorted(self.random.sample(range(len(found) + 1), count))
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
    """What the lake must hold of the shard."""
    return sorted((tuple(row.get(n) for n in names) for row in shard.rows), key=repr)


def check_rows(history: History, found: list[dict[str, Any]]) -> None:
    """What the lake holds of each shard is what the shard holds."""
    for shard in history.shards:
        names = [spec["name"] for spec in shard.columns]
        assert held(shard, found, names) == expected(shard, names)


def held(shard: Shard, found: list[dict[str, Any]], names: list[str]) -> list[tuple[Any, ...]]:
    """What the lake holds of the shard, also of rows that another shard holds the live copy of."""
    return sorted(
        (
            tuple(row.get(n, row.get("m")) for n in names)
            for row in found
            if row["_shard"] == shard.name and (not row["_is_deleted"] or row["_moved_to"])
        ),
        key=repr,
    )


class Lake:
    """A catalog in memory, in which each history finds no table but an empty `raw.deltas`.

    Its files are not synced. To make `raw.deltas` takes as long as to land twice, so that is done
    once, and its first metadata file stands in the catalog again for each history.
    """

    def __init__(self, folder: Path) -> None:
        self._warehouse = folder / "lake"
        self._catalog: Any = iceberg.open_catalog(
            {
                "type": "sql",
                "uri": "sqlite:///:memory:",
                "warehouse": f"file://{self._warehouse}",
                "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
            }
        )
        for namespace in ("raw", "lake"):
            self._catalog.create_namespace(namespace)
        first = Path(raw.open_deltas(self._catalog).metadata_location.removeprefix("file://"))
        self._empty = f"file://{shutil.copy(first, folder)}"

    def merged(self, history: History, target: Target) -> list[dict[str, Any]]:
        """The rows of the target's table after the history."""
        shutil.rmtree(self._warehouse, ignore_errors=True)
        with self._catalog.engine.begin() as connection:
            connection.execute(delete(IcebergTables).where(IcebergTables.table_namespace == "lake"))
            connection.execute(update(IcebergTables).values(metadata_location=self._empty))
        little = history.random.random() < MERGED_IN_PARTS
        self._catalog.properties[MEMORY] = str(100_000 if little else 2 << 30)
        for batch in history.delivered():
            self._land(batch, is_held=history.random.random() < 0.8)
            if history.random.random() < 0.8:
                merge(self._catalog, target)
        merge(self._catalog, target)
        is_compared = history.random.random() < READ_BY_PYICEBERG
        return rows(self._catalog, target, by_pyiceberg=is_compared)

    def _land(self, deltas: list[dict[str, Any]], *, is_held: bool) -> None:
        """Land a batch; is_held: what merges next finds it in memory, as it mostly does."""
        transaction = raw.open_deltas(self._catalog).transaction()
        on_file = raw.remember if is_held else None
        iceberg.append(transaction, arrow(deltas), summary={}, on_file=on_file)
        transaction.commit_transaction()
