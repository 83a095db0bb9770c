"""A small source with personal columns, landed in parts, and the archive beside it."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog

from smug_platform.archive.archive import Archive
from smug_platform.archive.resources import open_archive
from smug_platform.archive.write import Written, write
from smug_platform.lake.merge import merge
from smug_platform.lake.target import targets
from smug_platform.raw.catalog import open_catalog
from smug_platform.raw.land import land
from smug_platform.settings import Settings, load_settings
from smug_platform.tables.table import Source, Table
from tests.history import Shard, column
from tests.recorded import Recorded

SOURCE = Source(
    database="flickr",
    tables=(
        Table(
            name="accounts",
            domain="accounts",
            owner="team:accounts",
            history=True,
            account="id",
            pii={"email": "email", "name": "name"},
        ),
        Table(
            name="photos",
            domain="photos",
            owner="team:photos",
            account="account_id",
            pii={"description": "free_text"},
        ),
        Table(name="views", domain="photos", owner="team:photos", key=(), key_scope="shard"),
    ),
)
_ID = column("id", "BIGINT UNSIGNED")
_COLUMNS = {
    "accounts": [_ID, column("email", "VARCHAR"), column("name", "VARCHAR")],
    "photos": [
        _ID,
        column("account_id", "BIGINT UNSIGNED"),
        column("description", "TEXT"),
        column("n", "INT"),
    ],
    "views": [column("photo_id", "BIGINT UNSIGNED"), column("n", "INT")],
}


def shard(name: str, table: str, **more: Any) -> Shard:
    """A shard's table; each has its own part of the binlog, as far as positions go."""
    key = () if table == "views" else ("id",)
    made = Shard(name, table, _COLUMNS[table], key=key, **more)
    made.offset = 4 + 1_000_000 * list(_COLUMNS).index(table)
    return made


@dataclass
class World:
    """Two shards of the source, what landed of them, and the archive of that."""

    settings: Settings
    shards: dict[tuple[str, str], Shard] = field(default_factory=dict)
    stream: Recorded = field(default_factory=Recorded)
    _sent: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.catalog: Catalog = open_catalog(self.settings)
        self.archive: Archive = open_archive(self.settings.archive)
        for name in ("shard_0", "shard_1"):
            for table in _COLUMNS:
                self.shards[name, table] = shard(name, table)
                self.shards[name, table].snapshot()

    def of(self, table: str, name: str = "shard_0") -> Shard:
        return self.shards[name, table]

    def land(self, *, hours: int = 0) -> list[dict[str, Any]]:
        """Land what is new, as of so many hours later; its deltas."""
        found: list[dict[str, Any]] = []
        for key, one in self.shards.items():
            found += one.deltas[self._sent.get(key, 0) :]
            self._sent[key] = len(one.deltas)
        for delta in found:
            delta["committed_at"] += timedelta(hours=hours)
        self.stream.put_deltas(found)
        assert land(self.catalog, self.stream).deltas
        return found

    def write(self) -> Written:
        return write(self.catalog, self.archive, SOURCE)

    def merge(self) -> None:
        for target in targets(SOURCE):
            merge(self.catalog, target)


def make_world(home: Path, **more: str) -> World:
    return World(load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home), **more}))


def fill(world: World, count: int = 20, first: int = 1) -> None:
    """Accounts and photos of theirs on both shards, and views."""
    for number in range(first, first + count):
        name = f"shard_{number % 2}"
        person = {"id": number, "email": f"m{number}@example.org", "name": f'Zoë "{number}" \\'}
        world.of("accounts", name).insert(person)
        text = None if number % 5 == 0 else f'by m{number}@example.org, "account_id":7}}'
        photo = {"id": 1000 + number, "account_id": number, "description": text, "n": number}
        world.of("photos", name).insert(photo)
        world.of("views", name).insert({"photo_id": 1000 + number, "n": number % 3})


def change(world: World, *numbers: int) -> None:
    """Updates and deletes of some of these."""
    for number in numbers:
        name = f"shard_{number % 2}"
        photos = world.of("photos", name)
        photos.update({"id": 1000 + number}, description=f"new of m{number}", n=number + 1)
        if number % 3 == 0:
            photos.delete({"id": 1000 + number})
        world.of("accounts", name).update({"id": number}, email=f"new{number}@example.org")


def readable(world: World) -> str:
    """All that can be read from any Parquet file that stands anywhere, whoever names it."""
    return "".join(
        str(pq.ParquetFile(path).read().to_pylist())
        for path in world.settings.home.rglob("*.parquet")
    )
