"""A lake and the warehouse that follows it, on DuckDB or on the Redshift stand-in."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyiceberg.catalog import Catalog

from smug_platform.lake.merge import merge, name_of
from smug_platform.lake.merged import Merged
from smug_platform.lake.target import Target
from smug_platform.raw.land import land
from smug_platform.tables.table import Table
from smug_platform.warehouse.load import Loaded
from smug_platform.warehouse.open import Warehouse
from tests.history import Row, Shard, column
from tests.recorded import Recorded

PHOTOS = Target(Table(name="photos", domain="photos", owner="team:photos"))
COLUMNS = [
    column("id", "BIGINT UNSIGNED"),
    column("title", "VARCHAR", length=5),
    column("exif", "JSON"),
    column("n", "INT"),
]


def photo(number: int, **other: Any) -> Row:
    return {"id": number, "title": f"t{number}", "exif": '{"f": [1, 2.8]}', "n": 1} | other


@dataclass
class World:
    """Shards of one table, a lake that follows them, a warehouse that follows the lake.

    engine: of the warehouse, `duckdb` or `redshift`.
    """

    catalog: Catalog
    warehouse: Warehouse
    engine: str
    shards: list[Shard] = field(
        default_factory=lambda: [Shard(f"shard_{i}", "photos", list(COLUMNS)) for i in (0, 1)]
    )
    stream: Recorded = field(default_factory=Recorded)
    _landed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for shard in self.shards:
            shard.snapshot()

    def merge(self, *shards: Shard) -> Merged:
        """Land and merge what is new; of those shards, in that order, or of all."""
        for shard in shards or self.shards:
            self.stream.put_deltas(shard.deltas[self._landed[shard.name] :])
            self._landed[shard.name] = len(shard.deltas)
        land(self.catalog, self.stream)
        return merge(self.catalog, PHOTOS)

    def load(self) -> Loaded | None:
        return self.warehouse.refresh(self.catalog, PHOTOS)

    def lake(self) -> list[Row]:
        rows: list[Row] = self.catalog.load_table(name_of(PHOTOS)).scan().to_arrow().to_pylist()
        return rows

    def replica(self, table: str = "warehouse.photos") -> list[Row]:
        """Its rows, but for when they were loaded, under the lake's columns."""
        names = self.catalog.load_table(name_of(PHOTOS)).schema().column_names
        rows = self.warehouse.ask(f"select {', '.join(names)} from {table}")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def live(self) -> dict[int, str]:
        """Titles by id of the rows that are live in the replica."""
        rows = [row for row in self.replica() if not row["_is_deleted"]]
        found = {int(row["id"]): row["title"] for row in rows}
        assert len(found) == len(rows)
        return found

    def titles(self) -> dict[int, str]:
        """The same as the shards have it."""
        return {row["id"]: row["title"] for shard in self.shards for row in shard.rows}

    def assert_equal(self) -> None:
        assert bag(self.replica()) == bag(self.lake())
        assert self.live() == self.titles()


def bag(rows: Sequence[Row]) -> Counter[str]:
    """Rows as texts; JSON as the value that it is."""
    return Counter(
        json.dumps({name: spelled(name, value) for name, value in sorted(row.items())})
        for row in rows
    )


def spelled(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if name == "exif" and isinstance(value, str):
        return json.loads(value)
    return str(value)
