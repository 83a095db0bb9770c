"""Letting go of all that a table was: every snapshot but the current one, and what only those name.

For what must be gone, whoever reads it still: a reader of an older snapshot fails. Files that no
snapshot ever named, of commits under way, are left to `remove_orphans`.
"""

from contextlib import suppress

from pyiceberg.table.update import RemoveSnapshotRefUpdate, RemoveSnapshotsUpdate, TableUpdate

from smug_platform.iceberg.orphans import named_by, place_of
from smug_platform.iceberg.table import Table


def forget(table: Table) -> int:
    """Expire all snapshots but the current one and remove their files; how many files went.

    Raises pyiceberg's CommitFailedException, having removed nothing, when a commit comes first.
    """
    before = set(named_by(table))
    metadata = table.metadata
    old = [
        one.snapshot_id
        for one in metadata.snapshots
        if one.snapshot_id != metadata.current_snapshot_id
    ]
    if not old:
        return 0
    tags = [name for name, ref in metadata.refs.items() if ref.snapshot_id in old]
    updates: tuple[TableUpdate, ...] = (
        *(RemoveSnapshotRefUpdate.model_validate({"ref-name": name}) for name in tags),
        RemoveSnapshotsUpdate.model_validate({"snapshot-ids": old}),
    )
    transaction = table.transaction()
    transaction._apply(updates, ())
    transaction.commit_transaction()
    gone = before - set(named_by(table))
    for location in gone:
        fs, path = place_of(table, location)
        with suppress(FileNotFoundError):
            fs.delete_file(path)
    return len(gone)
