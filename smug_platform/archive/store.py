"""Where the archive's objects stand: a folder or a bucket of one layout, written once.

`deltas/<shard>/<day>/<hour>/...parquet` are the objects, `manifests/<shard>/<number>.json` say what
there is. Manifests are always at hand: they are small, and the first thing that anybody asks for.
Objects may have to be restored before they can be read, where the storage class is so cold.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from smug_platform.errors import ArchiveError
from smug_platform.iceberg.fileio import make_folder, sync_folder

DELTAS, MANIFESTS = "deltas", "manifests"


class Exists(Exception):
    """There is an object of that name already."""


@dataclass(frozen=True)
class Kept:
    """How an object is kept. cold: it has to be restored before it can be read."""

    bytes: int
    cold: bool = False
    restoring: bool = False


class Store(Protocol):
    """What an archive stands in. Names are paths below its root."""

    def write(self, name: str, data: bytes, sha256: bytes) -> None:
        """Write an object, which the retention locks. Raises ArchiveError."""

    def create(self, name: str, data: bytes) -> None:
        """Write a manifest; raises Exists when there is one of that name, and ArchiveError."""

    def read(self, name: str) -> bytes | None:
        """What stands under that name, None for nothing. Raises ArchiveError."""

    def names(self, prefix: str) -> Iterator[str]:
        """The names that begin so, in order."""

    def remove(self, name: str) -> None:
        """Remove an object; raises ArchiveError while the retention locks it."""

    def discard(self, name: str) -> None:
        """Take away an object that no manifest names; what the retention locks is only hidden."""

    def state(self, name: str) -> Kept | None:
        """How an object is kept; None when it is not there."""

    def restore(self, name: str, days: int, tier: str) -> None:
        """Ask for a cold object to be readable for so many days."""


class FolderStore:
    """A folder on this machine. Files can't be written to; a lock is kept by this class alone."""

    def __init__(self, root: Path, retention_days: int) -> None:
        self._root, self._retention = root, timedelta(days=retention_days)

    def write(self, name: str, data: bytes, sha256: bytes) -> None:
        """As Store. What was written half stands under another name."""
        del sha256
        path = self._root / name
        self._written(path, data).replace(path)
        sync_folder(path.parent)

    def create(self, name: str, data: bytes) -> None:
        """As Store."""
        path = self._root / name
        scratch = self._written(path, data)
        try:
            os.link(scratch, path)
        except FileExistsError:
            raise Exists(name) from None
        finally:
            scratch.unlink()
        sync_folder(path.parent)

    def read(self, name: str) -> bytes | None:
        """As Store."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(name, error) from error

    def names(self, prefix: str) -> Iterator[str]:
        """As Store."""
        folder = self._root / prefix
        files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".tmp")
        yield from sorted(str(path.relative_to(self._root)) for path in files)

    def remove(self, name: str) -> None:
        """As Store."""
        path = self._root / name
        with suppress(FileNotFoundError):
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if (until := written + self._retention) > datetime.now(UTC):
                raise locked(name, until)
            path.unlink()

    def discard(self, name: str) -> None:
        """As Store."""
        (self._root / name).unlink(missing_ok=True)

    def state(self, name: str) -> Kept | None:
        """As Store: nothing here is cold."""
        with suppress(FileNotFoundError):
            return Kept((self._root / name).stat().st_size)
        return None

    def restore(self, name: str, days: int, tier: str) -> None:
        """As Store: there is nothing to do."""

    def _written(self, path: Path, data: bytes) -> Path:
        scratch = path.with_name(f"{uuid4()}.tmp")
        try:
            make_folder(path.parent)
            with scratch.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            scratch.chmod(0o444)
        except OSError as error:
            raise ArchiveError(
                f"{path.name} can't be written to the archive ({error})",
                remedy="make its folder writable; what is missing is written the next time",
            ) from error
        return scratch


def locked(name: str, until: datetime) -> ArchiveError:
    """What is said of an object that the retention locks."""
    return ArchiveError(
        f"{name} is locked until {until:%Y-%m-%d}",
        remedy="wait until then: nobody can remove or change it before",
    )


def _unreadable(name: str, error: Exception) -> ArchiveError:
    return ArchiveError(f"{name} can't be read ({error})", remedy="see who may read the archive")
