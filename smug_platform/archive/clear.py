"""Clearing the copies of an account's data: in the lake, in raw, in quarantine, beside the stream.

Each is cleared in one commit, then the snapshots before it and the files that only these name are
let go of. Another writer's commit that comes first makes it begin again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException

from smug_platform import iceberg
from smug_platform.archive.personal import erased_payloads, erased_rows, is_of, mentions
from smug_platform.errors import ArchiveError
from smug_platform.iceberg import FILE, ROW, LakeFiles
from smug_platform.lake.compact import compact
from smug_platform.lake.merge import KIND, REPLACED, SEQUENCE, merged_sequence, name_of
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from smug_platform.raw.quarantine import NAME as QUARANTINE
from smug_platform.tables.table import Table

_TRIES = 20
_T = TypeVar("_T")


@dataclass(frozen=True)
class Cleared:
    """What was cleared of a copy: rows, and files of its past that went."""

    rows: int = 0
    files: int = 0


def clear_lake(catalog: Catalog, target: Target, accounts: Collection[str]) -> Cleared:
    """Clear a lake table of these accounts' rows, deleted ones too, and let go of its past."""
    rows = clear_rows(catalog, target, accounts)
    return Cleared(rows, let_go(catalog, target) if accounts else 0)


def clear_rows(catalog: Catalog, target: Target, accounts: Collection[str]) -> int:
    """Clear the rows of these accounts, in one commit which replicas follow as any other."""
    if not target.table.account or not accounts:
        return 0
    return _again(lambda: _clear_rows(catalog, target, accounts))


def let_go(catalog: Catalog, target: Target) -> int:
    """Write the files anew that hold rows which were replaced, and let go of all that is past; how
    many files went. A replica that is behind by then is loaded whole.
    """
    if not target.table.account or iceberg.load(catalog, name_of(target)) is None:
        return 0
    compact(catalog, target)
    return _again(lambda: iceberg.forget(_loaded(catalog, name_of(target))))


def clear_raw(catalog: Catalog, tables: Collection[Table], account: str) -> Cleared:
    """Clear the payloads of `raw.deltas`; each delta stays, with its key and position."""
    rows = _again(lambda: _clear_deltas(catalog, tables, account))
    files = _again(lambda: iceberg.forget(raw.open_deltas(catalog)))
    return Cleared(rows, files)


def clear_quarantine(catalog: Catalog, tables: Collection[Table], account: str) -> Cleared:
    """Remove what is in quarantine of the account's."""
    if iceberg.load(catalog, QUARANTINE) is None:
        return Cleared()
    rows = _again(lambda: _clear_entries(catalog, tables, account))
    files = _again(lambda: iceberg.forget(_loaded(catalog, QUARANTINE)))
    return Cleared(rows, files)


def clear_claims(uri: str, tables: Collection[Table], account: str) -> Cleared:
    """Remove records that are stored beside the stream, where they hold a change of the account's.

    Raises ArchiveError when they can't be read.
    """
    owned = [table for table in tables if table.account]
    removed = 0
    try:
        filesystem, root = pafs.FileSystem.from_uri(uri)
        selector = pafs.FileSelector(root, allow_not_found=True, recursive=True)
        for info in filesystem.get_file_info(selector):
            if info.type == pafs.FileType.File:
                with filesystem.open_input_stream(info.path) as file:
                    data = pa.chunked_array([[file.read().decode(errors="replace")]])
                if any(mentions(data, table, account).any() for table in owned):
                    filesystem.delete_file(info.path)
                    removed += 1
    except OSError as error:
        raise ArchiveError(
            f"{urlsplit(uri).path} can't be searched ({error})", remedy="see who may read it"
        ) from error
    return Cleared(removed, removed)


def left_in_lake(catalog: Catalog, target: Target, account: str) -> int:
    """Rows of the account that hold something still."""
    table = iceberg.load(catalog, name_of(target))
    if table is None or not target.table.account:
        return 0
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    rows = _rows_of(table, files, target, {account})
    return int(erased_rows(target, rows)[1].sum())


