"""An account's rows and changes, and what is left of them once they are erased.

Of a table whose contract says `delete` a row becomes a tombstone: its key, and that it is deleted.
Of one that says `blank` (books that must be kept) the personal columns alone read NULL. The
position stays, so that no change that was merged before counts again.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.archive.seal import blanked
from smug_platform.lake.images import images
from smug_platform.lake.runs import Array
from smug_platform.lake.target import Target
from smug_platform.tables.table import Table


def kept(target: Target) -> tuple[str, ...]:
    """The source's columns of a deleted row that keep their values."""
    return (*target.table.key, target.table.account)


def is_of(column: pa.ChunkedArray, accounts: Collection[str]) -> Array:
    """Which rows are of these accounts."""
    texts = pc.is_in(column.cast(pa.string()), value_set=pa.array(list(accounts), pa.string()))
    found: Array = texts.to_numpy()
    return found


def erased_rows(target: Target, rows: pa.Table) -> tuple[pa.Table, Array]:
    """The lake's rows without what is to go, and which of them that changes."""
    table = target.table
    meta = set(target.meta)
    cleared = [
        name
        for name in rows.column_names
        if name not in meta
        and name not in kept(target)
        and (table.on_erase == "delete" or name in table.pii)
        and not name.startswith("_")
    ]
    changes = np.zeros(rows.num_rows, dtype=bool)
    for name in cleared:
        changes |= pc.is_valid(rows[name]).to_numpy()
        nothing = pa.nulls(rows.num_rows, rows[name].type)
        rows = rows.set_column(rows.column_names.index(name), name, nothing)
    if table.on_erase == "delete":
        changes |= ~rows["_is_deleted"].to_numpy()
        for name, value in (("_is_deleted", True), ("_moved_to", None)):
            column = pa.repeat(pa.scalar(value, rows[name].type), rows.num_rows)
            rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows, changes


def mentions(payloads: pa.ChunkedArray, table: Table, account: str) -> Array:
    """Which payloads have an image of the account's."""
    mark = re.escape(f'"{table.account}":')
    found: Array = pc.match_substring_regex(
        payloads, f'{mark}"?{re.escape(account)}"?[,}}]'
    ).to_numpy()
    return found


def erased_payloads(payloads: pa.Array, table: Table, account: str) -> pa.Array:
    """The JSON of changes with what is to go as null, in the images that are the account's."""
    before, after = images(pa.chunked_array([payloads]))
    texts = zip(payloads.to_pylist(), before.to_pylist(), after.to_pylist(), strict=True)
    return pa.array([_erased(table, account, *each) for each in texts], pa.string())


def _erased(table: Table, account: str, payload: str, before: str | None, after: str | None) -> str:
    at = 0
    for image in (before, after):
        if image is not None:
            start = payload.index(image, at)
            new = _erased_image(table, account, image)
            payload = payload[:start] + new + payload[start + len(image) :]
            at = start + len(new)
    return payload


def _erased_image(table: Table, account: str, image: str) -> str:
    row: Mapping[str, Any] = orjson.loads(image)
    if str(row.get(table.account)) != account:
        return image
    if table.on_erase == "blank":
        return blanked(table, image)
    keep = {*table.key, table.account}
    return orjson.dumps({n: v if n in keep else None for n, v in row.items()}).decode()
