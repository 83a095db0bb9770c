"""A small lake in which everything is that a reader may get wrong, for the tests of readers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.lake.compact import compact
from smug_platform.lake.merge import merge, name_of
from smug_platform.lake.target import Target
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.land import land
from smug_platform.settings import Settings
from smug_platform.tables.table import Table
from tests.history import Shard, column
from tests.recorded import Recorded

PHOTOS = Target(Table(name="photos", domain="photos", owner="team:photos"))
TAGS = Target(
    Table(name="tags", domain="photos", owner="team:photos", key=(), key_scope="shard"),
)
FIRST_ID = 2**64 - 1
_COLUMNS = [
    column("id", "BIGINT UNSIGNED"),
    column("title", "VARCHAR"),
    column("n", "INT"),
    column("price", "DECIMAL", length=10, scale=2),
    column("score", "FLOAT"),
    column("taken", "DATE"),
    column("wall", "DATETIME", length=6),
    column("seen_at", "TIMESTAMP", length=6),
    column("hash", "VARBINARY"),
    column("is_public", "BIT", length=1),
]


def photo(number: int) -> dict[str, Any]:
    """A row on the wire; ids go down from the last one that fits 64 bits."""
    return {
        "id": FIRST_ID - number,
        "title": None if number % 7 == 0 else f"größe '{number}'",
        "n": number - 50,
        "price": str(Decimal(number) - Decimal("10.01")),
        "score": number / 8,
        "taken": number * 1000 - 90_000,
        "wall": -500_000 + number * 10**12,
        "seen_at": f"2024-03-0{1 + number % 9}T02:30:00.{number:06}Z",
        "hash": "AP8K" if number % 3 else None,
        "is_public": number % 2 == 0,
    }


@dataclass
class Lake:
    """Tables and the source that their changes come from. snapshots: by table and step."""

    settings: Settings
    catalog: Catalog = field(init=False)
    photos: Shard = field(default_factory=lambda: Shard("shard_0", "photos", _COLUMNS))
    tags: Shard = field(
        default_factory=lambda: Shard(
            "shard_1", "tags", [column("name", "VARCHAR"), column("n", "INT")], key=()
        )
    )
    snapshots: dict[str, dict[str, int]] = field(default_factory=dict)
    stream: Recorded = field(default_factory=Recorded)
    on_step: Callable[[], None] = lambda: None
    _landed: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.catalog = open_catalog(self.settings)

    def land(self) -> None:
        """Land what the shards have put on their streams since."""
        found: list[dict[str, Any]] = []
        for shard in (self.photos, self.tags):
            found += shard.deltas[self._landed.get(shard.table, 0) :]
            self._landed[shard.table] = len(shard.deltas)
        self.stream.put_deltas(found)
        assert land(self.catalog, self.stream).deltas

    def merge(self, step: str) -> None:
        """Land and merge what is new, and write down where the tables then are."""
        self.land()
        for target in (PHOTOS, TAGS):
            merge(self.catalog, target)
        self.mark(step)

    def mark(self, step: str) -> None:
        for target in (PHOTOS, TAGS):
            table = iceberg.load(self.catalog, name_of(target))
            assert table is not None
            snapshot = table.current_snapshot()
            assert snapshot is not None
            self.snapshots.setdefault(target.name, {})[step] = snapshot.snapshot_id
        self.on_step()


def make_lake(settings: Settings) -> Lake:
    """Merges with deletes, a schema that changes on the way, compaction, and merges after it."""
    return fill(Lake(settings))


def fill(lake: Lake) -> Lake:
    """The same in a lake that is empty."""
    photos, tags = lake.photos, lake.tags
    photos.insert(*[photo(number) for number in range(100)])
    tags.insert(*[{"name": f"tag {number % 3}", "n": number % 4} for number in range(30)])
    for shard in (photos, tags):
        shard.deltas.clear()
        shard.snapshot()
    lake.merge("snapshot")
    for number in range(0, 60, 3):
        photos.update({"id": FIRST_ID - number}, title=f"new {number}")
    for number in range(1, 30, 3):
        photos.delete({"id": FIRST_ID - number})
    for number in range(3):
        tags.delete({"name": f"tag {number}"})
    lake.merge("deletes")
    _alter(photos)
    photos.insert({**photo(200), "m": 2**40, "added": "new"} | {"price": "12345678901234.56"})
    photos.update({"id": FIRST_ID - 99}, added="late", m=-(2**50))
    photos.update({"id": FIRST_ID - 3}, title="changed in two files")
    tags.update({"name": "tag 1"}, n=9)
    lake.merge("altered")
    for target in (PHOTOS, TAGS):
        assert compact(lake.catalog, target)
    lake.mark("compacted")
    photos.update({"id": FIRST_ID - 50}, title="after compaction")
    photos.delete({"id": FIRST_ID - 51})
    tags.insert({"name": "last", "n": None})
    tags.delete({"name": "tag 2"})
    lake.merge("after")
    return lake


def steps(lake: Lake) -> Iterator[tuple[Target, str, int]]:
    for target in (PHOTOS, TAGS):
        for step, snapshot_id in lake.snapshots[target.name].items():
            yield target, step, snapshot_id


def _alter(photos: Shard) -> None:
    """`n` becomes `m` and wider, the price longer, the score a double, and one column is new."""
    changed = {
        "n": {"name": "m", "typeName": "BIGINT"},
        "price": {"length": 18},
        "score": {"typeName": "DOUBLE"},
    }
    columns = [one | changed.get(one["name"], {}) for one in photos.columns]
    for row in photos.rows:
        row["m"] = row.pop("n")
        row["added"] = None
    photos.alter(
        [*columns, column("added", "VARCHAR")],
        "ALTER TABLE photos CHANGE n m BIGINT, MODIFY price DECIMAL(18,2), MODIFY score DOUBLE,"
        " ADD COLUMN added VARCHAR(10)",
    )
