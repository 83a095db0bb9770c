"""The index of a lake table: where each row is, and the position that it holds.

A merge looks up the keys of its changes here and reads nothing of the table itself. The index is a
cache and never a truth: it covers whole data files, so whatever it lacks (it was lost, it is torn,
another process merged, a commit was not followed by its entry here) is read from those files.
"""

import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table import Table as Iceberg

from smug_platform.iceberg.files import FILE, ROW, LakeFiles
from smug_platform.lake.keys import Keys, KeyTypes, key_types, keys, positions
from smug_platform.lake.runs import (
    KINDS,
    RUN,
    SCRATCH,
    Array,
    Entries,
    Fold,
    Run,
    fold,
    joined,
    newest,
    open_run,
    remove,
    write_run,
)
from smug_platform.lake.target import Target
from smug_platform.raw.views import in_pieces
from smug_platform.scan import native

INDEX = "smug.index"
"""The catalog's property that names the folder of the indexes."""

_FORMAT = 1
_OPEN = threading.local()
_MOST_OPEN = 100
_TIER = 8  # so many runs of one size class become one of the next, eight times as large
_AT_ONCE = 500_000  # entries that are folded between two merges at least: a tenth of a second
_SHARE = 4  # of a larger run's own, so that folding keeps up
_ASKED = 32_768  # groups that one core looks up before the next has a turn
_LEFT_S = 3600.0  # for which files that no index names are left alone: another may write them
_NAME = "index.json"
NOTHING = Entries(*(np.empty(0, kind) for kind in KINDS))


class StaleIndex(Exception):
    """The newest entry of a row names a file that the table no longer has: build it anew."""


@dataclass(frozen=True, slots=True)
class Found:
    """Entries that were looked up: `query` is the number of the group that was asked for."""

    query: Array
    entries: Entries


class Index:
    """The entries of one table, in sorted runs, oldest first.

    folder: where they are kept; None for memory only. What was kept for keys of other types is
    not used.
    """

    def __init__(self, folder: Path | None, target: Target, kinds: KeyTypes) -> None:
        self._folder, self._target, self._kinds = folder, target, kinds
        self._signature = signature(target, kinds)
        self._files: dict[str, int] = {}
        self._next = 0
        self._runs: list[Run] = []
        self._folding: Fold | None = None
        self._first = 0  # the number of the first run that is being folded
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._open(folder)

    def __len__(self) -> int:
        """Entries, with those that newer ones have taken the place of."""
        return sum(map(len, self._runs))

    def keys(self, rows: pa.Table) -> Keys:
        """The words of the rows' keys; rows: with the identity's columns."""
        return keys(self._target, rows, self._kinds)

    def holds(self, files: LakeFiles) -> bool:
        """Whether the index lacks none of the table's files."""
        return all(file.file_path in self._files for file in files.data)

    def sync(self, files: LakeFiles) -> None:
        """Read what the index lacks of the table's files, and forget files that are gone."""
        key_columns = list(dict.fromkeys((*self._target.identity, "_position")))
        live = [file.file_path for file in files.data]
        missing = [file for file in files.oldest_first() if file.file_path not in self._files]
        self._files = {path: self._files[path] for path in live if path in self._files}
        for file in missing:
            rows = files.read_file(file, key_columns)
            self._put(file.file_path, self.keys(rows), positions(rows))
        if missing:
            self._save()

    def add(self, path: str, found: Keys, position: tuple[Array, Array]) -> None:
        """The entries of a new data file, whose rows have these keys and positions, in order."""
        self._put(path, found, position)
        self._save()

    def find(self, groups: Array) -> Found:
        """The newest entry of each row of those groups, which must be sorted and differ."""

        def find(start: int, stop: int) -> Found:
            found = self._find(groups[start:stop])
            return Found(found.query + start, found.entries)

        parts = in_pieces(find, len(groups), rows=_ASKED)
        query = np.concatenate([part.query for part in parts])
        return Found(query, joined([part.entries for part in parts]))

    def _find(self, groups: Array) -> Found:
        queries, parts = [], []
        for run in self._runs:
            query, at = native.matches(run.entries.group, groups)
            if len(at):
                queries.append(query)
                parts.append(run.entries.at(at))
        if not parts:
            return Found(np.empty(0, np.int64), NOTHING)
        if len(parts) > 1 or not np.diff(queries[0]).all():
            entries = newest(parts)
            return Found(np.searchsorted(groups, entries.group), entries)
        return Found(queries[0], parts[0])

    def has_several(self, groups: Array) -> Array:
        """Which of those groups, in any order, hold more than one row."""
        asked, place = np.unique(groups, return_inverse=True)
        counts = np.bincount(self.find(asked).query, minlength=len(asked))
        several: Array = (counts > 1)[place]
        return several

    def clear(self) -> None:
        """Forget all entries: the next `sync` reads them anew."""
        if self._folding is not None:
            self._folding.drop()
        self._files, self._runs, self._folding = {}, [], None

    def places(self, files: LakeFiles, entries: Entries) -> pa.Table:
        """The places of the entries, as `LakeFiles.rows_at` takes them."""
        file, row = self.numbers(files, entries), entries.row.astype(np.int64)
        return pa.table({FILE: file, ROW: row})

    def numbers(self, files: LakeFiles, entries: Entries) -> Array:
        """The entries' files by their number in `files`; raises StaleIndex for one that is gone."""
        places = {path: number for number, path in enumerate(f.file_path for f in files.data)}
        known = sorted((own, places[path]) for path, own in self._files.items() if path in places)
        own = np.array([one for one, _ in known], dtype=np.int32)
        theirs = np.array([number for _, number in known], dtype=np.int32)
        at = np.searchsorted(own, entries.file)
        if len(at) and (at.max() == len(own) or (own[at] != entries.file).any()):
            raise StaleIndex
        return theirs[at]

    def _put(self, path: str, found: Keys, position: tuple[Array, Array]) -> None:
        file = np.full(len(found), self._next, dtype=np.int32)
        row = np.arange(len(found), dtype=np.int32)
        entries = Entries(found.group, found.check, *position, file, row)
        self._files[path], self._next = self._next, self._next + 1
        self._runs.append(write_run(entries.at(native.order(found.group)), self._folder))
        self._fold(max(_AT_ONCE, _SHARE * len(found)))

    def _fold(self, most: int) -> None:
        """Fold runs that are due. More entries than `most` are folded over the next puts, unless
        runs have piled up: by processes that end before they are through, say.
        """
        if self._folding is not None and (made := self._folding.go_on(most)) is not None:
            self._replace(self._first, len(self._folding.runs), made)
            self._folding = None
        after = self._first + len(self._folding.runs) if self._folding else 0
        while (count := _due(self._runs[after:])) >= _TIER:
            first = len(self._runs) - count
            old = self._runs[first:]
            if sum(map(len, old)) > most and count < 2 * _TIER:
                if self._folding is None:
                    self._folding, self._first = Fold(old, self._folder), first
                return
            self._replace(first, count, fold(old, self._folder))

    def _replace(self, first: int, count: int, made: Run) -> None:
        old = self._runs[first : first + count]
        self._runs[first : first + count] = [made]
        for run in old:
            remove(run)

    def _open(self, folder: Path) -> None:
        with suppress(OSError, ValueError, KeyError):
            held = orjson.loads((folder / _NAME).read_bytes())
            if held["signature"] == self._signature:
                self._runs = [open_run(folder / name) for name in held["runs"]]
                self._files, self._next = held["files"], held["next"]
        named = {run.path.name for run in self._runs if run.path}
        for path in folder.iterdir():
            with suppress(OSError):  # another was at it too
                is_old = time.time() - path.stat().st_mtime > _LEFT_S
                if is_old and path.suffix in {RUN, SCRATCH} and path.name not in named:
                    path.unlink()

    def _save(self) -> None:
        """Say which runs and files count, in one step. Nothing is lost should it not happen."""
        if self._folder is None:
            return
        held = {
            "signature": self._signature,
            "runs": [run.path.name for run in self._runs if run.path],
            "files": self._files,
            "next": self._next,
        }
        scratch = self._folder / f"{uuid.uuid4()}.tmp"
        scratch.write_bytes(orjson.dumps(held))
        scratch.replace(self._folder / _NAME)


