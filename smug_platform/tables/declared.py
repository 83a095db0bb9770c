"""The contract as its file says it at this moment, for a process that outlives a change of it."""

import logging
import runpy
from pathlib import Path

from smug_platform.tables import flickr
from smug_platform.tables.table import Source

_log = logging.getLogger(__name__)


class Declared:
    """Gives the source that a Python file declares, read again whenever the file has changed.

    file: holds it as `name`. A file that can't be read, or declares what is impossible, is told
    once, and what was declared before stays in force. Safe for threads: at worst two read it.
    """

    def __init__(self, file: Path = Path(flickr.__file__), name: str = "FLICKR") -> None:
        self._file, self._name = file, name
        self._changed_at = file.stat().st_mtime_ns
        self._source = self._read()

    def __call__(self) -> Source:
        """What is declared now."""
        try:
            changed_at = self._file.stat().st_mtime_ns
            if changed_at != self._changed_at:
                self._changed_at = changed_at
                self._source = self._read()
        except Exception as error:  # noqa: BLE001  whatever a half-written file may raise
            _log.error("%s: %s; what it declared before stays in force", self._file, error)
        return self._source

    def _read(self) -> Source:
        found = runpy.run_path(str(self._file)).get(self._name)
        if not isinstance(found, Source):
            raise TypeError(f"it declares no source {self._name}")
        return found
