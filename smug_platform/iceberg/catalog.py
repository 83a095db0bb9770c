"""Lake tables in the catalog: made, and loaded."""

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.schema import Schema
from pyiceberg.table import Table as Iceberg

PROPERTIES = {
    "format-version": "2",
    "commit.retry.num-retries": "0",  # a concurrent commit means a new plan, never a retry
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": "1",
}


def load(catalog: Catalog, name: str) -> Iceberg | None:
    """The Iceberg table of that name, or None."""
    try:
        return catalog.load_table(name)
    except NoSuchTableError:
        return None


def create(catalog: Catalog, name: str, schema: Schema) -> Iceberg:
    """A new lake table."""
    return catalog.create_table(name, schema=schema, properties=PROPERTIES)
