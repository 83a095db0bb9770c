"""Whether a table that stands still was read anew since: it can go on then, however much has landed
in between.
"""

from collections.abc import Collection
from uuid import UUID

import orjson
import pyarrow.compute as pc

from smug_platform.iceberg import Table
from smug_platform.raw import deltas as raw

_LOOKED: dict[tuple[UUID, str, str | None], int] = {}
"""Up to which raw commit no such change was found, by the deltas' id, a table's name and a shard's:
None where any shard's would do.
"""


def is_read_anew(deltas: Table, table: str, after: int, shards: Collection[str]) -> bool:
    """Whether commits of `raw.deltas` after that sequence number say that each of those shards
    created a table; shards: none for whichever it is.
    """
    return all(_is_created(deltas, table, after, shard) for shard in sorted(shards) or (None,))


def _is_created(deltas: Table, table: str, after: int, shard: str | None) -> bool:
    place = deltas.metadata.table_uuid, table, shard
    for file in raw.delta_files(deltas, max(after, _LOOKED.get(place, 0))):
        if file.table == table and _creates(deltas, file, shard):
            return True
    _LOOKED[place] = raw.sequence(deltas)
    return False


def _creates(deltas: Table, file: raw.DeltaFile, shard: str | None) -> bool:
    found = raw.read_columns(deltas, file, ["op", "shard"])
    is_ddl = pc.equal(found["op"], "ddl")
    if shard is not None:
        is_ddl = pc.and_(is_ddl, pc.equal(found["shard"], shard))
    if not pc.any(is_ddl).as_py():
        return False
    payloads = raw.read_columns(deltas, file, ["payload"])["payload"].filter(is_ddl)
    return any(
        change["type"] == "CREATE" and change["id"].split(".")[-1].strip('"') == file.table
        for payload in payloads.to_pylist()
        for change in orjson.loads(payload)["tableChanges"]
    )
