"""Up to where in the stream the marts of a table have come, from committed positions alone.

The warehouse records the lake snapshot that its models were built of, the lake snapshot the commit
of `raw.deltas` that was merged last, and that one the positions in the stream.
"""

import orjson
from pyiceberg.catalog import Catalog
from pyiceberg.table.snapshots import Snapshot

from smug_platform import iceberg
from smug_platform.iceberg import Table
from smug_platform.lake.merge import SEQUENCE
from smug_platform.raw import deltas as raw
from smug_platform.realtime.moment import NotThere
from smug_platform.stream.reader import StreamPositions
from smug_platform.warehouse.builds import built
from smug_platform.warehouse.open import Warehouse, loaded

_STREAM = "smug.stream"


def reached(catalog: Catalog, warehouse: Warehouse, table: str) -> StreamPositions:
    """The position in the stream at which the marts made of a source table show it.

    Between two commits of raw that bring nothing of the table the marts stand at either; the later
    one is taken. Raises NotThere: nothing was built, a build is under way, or raw has forgotten.
    """
    snapshot = built(warehouse).get(table)
    if snapshot is None or snapshot != loaded(warehouse).get(table):
        raise NotThere(
            f"the marts of {table} are not built of what is loaded",
            remedy="run `smug sync`",
            passes=True,
        )
    merged = _merged(iceberg.load(catalog, f"lake.{table}"), snapshot)
    deltas = raw.open_deltas(catalog)
    following = [f.sequence for f in raw.delta_files(deltas, merged) if f.table == table]
    found = [
        one
        for one in sorted(deltas.metadata.snapshots, key=_sequence)
        if merged <= _sequence(one) < min(following, default=_sequence(one) + 1)
        and one.summary
        and _STREAM in one.summary.additional_properties
    ]
    if not merged or not found or found[-1].summary is None:
        raise NotThere(
            f"up to where the marts of {table} have come is not known any more",
            remedy="run `smug sync`, then compare again",
        )
    text = orjson.loads(found[-1].summary.additional_properties[_STREAM])
    return StreamPositions(text["incarnation"], text["sequences"])


def _merged(table: Table | None, snapshot_id: int) -> int:
    """The sequence number of the raw commit that a lake snapshot holds; 0 when nothing says so."""
    snapshot = table.snapshot_by_id(snapshot_id) if table else None
    while table and snapshot and snapshot.summary:
        if text := snapshot.summary.additional_properties.get(SEQUENCE):
            return int(text)
        parent = snapshot.parent_snapshot_id
        snapshot = table.snapshot_by_id(parent) if parent is not None else None
    return 0


def _sequence(snapshot: Snapshot) -> int:
    return snapshot.sequence_number or 0
