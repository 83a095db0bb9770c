"""Personal values, taken out of a change's JSON and sealed with the key of their account.

Where a column that the contract classes as personal has a value, the archived payload says null,
and `sealed` holds the texts of all such values, in their order, under the key of the account that
the row is of. An update that moves a row to another account seals each image's with its own key.
Opening puts the same bytes back. So nothing that a payload says beside is lost with a key.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smug_platform.archive.keys import NONCE, Keys
from smug_platform.archive.spans import NULL, Finder, Spans, is_null, splice, texts
from smug_platform.errors import ArchiveError
from smug_platform.raw import deltas as raw
from smug_platform.raw.views import Array, content, of_texts
from smug_platform.tables.table import Table

COLUMNS = ("account", "sealed", "account_before", "sealed_before")
"""What an archived change has beside the columns of `raw.deltas`: account and what is sealed with
its key; of the image before where that is another account's.
"""
NOBODY = "-"
"""The account of personal values whose row says none: their key can't be destroyed for anybody."""
_TYPES = (pa.string(), pa.binary(), pa.string(), pa.binary())


@dataclass(frozen=True)
class _Cut:
    """Payloads whose personal values were taken out, and these: the texts that are sealed
    together, with the number of the payload, the account, and whether they are kept apart, as those
    of an image before that was another account's.
    """

    payloads: pa.Array
    row: Array
    account: list[str]
    text: list[bytes]
    is_apart: Array


def seal(rows: pa.Table, table: Table, keys: Keys) -> pa.Table:
    """The deltas of a table with their personal values sealed, and `COLUMNS` beside."""
    if not (table.pii and rows.num_rows):
        return _with(rows, [pa.nulls(rows.num_rows, kind) for kind in _TYPES])
    is_row = ~raw.is_control(rows).to_numpy()
    cut = of_texts(partial(_cut, Finder(table), is_row), rows["payload"])
    made = keys.made({account for piece in cut for account in piece.account})
    columns: list[list[str | bytes | None]] = [[None] * rows.num_rows for _ in COLUMNS]
    for piece in cut:
        sealed = _encrypted(made, piece, table)
        places = zip(piece.row.tolist(), piece.is_apart.tolist(), strict=True)
        for (row, is_apart), account, text in zip(places, piece.account, sealed, strict=True):
            columns[2 * is_apart][row], columns[2 * is_apart + 1][row] = account, text
    cut_out = pa.chunked_array([piece.payloads for piece in cut], pa.string())
    rows = rows.set_column(rows.column_names.index("payload"), "payload", cut_out)
    beside = [pa.array(column, kind) for column, kind in zip(columns, _TYPES, strict=True)]
    return _with(rows, beside)


def unseal(rows: pa.Table, table: Table, keys: Keys) -> pa.Table:
    """The deltas as raw held them: what was sealed is put back where its key is still there, and
    reads null where it was destroyed. Raises ArchiveError for what its key does not open.
    """
    sealed = pc.or_(pc.is_valid(rows["sealed"]), pc.is_valid(rows["sealed_before"]))
    numbers = pc.indices_nonzero(sealed)
    if not len(numbers):
        return rows.drop_columns(list(COLUMNS))
    chosen = rows.select(["payload", *COLUMNS]).take(numbers)
    names = [*chosen["account"].to_pylist(), *chosen["account_before"].to_pylist()]
    known = keys.known(name for name in names if name is not None)
    work = partial(_opened, Finder(table), table, known, chosen)
    opened = of_texts(work, chosen["payload"])
    payload = rows["payload"].combine_chunks()
    texts_now = pa.concat_arrays(opened).cast(payload.type)
    whole = pc.replace_with_mask(payload, sealed.combine_chunks(), texts_now)
    rows = rows.set_column(rows.column_names.index("payload"), "payload", whole)
    return rows.drop_columns(list(COLUMNS))


def blanked(table: Table, image: str) -> str:
    """A row image with its personal values as null."""
    image_alone = pa.array([image])
    spans = _personal(Finder(table).find(image_alone, np.ones(1, dtype=bool)))
    nulls = pa.repeat(pa.scalar(NULL.decode()), len(spans.row))
    return str(splice(image_alone, spans, nulls)[0])


