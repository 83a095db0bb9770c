"""SQLite files that several processes use from their first moment."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory


def ensure_database(path: Path, schema: str) -> None:
    """Make a file in WAL mode with that schema (statements), unless it is there.

    It comes to its name whole, since SQLite waits for nobody where it sets WAL mode: of two
    processes that do so, or of one that does so while another reads, one gets "database is locked"
    (`sqlite3_busy_handler`, "deadlock"). Of two processes that make the file, one wins.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        scratch = Path(folder) / path.name
        with closing(sqlite3.connect(scratch, isolation_level=None)) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(schema)
        with suppress(FileExistsError):
            os.link(scratch, path)
