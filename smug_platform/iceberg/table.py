"""Tables and transactions that copy no metadata, and know whether a commit came through.

pyiceberg's Transaction copies all of a table's metadata, deeply, each time it is looked at: some
17 times a commit, 70 % of its time. Its updates never change what they are given, they make new
lists around it, so the copies protect nothing; tests/unit/iceberg/test_internals.py holds
pyiceberg to that. Its `commit_transaction` repeats or cleans up after what may have been
committed; here a commit whose outcome is not known is looked up, never repeated.
"""

import time

from pyiceberg.exceptions import CommitStateUnknownException
from pyiceberg.table import Table as PyTable
from pyiceberg.table import Transaction as PyTransaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertTableUUID,
    TableUpdate,
    _apply_table_update,
    _TableMetadataUpdateContext,
    _update_table_metadata_log,
)


class Table(PyTable):
    """An Iceberg table whose transactions are cheap."""

    def transaction(self) -> "Transaction":
        """A new transaction on the table as it was loaded."""
        return Transaction(self)


class Transaction(PyTransaction):
    """One commit. Nothing of the table changes before `commit_transaction` has come through."""

    _staged: tuple[tuple[TableUpdate, ...], TableMetadata, TableMetadata] | None = None

    @property
    def table_metadata(self) -> TableMetadata:
        """The metadata with the staged updates; to be read only."""
        base = self._table.metadata
        if not self._updates:
            return base
        if not self._staged or self._staged[0] is not self._updates or self._staged[1] is not base:
            self._staged = (self._updates, base, applied(base, self._updates))
        return self._staged[2]

    def commit_transaction(self) -> PyTable:
        """Commit what is staged.

        Raises CommitFailedException when another commit came first, CommitStateUnknownException
        when the catalog can't be asked whether it took the commit, and the catalog's own error
        when it did not. A failed transaction can't be used again, and its table is as it was; its
        files are left to `remove_orphans`, for a request may still be under way.
        """
        if self._failed:
            raise RuntimeError("this transaction has failed: begin another on a fresh load")
        if self._updates:
            same_table = AssertTableUUID(uuid=self._table.metadata.table_uuid)
            try:
                self._table._do_commit(self._updates, (*self._requirements, same_table))
            except Exception as error:
                self._failed = True
                if not self._landed(error):
                    raise
        self._updates, self._requirements, self._failed = (), (), False
        return self._table

    def _landed(self, error: Exception) -> bool:
        """Whether the catalog has the commit after all; the table is then as the catalog has it."""
        staged = [
            update.snapshot.snapshot_id
            for update in self._updates
            if isinstance(update, AddSnapshotUpdate)
        ]
        try:
            fresh = self._table.catalog.load_table(self._table.name())
        except Exception as other:
            raise CommitStateUnknownException(
                f"whether snapshot {staged} landed can't be told ({other!r}) after {error!r}"
            ) from other
        if not staged or any(fresh.metadata.snapshot_by_id(one) is None for one in staged):
            return False
        self._table.metadata = fresh.metadata
        self._table.metadata_location = fresh.metadata_location
        return True


def applied(
    base: TableMetadata, updates: tuple[TableUpdate, ...], location: str | None = None
) -> TableMetadata:
    """The metadata after the updates: pyiceberg's `update_table_metadata` without its deep copy.

    location: where `base` stands, to be put into the metadata's log.
    """
    context = _TableMetadataUpdateContext()
    metadata = base
    for update in updates:
        metadata = _apply_table_update(update, metadata, context)
    if location and context.has_changes():
        metadata = _update_table_metadata_log(metadata, location, base.last_updated_ms)
        if metadata.last_updated_ms == base.last_updated_ms:
            metadata = metadata.model_copy(update={"last_updated_ms": int(time.time() * 1000)})
    return metadata
