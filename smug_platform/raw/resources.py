"""The edge to Iceberg: the catalog is opened at its first use, not when it is named."""

from functools import cached_property

from pyiceberg.catalog import Catalog

from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import Settings


class Lakehouse:
    """The raw and lake tables of an environment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def catalog(self) -> Catalog:
        """Their catalog."""
        return open_catalog(self._settings)