def _clear_rows(catalog: Catalog, target: Target, accounts: Collection[str]) -> int:
    table = iceberg.load(catalog, name_of(target))
    if table is None or table.current_snapshot() is None:
        return 0
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    found = _rows_of(table, files, target, accounts)
    rows, changes = erased_rows(target, found)
    if not changes.any():
        return 0
    chosen = rows.filter(pa.array(changes))
    # A row without a key is its content: there is none to leave.
    keyless = not target.table.key
    new = None if keyless else chosen.drop_columns([FILE, ROW]).select(table.schema().column_names)
    change = iceberg.Change(rows=new, replaced=chosen.select([FILE, ROW]))
    transaction = table.transaction()
    kind = REPLACED if keyless else "merge"
    summary = {KIND: kind, SEQUENCE: str(merged_sequence(table)), "smug.erased": str(len(chosen))}
    iceberg.commit(transaction, files, change, summary=summary)
    transaction.commit_transaction()
    return len(chosen)


def _rows_of(
    table: iceberg.Table, files: LakeFiles, target: Target, accounts: Collection[str]
) -> pa.Table:
    names = list(table.schema().column_names)
    if target.table.account not in names:
        return files.read(names)[:0]
    keys = files.read([target.table.account])
    places = keys.filter(pa.array(is_of(keys[target.table.account], accounts)))
    return files.rows_at(places.select([FILE, ROW]))


def _clear_deltas(catalog: Catalog, tables: Collection[Table], account: str) -> int:
    deltas = raw.open_deltas(catalog)
    by_name = {table.name: table for table in tables if table.account}
    found, count = [], 0
    for file in raw.delta_files(deltas):
        if (table := by_name.get(file.table)) is None:
            continue
        rows = raw.read(deltas, [file]).combine_chunks()
        chosen = mentions(rows["payload"], table, account)
        chosen &= ~raw.is_control(rows).to_numpy()
        if not chosen.any():
            continue
        mask = pa.array(chosen)
        payloads = rows["payload"].combine_chunks()
        new = erased_payloads(payloads.filter(mask), table, account)
        whole = pc.replace_with_mask(payloads, mask, new.cast(payloads.type))
        changed = int(pc.sum(pc.not_equal(whole, payloads)).as_py())
        if changed:
            at = rows.column_names.index("payload")
            found.append((file.path, rows.set_column(at, "payload", whole)))
            count += changed
    if found:
        transaction = deltas.transaction()
        said = {n: text for n, text in raw.summary(deltas).items() if n.startswith("smug.")}
        iceberg.rewrite(transaction, dict(found), summary=said)
        transaction.commit_transaction()
    return count


def _clear_entries(catalog: Catalog, tables: Collection[Table], account: str) -> int:
    table = _loaded(catalog, QUARANTINE)
    files = LakeFiles(table.io, table.schema(), table.current_snapshot())
    names = list(table.schema().column_names)
    rows = files.read(names)
    gone = np.zeros(rows.num_rows, dtype=bool)
    payloads = [payload.decode(errors="replace") for payload in rows["payload"].to_pylist()]
    texts = pa.chunked_array([payloads], pa.string())
    for one in tables:
        if one.account:
            own = pc.fill_null(pc.equal(rows["table_name"], one.name), True).to_numpy()
            gone |= mentions(texts, one, account) & own
    if not gone.any():
        return 0
    rest = rows.filter(pa.array(~gone)).select(names)
    change = iceberg.Change(rows=rest, removed=[*files.data, *files.deletes])
    transaction = table.transaction()
    iceberg.commit(transaction, files, change, summary={})
    transaction.commit_transaction()
    return int(gone.sum())


def _loaded(catalog: Catalog, name: str) -> iceberg.Table:
    table = iceberg.load(catalog, name)
    assert table is not None
    return table


def _again(work: Callable[[], _T]) -> _T:
    for _ in range(_TRIES):
        try:
            return work()
        except CommitFailedException:
            continue
    raise ArchiveError("others keep writing", remedy="try again in a while", passes=True)
