"""Manifests and manifest lists: read once a process, for they never change.

What this process writes is put in the cache, so it is never read back. pyiceberg converts the
schemas to Avro's each time that it writes one, which takes longer than all the rest: here what
comes of that is kept.

Source of the formats: Iceberg spec v2, "Manifests" and "Manifest Lists"; Avro 1.11, "Object
Container Files".
"""

import io as streams
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

from pyiceberg.avro.codecs import AVRO_CODEC_KEY
from pyiceberg.avro.encoder import BinaryEncoder
from pyiceberg.avro.file import MAGIC, META_SCHEMA, AvroFileHeader
from pyiceberg.avro.resolver import construct_writer, resolve_writer
from pyiceberg.avro.writer import Writer
from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    MANIFEST_LIST_FILE_SCHEMAS,
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
    construct_partition_summaries,
)
from pyiceberg.table.locations import LocationProvider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.typedef import Record
from pyiceberg.utils.schema_conversion import AvroSchemaConversion

from smug_platform.iceberg.cache import Cache

_LISTS = Cache[tuple[ManifestFile, ...]](20_000)  # by path; weight: manifests, of 1 KB each
_ENTRIES = Cache[tuple[ManifestEntry, ...]](50_000)  # by path; weight: files, of 1 to 3 KB each
_FILES = Cache[tuple[tuple[int, DataFile], ...]](50_000)  # as `_ENTRIES`, whose files they are
_LISTED = Cache[bytes](20_000)  # by path; of 0.3 KB each
_SYNC = bytes(range(16))  # marks the end of a block; any 16 bytes do
_HEADER = construct_writer(META_SCHEMA)


def manifests(snapshot: Snapshot | None, io: FileIO) -> tuple[ManifestFile, ...]:
    """The manifests of a snapshot; none of no snapshot."""
    if snapshot is None:
        return ()
    found = _LISTS.get(snapshot.manifest_list)
    if found is None:
        found = tuple(snapshot.manifests(io))
        _LISTS.put(snapshot.manifest_list, found, len(found))
    return found


def entries(manifest: ManifestFile, io: FileIO) -> tuple[ManifestEntry, ...]:
    """A manifest's entries but for those of removed files. To be read only: they are shared."""
    found = _ENTRIES.get(manifest.manifest_path)
    if found is None:
        found = tuple(manifest.fetch_manifest_entry(io, discard_deleted=True))
        _ENTRIES.put(manifest.manifest_path, found, len(found))
    return found


def files(manifest: ManifestFile, io: FileIO) -> tuple[tuple[int, DataFile], ...]:
    """The files of its entries, each with the sequence number of the commit that added it."""
    found = _FILES.get(manifest.manifest_path)
    if found is None:
        live = entries(manifest, io)
        found = tuple((entry.sequence_number or 0, entry.data_file) for entry in live)
        _FILES.put(manifest.manifest_path, found, len(found))
    return found


@dataclass(frozen=True)
class NewSnapshot:
    """The snapshot that is being written: its manifests and their list."""

    io: FileIO
    metadata: TableMetadata
    provider: LocationProvider
    id: int

    @cached_property
    def sequence(self) -> int:
        """Its sequence number."""
        return self.metadata.next_sequence_number()

    @property
    def parent(self) -> Snapshot | None:
        """The snapshot that it follows."""
        return self.metadata.current_snapshot()

    def write_manifest(
        self, content: ManifestContent, written: Sequence[ManifestEntry]
    ) -> ManifestFile:
        """Write a manifest of those entries; the ones that are added get their number here."""
        metadata = self.metadata
        location = self.provider.new_metadata_location(f"{uuid4()}-m0.avro")
        layout = _manifest_layout(metadata, content)
        blocks = [_encoded(layout, entry) for entry in written]
        length = _write(self.io, location, layout.meta, blocks)
        for entry in written:
            if entry.sequence_number is None:
                entry.sequence_number = entry.file_sequence_number = self.sequence
        live = tuple(one for one in written if one.status != ManifestEntryStatus.DELETED)
        _ENTRIES.put(location, live, len(live))
        partitions = [one.data_file.partition for one in written]
        known: dict[str, Any] = {
            "manifest_path": location,
            "manifest_length": length,
            "partition_spec_id": metadata.default_spec_id,
            "content": content,
            "sequence_number": self.sequence,
            "min_sequence_number": min(
                (e.sequence_number or 0 for e in live), default=self.sequence
            ),
            "added_snapshot_id": self.id,
            "partitions": construct_partition_summaries(
                metadata.spec(), metadata.schema(), partitions
            ),
            "key_metadata": None,
        }
        return ManifestFile.from_args(**known, **_counts(written))

    def write_list(self, held: Sequence[ManifestFile]) -> str:
        """Write the list of the snapshot's manifests; where it stands."""
        location = self.provider.new_metadata_location(f"snap-{self.id}-0-{uuid4()}.avro")
        parent = self.metadata.current_snapshot_id
        extra = {
            "snapshot-id": str(self.id),
            "parent-snapshot-id": "null" if parent is None else str(parent),
            "sequence-number": str(self.sequence),
        }
        layout = _list_layout()
        _write(self.io, location, {**layout.meta, **extra}, [_listed(one) for one in held])
        _LISTS.put(location, tuple(held), len(held))
        return location


