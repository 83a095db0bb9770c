"""Debezium's schema history of one run: a file of its own, and its copy beside the state.

Debezium appends to the file before it hands over the changes that need it, and asks nobody. So the
file is the run's alone, and what was appended is stored before the offset that depends on it: a
worker that has lost its lease appends to a file that nobody reads.

What is stored may so be ahead of the offset. Those statements come again, and Debezium would make
each of them twice, of a table that it has changed already: the run's file begins without them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from smug_platform.capture.position import file_number
from smug_platform.capture.store import Hold


class History:
    """The schema history of one run. path: Debezium's file; names: of the parts in the store."""

    def __init__(self, hold: Hold, path: Path, names: tuple[str, ...] = ()) -> None:
        self._hold, self._path, self.names = hold, path, names
        self._kept = 0

    def restore(self, offset: str | None = None) -> bool:
        """Write the file from the store; False when there is nothing, or a part is gone.

        offset: of Debezium, as JSON, up to which statements are written, each once.
        """
        text = self._hold.history(self.names)
        if not text:
            return False
        if offset is not None:
            text = b"".join(_up_to(orjson.loads(offset), text))
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

    def add_table(self, name: str, text: bytes, offset: str) -> None:
        """Store what is said of a table that no statement speaks of yet.

        A table that this user saw nothing of when the others were described, say. name: with its
        database, as Debezium has it. text: the history of an engine that read it. offset: from
        which the next run goes on; it stands there.
        """
        known = self._hold.history(self.names) or b""
        if any(name in _changed(line) for line in known.splitlines()):
            return
        place = orjson.loads(offset)
        lines = [orjson.loads(line) for line in text.splitlines() if name in _changed(line)]
        added = b"".join(orjson.dumps(line | {"position": place}) + b"\n" for line in lines)
        if added:
            self.names = self._hold.add_history(self.names, added)


def _changed(line: bytes) -> set[str]:
    """The names of the tables of which a line says how they are."""
    return {str(change["id"]) for change in orjson.loads(line).get("tableChanges") or ()}


def _up_to(offset: dict[str, Any], text: bytes) -> Iterator[bytes]:
    """The lines of statements that end at an offset or before; of copies the first."""
    end, seen = _place(offset), set[tuple[tuple[int, int], str]]()
    for line in text.splitlines(keepends=True):
        told = orjson.loads(line)
        place = _place(told["position"])
        if (place, told["ddl"]) in seen or (place > end and "snapshot" not in told["position"]):
            continue
        seen.add((place, told["ddl"]))
        yield line


def _place(position: dict[str, Any]) -> tuple[int, int]:
    return file_number(position["file"]), int(position["pos"])
