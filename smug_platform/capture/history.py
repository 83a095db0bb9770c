"""Debezium's schema history of one run: a file of its own, and its copy beside the state.

Debezium appends to the file before it hands over the changes that need it, and asks nobody. So the
file is the run's alone, and what was appended is stored before the offset that depends on it: a
worker that has lost its lease appends to a file that nobody reads.
"""

from pathlib import Path

from smug_platform.capture.store import Hold


class History:
    """The schema history of one run. path: Debezium's file; names: of the parts in the store."""

    def __init__(self, hold: Hold, path: Path, names: tuple[str, ...] = ()) -> None:
        self._hold, self._path, self.names = hold, path, names
        self._kept = 0

    def restore(self) -> bool:
        """Write the file from the store; False when there is nothing, or a part is gone."""
        text = self._hold.history(self.names)
        if not text:
            return False
        self._path.write_bytes(text)
        self._kept = len(text)
        return True

    def keep(self) -> tuple[str, ...]:
        """Store the lines that were appended since; the names of all parts.

        A line that is not whole yet is left for the next time: its changes have not come.
        """
        if not self._path.exists() or self._path.stat().st_size == self._kept:
            return self.names
        with self._path.open("rb") as file:
            file.seek(self._kept)
            text = file.read()
        if whole := text[: text.rfind(b"\n") + 1]:
            self.names = self._hold.add_history(self.names, whole)
            self._kept += len(whole)
        return self.names
