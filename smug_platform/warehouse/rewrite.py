"""Writing DuckDB's file anew: what was deleted from it stays in its free blocks until then."""

import duckdb

from smug_platform.errors import WarehouseError
from smug_platform.settings import Settings
from smug_platform.warehouse.connect import connect, first_line
from smug_platform.warehouse.ddl import quoted


def rewrite(settings: Settings) -> int:
    """Copy all that the file holds to a new one and put that in its place; its bytes.

    Raises WarehouseError, with the file as it was, when it is held by another or can't be copied.
    """
    path = settings.warehouse_path
    scratch = path.with_name(f"{path.name}.new")
    scratch.unlink(missing_ok=True)
    with connect(settings) as connection:
        name = connection.execute("select current_database()").fetchall()[0][0]
        try:
            connection.execute(f"attach '{scratch}' as rewritten")
            connection.execute(f"copy from database {quoted(name)} to rewritten")
            connection.execute("detach rewritten")
        except duckdb.Error as error:
            scratch.unlink(missing_ok=True)
            raise WarehouseError(
                f"the warehouse can't be copied: {first_line(error)}",
                remedy="look at the disk's free space, then erase again",
            ) from error
        connection.execute("checkpoint")
        scratch.replace(path)
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    return path.stat().st_size
