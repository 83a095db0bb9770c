"""Removing files of a table that none of its snapshots names.

They are what expired snapshots leave behind, and merges that were killed or lost to another. Each
is kept for an age that must be longer than any commit takes. A file's age does not say how long ago
it was still live: what readers may hold is seen to by `held`.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pyarrow.fs import FileSelector, FileSystem, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import ManifestFile
from pyiceberg.table import Table

from smug_platform.iceberg.held import HELD
from smug_platform.iceberg.manifests import entries, manifests


def remove_orphans(table: Table, older_than: timedelta = HELD) -> int:
    """Remove what is older than that and that the table as it stands now does not name.

    Lists the table's folders whole, which takes long where they are large. How many files went:
    data and delete files, manifests, their lists, and metadata files. Raises the file system's
    errors, having removed nothing, when anything of the table can't be read.
    """
    before = datetime.now(UTC) - older_than
    found = [(fs, path) for fs, path, at in _files(table) if at < before]
    # Loaded after the listing: what was committed meanwhile is named then.
    fresh = table.catalog.load_table(table.name())
    named = {place_of(fresh, location)[1] for location in set(named_by(fresh))}
    orphans = [(fs, path) for fs, path in found if path not in named]
    for fs, path in orphans:
        with suppress(FileNotFoundError):  # another was at it too
            fs.delete_file(path)
    return len(orphans)


def named_by(table: Table) -> Iterator[str]:
    """The locations of all that the table's metadata lead to."""
    yield table.metadata_location
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    held: dict[str, ManifestFile] = {}  # each once: most snapshots share most of theirs
    for snapshot in table.metadata.snapshots:
        yield snapshot.manifest_list
        held |= {manifest.manifest_path: manifest for manifest in manifests(snapshot, table.io)}
    for path, manifest in held.items():
        yield path
        yield from (entry.data_file.file_path for entry in entries(manifest, table.io))


def _files(table: Table) -> Iterator[tuple[FileSystem, str, datetime]]:
    """What stands in the table's folders, and when it was written."""
    provider = table.location_provider()
    for folder in (provider.data_path, provider.metadata_path):
        fs, path = place_of(table, folder)
        for info in fs.get_file_info(FileSelector(path, allow_not_found=True, recursive=True)):
            if info.type == FileType.File:
                yield fs, info.path, info.mtime


def place_of(table: Table, location: str) -> tuple[FileSystem, str]:
    """The file system of a location, and the path in it."""
    io = table.io
    if not isinstance(io, PyArrowFileIO):
        raise TypeError(f"{type(io).__name__} can't list files")
    scheme, netloc, path = io.parse_location(location, io.properties)
    return io.fs_by_scheme(scheme, netloc), path
