"""What COPY is given: manifests of the lake's own files, grouped by merge and by shape.

No file is rewritten, with three exceptions: of a whole table a file with deleted rows, the files of
a table of which Redshift takes some columns alone, and, once COPY has refused a change, the files
that hold what Redshift can't take. A text that is too long is then
cut at a character; a row with anything else that does not fit is left out, and told of.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile

from smug_platform.iceberg.files import project
from smug_platform.lake.feed import Change
from smug_platform.warehouse.redshift_fit import Reject, fit, keys
from smug_platform.warehouse.redshift_sql import Stage
from smug_platform.warehouse.redshift_types import Column, file_type

_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True)
class Part:
    """Files of one merge and one shape. order: later ones count."""

    stage: Stage
    order: int
    files: list[tuple[str, int]]  # URI and bytes


@dataclass
class Files:
    """The files of one change, as COPY is to load them.

    scratch: URI of a folder of this load's own. fitted: what does not fit is cut or left out, for
    which every file is read. columns: of the replica, to be set before `parts` is asked for.
    rejects: rows of which the last is left out, by key.
    """

    change: Change
    scratch: str
    fitted: bool = False
    columns: Sequence[Column] = ()
    rejects: dict[str, Reject] = field(default_factory=dict)
    cut: int = 0
    _written: list[str] = field(default_factory=list)

    @cached_property
    def parts(self) -> list[Part]:
        """What is to be loaded, oldest merge first."""
        stages: dict[tuple[Column, ...], Stage] = {}
        parts: dict[tuple[str, int], Part] = {}
        for order, uri, size in self._files():
            shape = self._shape(uri)
            stage = stages.setdefault(shape, Stage(f"smug_stage_{len(stages)}", shape))
            part = parts.setdefault((stage.name, order), Part(stage, order, []))
            part.files.append((uri, size))
        return sorted(parts.values(), key=lambda part: part.order)

    @property
    def stages(self) -> list[Stage]:
        """One for each shape of files."""
        return list({part.stage.name: part.stage for part in self.parts}.values())

    def manifest(self, part: Part) -> str:
        """Write the manifest of a part; its URI."""
        entries = [
            {"url": uri, "mandatory": True, "meta": {"content_length": size}}
            for uri, size in part.files
        ]
        return self._write(json.dumps({"entries": entries}).encode(), "manifest")[0]

    def remove(self) -> None:
        """Delete what was written for this load; where that fails, a lifecycle rule does it."""
        for uri in self._written:
            try:
                self._io.delete(uri)
            except OSError:
                continue

    @property
    def _io(self) -> FileIO:
        return self.change.table.io

    def _files(self) -> Iterator[tuple[int, str, int]]:
        """Order, URI and bytes of the files to load."""
        if not self.change.full:
            for order, files in enumerate(self.change.added()):
                for file in files:
                    yield order, *self._as_is(file)
            return
        lake = self.change.lake()
        for number, (file, gone) in enumerate(zip(lake.data, lake.gone(), strict=True)):
            if gone == file.record_count:
                continue
            if not gone:
                yield 0, *self._as_is(file)
                continue
            names = self.change.schema().names
            yield 0, *self._rewritten(lake.read(names, [number]).select(names))

    def _as_is(self, file: DataFile) -> tuple[str, int]:
        if self.change.target.table.warehouse_columns:  # COPY loads all columns of a file, or none
            return self._rewritten(project(self._io, file, self._kept(file)))
        if not self.fitted:
            return file.file_path, file.file_size_in_bytes
        with self._io.new_input(file.file_path).open() as stream:
            rows = pq.ParquetFile(stream).read()
        names = {c.field_id: c.name for c in self.change.table.schema().fields}
        known = [names.get(_id(column), column.name) for column in rows.schema]
        fitted = self._fit(rows.rename_columns(known))
        if fitted is None:
            return file.file_path, file.file_size_in_bytes
        return self._rewritten(fitted, fitted=True)

    def _kept(self, file: DataFile) -> pa.Schema:
        """Those of the loaded columns that a file has."""
        with self._io.new_input(file.file_path).open() as stream:
            held = {_id(column) for column in pq.ParquetFile(stream).schema_arrow}
        return pa.schema([column for column in self.change.schema() if _id(column) in held])

    def _rewritten(self, rows: pa.Table, *, fitted: bool = False) -> tuple[str, int]:
        if self.fitted and not fitted:
            found = self._fit(rows)
            rows = rows if found is None else found
        sink = pa.BufferOutputStream()
        ids = {column.name: column.field_id for column in self.change.table.schema().fields}
        schema = pa.schema(
            [each.with_metadata({_FIELD_ID: str(ids[each.name])}) for each in rows.schema]
        )
        pq.write_table(rows.cast(schema), sink, compression="zstd", store_schema=False)
        return self._write(sink.getvalue().to_pybytes(), "parquet")

    def _write(self, body: bytes, ending: str) -> tuple[str, int]:
        uri = f"{self.scratch}/{uuid4()}.{ending}"
        with self._io.new_output(uri).create() as stream:
            stream.write(body)
        self._written.append(uri)
        return uri, len(body)

    def _shape(self, uri: str) -> tuple[Column, ...]:
        with self._io.new_input(uri).open() as stream:
            schema = pq.ParquetFile(stream).schema_arrow
        names = {column.field_id: column.name for column in self.change.table.schema().fields}
        wanted = {column.name: column for column in self.columns}
        return tuple(
            Column(name, file_type(wanted.get(name), each.type))
            for each in schema
            for name in [names.get(_id(each), each.name)]
        )

    def _fit(self, rows: pa.Table) -> pa.Table | None:
        """The rows as Redshift takes them; None where it takes them as they are."""
        found = fit(rows, self.columns, self.change.target.identity)
        self.cut += found.cut
        for key in keys(found.rows, self.change.target.identity) if self.rejects else ():
            self.rejects.pop(key, None)
        self.rejects |= {reject.key: reject for reject in found.rejects}
        return found.rows if found.cut or found.rejects else None


def _id(column: pa.Field) -> int:
    return int((column.metadata or {}).get(_FIELD_ID, -1))
