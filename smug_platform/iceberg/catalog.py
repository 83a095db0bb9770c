"""The catalog: which tables there are, and where their metadata stand.

A metadata file never changes, so it is parsed once a process: a load of a table that has not moved
costs one query. On one machine the catalog is SQLite; any other is pyiceberg's own.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from sqlite3 import Connection, OperationalError

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.io import FileIO
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import CommitTableResponse
from pyiceberg.table import Table as PyTable
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import TableRequirement, TableUpdate
from pyiceberg.typedef import Identifier
from sqlalchemy import bindparam, event, select, update

from smug_platform.iceberg.cache import Cache
from smug_platform.iceberg.fileio import DurableFileIO
from smug_platform.iceberg.table import Table, applied

PROPERTIES = {
    "format-version": "2",
    "commit.retry.num-retries": "0",  # a concurrent commit means a new plan, never a retry
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": "1",
}
_TABLES = 256  # whose metadata are held, one version of each: about 0.2 MB a table
_PARSED = Cache[tuple[str, TableMetadata]](_TABLES)

_IS = (
    IcebergTables.catalog_name == bindparam("catalog"),
    IcebergTables.table_namespace == bindparam("space"),
    IcebergTables.table_name == bindparam("table"),
)
_FIND = select(IcebergTables.metadata_location).where(*_IS)
_FIND_ALL = select(
    IcebergTables.table_namespace, IcebergTables.table_name, IcebergTables.metadata_location
).where(_IS[0])
_SWAP = (
    update(IcebergTables)
    .where(*_IS, IcebergTables.metadata_location == bindparam("old"))
    .values(metadata_location=bindparam("new"), previous_metadata_location=bindparam("old"))
)


def open_catalog(properties: Mapping[str, str]) -> Catalog:
    """The catalog of those properties (pyiceberg's): "sql" is for one machine and local files."""
    if properties.get("type") == "sql":
        durable = f"{DurableFileIO.__module__}.{DurableFileIO.__qualname__}"
        return LocalCatalog("smug", **{"py-io-impl": durable, **properties})
    return load_catalog("smug", **properties)


def load(catalog: Catalog, name: str) -> Table | None:
    """The table of that name as it stands now, or None."""
    try:
        table = catalog.load_table(name)
    except NoSuchTableError:
        return None
    if isinstance(table, Table):
        return table
    metadata, location = table.metadata, table.metadata_location
    return Table(table.name(), metadata, location, table.io, catalog, table.config)


def load_all(catalog: Catalog, names: Sequence[str]) -> dict[str, Table]:
    """Those tables, as they stand at one moment; the ones that are not there are left out."""
    if isinstance(catalog, LocalCatalog):
        return catalog.load_tables(names)
    return {name: table for name in names if (table := load(catalog, name))}


def create(catalog: Catalog, name: str, schema: Schema) -> Table:
    """A new lake table."""
    catalog.create_table(name, schema=schema, properties=PROPERTIES)
    table = load(catalog, name)
    if table is None:
        raise NoSuchTableError(name)
    return table


class LocalCatalog(SqlCatalog):
    """Tables in SQLite, their metadata in local files.

    Its log is written ahead, so that readers and a writer don't wait for each other, and synced at
    each commit (FULL): with less a power cut could take back commits whose metadata files later
    commits have removed.
    """

    def _init_catalog(self) -> None:
        """What pyiceberg calls once the engine is there, and before it is used."""
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _set_sqlite)
        super()._init_catalog()

    @cached_property
    def _io(self) -> FileIO:
        """One for all tables: theirs do not set any of its properties."""
        return self._load_file_io({}, self.properties.get("warehouse"))

    def load_table(self, identifier: str | Identifier) -> Table:
        """The table as it stands now. Raises NoSuchTableError."""
        key = self.identifier_to_tuple(identifier)
        with self.engine.connect() as connection:
            location = connection.scalar(_FIND, self._named(key))
        if not location:
            raise NoSuchTableError(f"Table does not exist: {'.'.join(key)}")
        return self._table(key, location)

    def load_tables(self, names: Sequence[str]) -> dict[str, Table]:
        """Those of the tables that are there, found in one query."""
        with self.engine.connect() as connection:
            rows = connection.execute(_FIND_ALL, {"catalog": self.name}).all()
        found = {f"{space}.{name}": location for space, name, location in rows if location}
        return {
            name: self._table(self.identifier_to_tuple(name), found[name])
            for name in names
            if name in found
        }

    def commit_table(
        self,
        table: PyTable,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        """Put the table's next metadata in the place of those that it was loaded with.

        Raises CommitFailedException when another commit came first, whatever it changed.
        """
        if not isinstance(table, Table):  # one that is being made
            return super().commit_table(table, requirements, updates)
        for requirement in requirements:
            requirement.validate(table.metadata)
        old = table.metadata_location
        metadata = applied(table.metadata, updates, old)
        version = self._parse_metadata_version(old) + 1
        provider = load_location_provider(metadata.location, metadata.properties)
        new = provider.new_table_metadata_file_location(version)
        self._write_metadata(metadata, table.io, new)
        swap = {**self._named(table.name()), "old": old, "new": new}
        with self.engine.begin() as connection:
            if connection.execute(_SWAP, swap).rowcount != 1:
                raise CommitFailedException(f"another commit of {'.'.join(table.name())} was first")
        _remember(new, metadata)
        return CommitTableResponse.model_construct(
            metadata=_copied(metadata), metadata_location=new
        )

    def _named(self, key: Identifier) -> dict[str, str]:
        return {"catalog": self.name, "space": ".".join(key[:-1]), "table": key[-1]}

    def _table(self, key: Identifier, location: str) -> Table:
        held = _PARSED.get(location.rpartition("/")[0])
        if held is None or held[0] != location:
            metadata = FromInputFile.table_metadata(self._io.new_input(location))
            _remember(location, metadata)
        else:
            metadata = held[1]
        return Table(key, _copied(metadata), location, self._io, self)


def _remember(location: str, metadata: TableMetadata) -> None:
    """Hold the latest metadata of the table whose folder that is."""
    _PARSED.put(location.rpartition("/")[0], (location, metadata))


def _copied(metadata: TableMetadata) -> TableMetadata:
    """The same metadata in lists and dictionaries of their own; the things in them are shared."""
    own = {
        name: value.copy()
        for name, value in metadata.__dict__.items()
        if isinstance(value, list | dict)
    }
    return metadata.model_copy(update=own)


def _set_sqlite(connection: Connection, _: object) -> None:
    with suppress(OperationalError):  # another process is at it: either mode is durable
        connection.execute("pragma journal_mode = wal").close()
    connection.execute("pragma synchronous = full").close()