@dataclass(frozen=True)
class _Layout:
    """What an Avro file says of itself, and pyiceberg's writer of its records."""

    meta: Mapping[str, str]
    writer: Writer


_LAYOUTS = Cache[_Layout](256)  # by table, schema and content: a schema's id never changes meaning


def _manifest_layout(metadata: TableMetadata, content: ManifestContent) -> _Layout:
    ids = (metadata.table_uuid, metadata.current_schema_id, metadata.default_spec_id, content)
    key = "/".join(map(str, ids))
    layout = _LAYOUTS.get(key)
    if layout is None:
        nowhere: Any = None  # nothing is written through pyiceberg's own
        kind = ManifestWriterV2(metadata.spec(), metadata.schema(), nowhere, 0, "deflate")
        avro = kind.new_writer()
        # pyiceberg's own writes manifests of data files only.
        named = "data" if content == ManifestContent.DATA else "deletes"
        meta = {**avro.metadata, "content": named}
        layout = _Layout(_described(meta, avro.file_schema, avro.schema_name), avro.writer)
        _LAYOUTS.put(key, layout)
    return layout


def _list_layout() -> _Layout:
    layout = _LAYOUTS.get("list")
    if layout is None:
        schema = MANIFEST_LIST_FILE_SCHEMAS[2]
        writer = resolve_writer(record_schema=schema, file_schema=schema)
        layout = _Layout(_described({"format-version": "2"}, schema, "manifest_file"), writer)
        _LAYOUTS.put("list", layout)
    return layout


def _described(meta: Mapping[str, str], schema: Any, name: str) -> dict[str, str]:
    avro = AvroSchemaConversion().iceberg_to_avro(schema, schema_name=name)
    return {**meta, "avro.schema": json.dumps(avro), AVRO_CODEC_KEY: "deflate"}


def _listed(manifest: ManifestFile) -> bytes:
    """A manifest as its list has it: a list says again what the one before it said."""
    found = _LISTED.get(manifest.manifest_path)
    if found is None:
        found = _encoded(_list_layout(), manifest)
        _LISTED.put(manifest.manifest_path, found)
    return found


def _encoded(layout: _Layout, record: Record) -> bytes:
    stream = streams.BytesIO()
    layout.writer.write(BinaryEncoder(stream), record)
    return stream.getvalue()


def _write(io: FileIO, location: str, meta: Mapping[str, str], records: Sequence[bytes]) -> int:
    """Write an Avro file of one block; its bytes."""
    packer = zlib.compressobj(1, wbits=-15)  # raw, as Avro has it
    packed = packer.compress(b"".join(records)) + packer.flush()
    whole = streams.BytesIO()
    encoder = BinaryEncoder(whole)
    _HEADER.write(encoder, AvroFileHeader(MAGIC, meta, _SYNC))
    encoder.write_int(len(records))
    encoder.write_int(len(packed))
    encoder.write(packed + _SYNC)
    with io.new_output(location).create() as stream:
        stream.write(whole.getvalue())
    return len(whole.getvalue())


def _counts(written: Sequence[ManifestEntry]) -> dict[str, Any]:
    """How many files and rows were added, are still there, and went."""
    counts: dict[str, Any] = {}
    names = {"added": "ADDED", "existing": "EXISTING", "deleted": "DELETED"}
    for name, status in names.items():
        rows = [e.data_file.record_count for e in written if e.status.name == status]
        counts |= {f"{name}_files_count": len(rows), f"{name}_rows_count": sum(rows)}
    return counts
