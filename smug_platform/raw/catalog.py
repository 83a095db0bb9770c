"""The Iceberg catalog: SQLite and local files on one machine, Glue and S3 on AWS."""

from pathlib import Path
from urllib.parse import urlsplit

from pyiceberg.catalog import Catalog

from smug_platform import iceberg
from smug_platform.settings import Settings

NAMESPACES = ("raw", "lake")


def open_catalog(settings: Settings) -> Catalog:
    """The catalog that the settings name, with its namespaces made."""
    location = urlsplit(settings.catalog["warehouse"])
    if location.scheme == "file":
        Path(location.path).mkdir(parents=True, exist_ok=True)
    catalog = iceberg.open_catalog(settings.catalog)
    for namespace in NAMESPACES:
        catalog.create_namespace_if_not_exists(namespace)
    return catalog
