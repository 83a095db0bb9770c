"""Snapshots that stay for those who may read them still, beside the latest ones.

A busy table's snapshot is out of those in seconds, and compaction lets go of files that are
days old: neither says that no reader holds them. So once every ten minutes a commit tags the
snapshot that it follows, and a tag stays for an hour and ten minutes. A file that is older than an
hour and was live in the last fifty minutes is named by one of these tags; younger ones
`remove_orphans` leaves alone. So what a reader finds stays for fifty minutes at least.

Source of the format: Iceberg spec v2, "Snapshot References".
"""

from collections.abc import Iterator
from datetime import timedelta

from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.update import RemoveSnapshotRefUpdate, SetSnapshotRefUpdate, TableUpdate

HELD = timedelta(hours=1)
"""The age at which files go. The platform's own readers are done, or ended, in a quarter of it."""
_EVERY = timedelta(minutes=10)
_TAG = "held-until-"  # and the time, in milliseconds since 1970


def hold(metadata: TableMetadata, now: int) -> Iterator[TableUpdate]:
    """The updates by which a commit holds what came before it. now: milliseconds since 1970."""
    current = metadata.current_snapshot_id
    until = {int(name.removeprefix(_TAG)): name for name in metadata.refs if name.startswith(_TAG)}
    hour, every = (int(time.total_seconds() * 1000) for time in (HELD, _EVERY))
    if current is not None and max(until, default=0) <= now + hour:
        end = now + hour + every
        yield SetSnapshotRefUpdate.model_validate(
            {"ref-name": f"{_TAG}{end}", "type": SnapshotRefType.TAG, "snapshot-id": current}
        )
    for end, name in until.items():
        if end <= now:
            yield RemoveSnapshotRefUpdate.model_validate({"ref-name": name})