def _cut(finder: Finder, is_row: Array, payloads: pa.Array, at: int) -> _Cut:
    """at: the number of the first of the payloads."""
    count = len(payloads)
    found = finder.find(payloads, is_row[at : at + count])
    text, _ = content(payloads)
    empty = is_null(text, found)
    spans = _personal(found)
    # A change whose personal values are all null has nothing to seal.
    has_value = np.zeros(count, dtype=bool)
    has_value[found.row[~found.is_account & ~empty]] = True
    spans = spans.take(has_value[spans.row])
    owners = found.take(found.is_account & ~empty & has_value[found.row])
    before, after = _accounts(payloads, owners, count)
    rows = np.flatnonzero(has_value)
    of_before = np.bincount(spans.row[spans.is_before], minlength=count)[rows]
    counts = np.bincount(spans.row, minlength=count)[rows]
    is_other = np.array([before[row] != after[row] for row in rows.tolist()], dtype=bool)
    is_parted = np.zeros(count, dtype=bool)
    is_parted[rows] = is_other & (of_before > 0) & (of_before < counts)
    is_apart = is_parted[spans.row] & spans.is_before
    group = 2 * spans.row + ~is_apart
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    lists = pa.ListArray.from_arrays(
        np.append(starts, len(group)).astype(np.int32), texts(payloads, spans)
    )
    joined = pc.binary_join(lists, "\n").cast(pa.binary()).to_pylist()
    row, first = spans.row[starts], spans.is_before[starts]
    chosen = zip(row.tolist(), first.tolist(), strict=True)
    accounts = [before[one] if is_before else after[one] for one, is_before in chosen]
    nulls = pa.repeat(pa.scalar(NULL.decode()), len(spans.row))
    return _Cut(splice(payloads, spans, nulls), row + at, accounts, joined, is_apart[starts])


def _accounts(payloads: pa.Array, owners: Spans, count: int) -> tuple[list[str], list[str]]:
    """The accounts of the images before and after, each the other's where it has none."""
    named = pc.utf8_trim(texts(payloads, owners), characters='"').to_pylist()
    found: tuple[list[str], list[str]] = [""] * count, [""] * count
    places = zip(owners.row.tolist(), owners.is_before.tolist(), named, strict=True)
    for row, is_before, name in places:
        own = found[0 if is_before else 1]
        own[row] = own[row] or name
    before, after = found
    return (
        [one or other or NOBODY for one, other in zip(before, after, strict=True)],
        [other or one or NOBODY for one, other in zip(before, after, strict=True)],
    )


def _opened(
    finder: Finder,
    table: Table,
    known: Mapping[str, AESGCM],
    rows: pa.Table,
    payloads: pa.Array,
    at: int,
) -> pa.Array:
    """The payloads with what was sealed. at: the number of their first row."""
    rows = rows.slice(at, len(payloads))
    spans = _personal(finder.find(payloads, np.ones(len(payloads), dtype=bool)))
    counts = np.bincount(spans.row, minlength=len(payloads))
    of_before = np.bincount(spans.row[spans.is_before], minlength=len(payloads))
    values: list[bytes] = []
    account, text, account_before, text_before = (rows[name].to_pylist() for name in COLUMNS)
    for row, (count, early) in enumerate(zip(counts.tolist(), of_before.tolist(), strict=True)):
        early = early if text_before[row] is not None else 0
        for name, sealed, number in (
            (account_before[row], text_before[row], early),
            (account[row], text[row], count - early),
        ):
            key = known.get(name) if sealed else None
            found = [NULL] * number if key is None else _decrypted(key, sealed, table, name)
            if len(found) != number:
                raise ArchiveError(
                    f"{number} columns of {table.name} are personal, and {len(found)} were sealed",
                    remedy="declare them as they were declared when that was archived",
                )
            values += found
    return splice(payloads, spans, pa.array(values, pa.binary()))


def _personal(spans: Spans) -> Spans:
    return spans.take(~spans.is_account)


def _encrypted(made: Mapping[str, AESGCM], cut: _Cut, table: Table) -> list[bytes]:
    """No key, no value: what comes of an account whose key was destroyed is not kept."""
    name, nonces, sealed = table.name.encode(), os.urandom(NONCE * len(cut.text)), []
    for number, (account, text) in enumerate(zip(cut.account, cut.text, strict=True)):
        nonce, key = nonces[NONCE * number : NONCE * (number + 1)], made.get(account)
        sealed.append(nonce + key.encrypt(nonce, text, name) if key else b"")
    return sealed


def _decrypted(key: AESGCM, text: bytes, table: Table, account: str) -> list[bytes]:
    try:
        return key.decrypt(text[:NONCE], text[NONCE:], table.name.encode()).split(b"\n")
    except InvalidTag:
        raise ArchiveError(
            f"what is sealed of account {account} in {table.name} is not what was sealed",
            remedy="run smug archive verify: the object or the key was changed",
        ) from None


def _with(rows: pa.Table, columns: list[pa.Array]) -> pa.Table:
    for name, column in zip(COLUMNS, columns, strict=True):
        rows = rows.append_column(name, column)
    return rows
