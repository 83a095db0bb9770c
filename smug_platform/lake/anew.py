"""Whether a table that stands still was read anew since: it can go on then, however much has landed
in between.
"""

from uuid import UUID

import orjson
import pyarrow.compute as pc

from smug_platform.iceberg import Table
from smug_platform.raw import deltas as raw

_LOOKED: dict[tuple[UUID, str], int] = {}
"""Up to which raw commit no such change of a table was found, by the deltas' id and its name."""


def is_read_anew(deltas: Table, table: str, after: int) -> bool:
    """Whether a commit of `raw.deltas` after that sequence number says that a table was created."""
    place = deltas.metadata.table_uuid, table
    for file in raw.delta_files(deltas, max(after, _LOOKED.get(place, 0))):
        if file.table == table and _creates(deltas, file):
            return True
    _LOOKED[place] = raw.sequence(deltas)
    return False


def _creates(deltas: Table, file: raw.DeltaFile) -> bool:
    is_ddl = pc.equal(raw.read_columns(deltas, file, ["op"])["op"], "ddl")
    if not pc.any(is_ddl).as_py():
        return False
    payloads = raw.read_columns(deltas, file, ["payload"])["payload"].filter(is_ddl)
    return any(
        change["type"] == "CREATE" and change["id"].split(".")[-1].strip('"') == file.table
        for payload in payloads.to_pylist()
        for change in orjson.loads(payload)["tableChanges"]
    )
