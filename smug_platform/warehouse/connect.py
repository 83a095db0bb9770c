"""Opening the warehouse.

DuckDB lets one process write to its file at a time, and every one that reads keeps writers out,
also of its own process. The file is held for a moment only (a load, a build), so opening waits for
some seconds before it gives up with the other process's number.
"""

import re
import time
from pathlib import Path

import duckdb

from smug_platform.errors import WarehouseError
from smug_platform.settings import Settings

WAIT_SECONDS = 15.0
_PAUSE_SECONDS = 0.1
_HOLDER = re.compile(r"lock is held in (.*?) ?\(PID (\d+)\)")


def connect(
    settings: Settings, *, read_only: bool = False, wait: float = WAIT_SECONDS
) -> duckdb.DuckDBPyConnection:
    """An open connection to the warehouse, with its session in UTC; the caller closes it.

    wait: seconds to wait for others to let go of the file.

    Raises WarehouseError: the file is held for longer than that, is not a warehouse, or is read
    before anything was loaded; or the warehouse is Redshift.
    """
    if settings.warehouse != "duckdb":
        raise WarehouseError(
            "this reads DuckDB's file, and the warehouse is Redshift",
            remedy="ask Redshift itself, or set SMUG_ENV to local",
        )
    path = settings.warehouse_path
    if read_only and not path.exists():
        raise WarehouseError(f"there is no warehouse at {path}", remedy="run `smug sync` first")
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _open(path, read_only, time.monotonic() + wait)
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _open(path: Path, read_only: bool, deadline: float) -> duckdb.DuckDBPyConnection:
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.ConnectionException as error:
            # One process opens a file in one mode. One that writes may read through that handle;
            # to write, it waits for its own readers to let go.
            if read_only:
                read_only = False
                continue
            if time.monotonic() >= deadline:
                raise WarehouseError(
                    f"{path} is open in this process for reading only",
                    remedy="close that connection first",
                    passes=True,
                ) from error
            time.sleep(_PAUSE_SECONDS)
        except duckdb.IOException as error:
            holder = _HOLDER.search(str(error))
            if holder is None:
                raise WarehouseError(
                    f"can't open {path}: {first_line(error)}",
                    remedy="if it is not a warehouse, move it away and run `smug sync`",
                ) from error
            if time.monotonic() >= deadline:
                raise WarehouseError(
                    f"{path} is held by process {holder[2]} ({Path(holder[1]).name})",
                    remedy="wait for it to end, or end it",
                    passes=True,
                ) from error
            time.sleep(_PAUSE_SECONDS)


def first_line(error: BaseException) -> str:
    r"""What an error says, as one line.

    >>> first_line(ValueError("no such table\nLINE 1: select")), first_line(ValueError())
    ('no such table', 'ValueError')
    """
    return str(error).splitlines()[0] if str(error) else type(error).__name__
