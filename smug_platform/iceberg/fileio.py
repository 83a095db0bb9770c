"""Files that are on the disk when they are closed, so that no commit can name one that is not.

pyiceberg's own FileIO leaves data and metadata in the page cache; after a power cut the catalog,
which does sync, would name files that are empty. A closed file is synced, and so is its folder.
Other schemes than local files pass to pyiceberg untouched: object stores are durable when a write
returns.
"""

import io
import os
from pathlib import Path
from typing import Any

from pyiceberg.io import OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO


class DurableFileIO(PyArrowFileIO):
    """pyiceberg's FileIO, but for local files that are written: those are synced when closed."""

    def new_output(self, location: str) -> PyArrowFile:
        """The file to write at that location."""
        scheme, netloc, path = self.parse_location(location, self.properties)
        if scheme != "file":
            return super().new_output(location)
        return _DurableFile(location, path, self.fs_by_scheme(scheme, netloc))


class _DurableFile(PyArrowFile):
    def create(self, overwrite: bool = False) -> OutputStream:
        """Open the file for writing. Raises FileExistsError if it is there and not to be lost."""
        path = Path(self._path)
        make_folder(path.parent)
        return _DurableStream(path, "w" if overwrite else "x")


class _DurableStream(io.BufferedWriter):
    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(io.FileIO(path, mode))
        self._folder = path.parent

    def close(self) -> None:
        """Close the file once what was written is on the disk."""
        if not self.closed:
            self.flush()
            os.fsync(self.fileno())
            super().close()
            sync_folder(self._folder)

    def __exit__(self, *exception: Any) -> None:
        self.close()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