def index_of(catalog: Catalog, target: Target, table: Iceberg, schema: Schema) -> Index:
    """The index of a table, open for as long as this thread works on it.

    schema: the table's, or what the transaction at hand makes of it. The index is kept in the
    folder that the catalog's property smug.index names, or in memory.
    """
    kinds = key_types(target, schema_to_pyarrow(schema))
    uid, place = str(table.metadata.table_uuid), catalog.properties.get(INDEX)
    held: dict[str, Index] = _OPEN.__dict__
    name = _name(catalog, target, table, kinds)
    if name not in held:
        while len(held) >= _MOST_OPEN:
            held.pop(next(iter(held)))
        held[name] = Index(Path(place) / uid if place else None, target, kinds)
    return held[name]


def opened_index(catalog: Catalog, target: Target, table: Iceberg) -> Index | None:
    """The index of a table if this thread has it open, for who can do without: its files are best
    left to the process that merges.
    """
    kinds = key_types(target, schema_to_pyarrow(table.schema()))
    found: Index | None = _OPEN.__dict__.get(_name(catalog, target, table, kinds))
    return found


def _name(catalog: Catalog, target: Target, table: Iceberg, kinds: KeyTypes) -> str:
    place = catalog.properties.get(INDEX)
    return f"{place} {table.metadata.table_uuid} {signature(target, kinds)}"


def signature(target: Target, kinds: KeyTypes) -> str:
    """Says how the keys of an index are made."""
    named = [f"{name} {kind}" for name, kind in kinds.items()]
    return orjson.dumps([_FORMAT, target.table.key_scope, *named]).decode()


def _due(runs: Sequence[Run]) -> int:
    """How many of the last runs are no larger than the size class of the last one."""
    most = _TIER * max(len(runs[-1]), 1000)
    count = 0
    while count < len(runs) and len(runs[-1 - count]) <= most:
        count += 1
    return count
