"""The lake in dbt: a plugin of dbt-duckdb that shows every lake table as a view.

The views are made once a run, of one moment, in an attached database in memory, `iceberg`: so
nothing is copied into the warehouse's file and nothing stays there. A model reads
`iceberg.lake.photos`; it must not be a view itself, for the next session doesn't have that
database. The target `lake` of the dbt project has it.
"""

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from smug_platform.lake.query import show
from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import load_settings

DATABASE = "iceberg"


class Plugin(BasePlugin):
    """What dbt-duckdb looks for. config: `at`, a snapshot's id or a time, to read an old lake."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Keep what the profile says."""
        self._at = str(plugin_config.get("at") or "") or None

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Make the views, before any model runs."""
        conn.execute(f"attach if not exists ':memory:' as {DATABASE}")
        show(conn, open_catalog(load_settings()), at=self._at, database=DATABASE)
