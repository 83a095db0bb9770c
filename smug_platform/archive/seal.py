r"""Personal values, taken out of a change's JSON and sealed with the key of their account.

Where a column that the contract classes as personal has a value, the archived payload says null,
and `sealed` holds the texts of all such values, in their order, under the key of the account that
the row is of. An update that moves a row to another account seals each image's with its own key.
Opening puts the same bytes back. So nothing that a payload says beside is lost with a key.

In JSON a quote within a text has a backslash before it, so `"email":` is a key wherever it stands;
row images are objects of plain values and stand before the last `"source":{`. See `lake.images`.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecoder

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smug_platform.archive.keys import NONCE, Keys
from smug_platform.errors import ArchiveError
from smug_platform.raw import deltas as raw
from smug_platform.tables.table import Table

COLUMNS = ("account", "sealed", "account_before", "sealed_before")
"""What an archived change has beside the columns of `raw.deltas`: account and what is sealed with
its key; of the image before where that is another account's.
"""
NOBODY = "-"
"""The account of personal values whose row says none: their key can't be destroyed for anybody."""
_TYPES = (pa.string(), pa.binary(), pa.string(), pa.binary())
_SOURCE, _MIDDLE, _NULL = b'"source":{', b'},"after":', b"null"
_KEY = r'"(NAMES)":((?:"[^"\\]*(?:\\.[^"\\]*)*")?)'  # and its value, where that is a text
_PARSER = JSONDecoder()

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Cut:
    """The personal values of one change: where each stands, and how many are of the image before;
    the accounts of the image before (or of both) and of the one after.
    """

    spans: list[Span]
    before: int
    accounts: tuple[str, str]


_NOTHING = _Cut([], 0, ("", ""))


class _Scanner:
    """Finds a table's personal values, in one pass over the row images."""

    def __init__(self, table: Table) -> None:
        names = "|".join(re.escape(name) for name in (*table.pii, table.account))
        self._pattern = re.compile(_KEY.replace("NAMES", names).encode(), re.DOTALL)
        self._account = table.account.encode()

    def cut(self, payload: bytes) -> _Cut:
        """Where the personal values of a change stand, and whose they are."""
        spans, accounts, middle = self._found(payload)
        if all(payload[start:stop] == _NULL for start, stop in spans):
            return _NOTHING
        owners = [
            (start < middle, payload[start:stop].strip(b'"').decode())
            for start, stop in accounts
            if payload[start:stop] != _NULL
        ]
        before = next((name for is_before, name in owners if is_before), "")
        after = next((name for is_before, name in owners if not is_before), "")
        count = sum(start < middle for start, _ in spans)
        return _Cut(spans, count, (before or after or NOBODY, after or before or NOBODY))

    def spans(self, payload: bytes) -> tuple[list[Span], int]:
        """Where the values stand in a payload that they were taken out of; how many before."""
        spans, _, middle = self._found(payload)
        return spans, sum(start < middle for start, _ in spans)

    def _found(self, payload: bytes) -> tuple[list[Span], list[Span], int]:
        """The personal values, the accounts, and where the image before ends."""
        end = payload.rfind(_SOURCE)
        end = len(payload) if end < 0 else end
        spans: list[Span] = []
        accounts: list[Span] = []
        last = 0
        for match in self._pattern.finditer(payload, 0, end):
            start, stop = match.span(2)
            if start < last:  # within a value that is itself an object
                continue
            last = stop if stop > start else _value_end(payload, start, end)
            (accounts if match[1] == self._account else spans).append((start, last))
        return spans, accounts, payload.find(_MIDDLE, 0, end)


def seal(rows: pa.Table, table: Table, keys: Keys) -> pa.Table:
    """The deltas of a table with their personal values sealed, and `COLUMNS` beside."""
    if not table.pii:
        return _with(rows, [pa.nulls(rows.num_rows, kind) for kind in _TYPES])
    scanner = _Scanner(table)
    payloads = rows["payload"].cast(pa.binary()).to_pylist()
    control = raw.is_control(rows).to_pylist()
    cuts = [
        _NOTHING if is_control else scanner.cut(payload)
        for payload, is_control in zip(payloads, control, strict=True)
    ]
    accounts = {account for cut in cuts if cut.spans for account in cut.accounts}
    made = keys.made(accounts) if accounts else {}
    columns: list[list[str | bytes | None]] = [[None] * len(cuts) for _ in COLUMNS]
    for number, cut in enumerate(cuts):
        if cut.spans:
            payload = payloads[number]
            values = [payload[start:stop] for start, stop in cut.spans]
            payloads[number] = _replaced(payload, cut.spans, [_NULL] * len(values))
            for at, account, own in _shares(cut, values):
                columns[at][number] = account
                columns[at + 1][number] = _encrypted(made.get(account), own, table)
    cut_out = pa.array(payloads, pa.binary()).cast(pa.string())
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
    chosen = rows.take(numbers)
    names = [*chosen["account"].to_pylist(), *chosen["account_before"].to_pylist()]
    known = keys.known(name for name in names if name is not None)
    scanner = _Scanner(table)
    payloads = [
        _opened(scanner, table, known, row)
        for row in chosen.select(["payload", *COLUMNS]).to_pylist()
    ]
    mask = sealed.combine_chunks()
    whole = pc.replace_with_mask(
        rows["payload"].combine_chunks(), mask, pa.array(payloads, pa.string())
    )
    rows = rows.set_column(rows.column_names.index("payload"), "payload", whole)
    return rows.drop_columns(list(COLUMNS))


def blanked(table: Table, image: str) -> str:
    """A row image with its personal values as null."""
    text = image.encode()
    spans, _ = _Scanner(table).spans(text)
    return _replaced(text, spans, [_NULL] * len(spans)).decode()


def _opened(
    scanner: _Scanner, table: Table, known: Mapping[str, AESGCM], row: Mapping[str, object]
) -> str:
    payload = str(row["payload"]).encode()
    spans, before = scanner.spans(payload)
    parts = (("account_before", "sealed_before"), ("account", "sealed"))
    is_apart = row["sealed_before"] is not None
    counts = (before, len(spans) - before) if is_apart else (0, len(spans))
    values: list[bytes] = []
    for (account, sealed), count in zip(parts, counts, strict=True):
        key, text = known.get(str(row[account])), row[sealed]
        if key is None or not isinstance(text, bytes) or not text:
            values += [_NULL] * count
        else:
            found = _decrypted(key, text, table, str(row[account]))
            if len(found) != count:
                raise ArchiveError(
                    f"{count} columns of {table.name} are personal, and {len(found)} were sealed",
                    remedy="declare them as they were declared when that was archived",
                )
            values += found
    return _replaced(payload, spans, values).decode()


def _shares(cut: _Cut, values: list[bytes]) -> Iterator[tuple[int, str, list[bytes]]]:
    """The number of the column, the account and the values of what is sealed by itself."""
    before, after = cut.accounts
    if before == after or cut.before in (0, len(values)):
        yield 0, before if cut.before else after, values
        return
    yield 0, after, values[cut.before :]
    yield 2, before, values[: cut.before]


def _encrypted(key: AESGCM | None, values: list[bytes], table: Table) -> bytes:
    """No key, no value: what comes of an account whose key was destroyed is not kept."""
    if key is None:
        return b""
    nonce = os.urandom(NONCE)
    return nonce + key.encrypt(nonce, b"\n".join(values), table.name.encode())


def _decrypted(key: AESGCM, text: bytes, table: Table, account: str) -> list[bytes]:
    try:
        return key.decrypt(text[:NONCE], text[NONCE:], table.name.encode()).split(b"\n")
    except InvalidTag:
        raise ArchiveError(
            f"what is sealed of account {account} in {table.name} is not what was sealed",
            remedy="run smug archive verify: the object or the key was changed",
        ) from None


def _replaced(payload: bytes, spans: Sequence[Span], values: Sequence[bytes]) -> bytes:
    parts, at = [], 0
    for (start, stop), value in zip(spans, values, strict=True):
        parts += [payload[at:start], value]
        at = stop
    return b"".join([*parts, payload[at:]])


def _value_end(payload: bytes, start: int, end: int) -> int:
    """Where the JSON value that begins there ends; it is no text."""
    if payload[start] in b"{[":
        text = payload[start:end].decode()
        return start + len(text[: _PARSER.raw_decode(text)[1]].encode())
    comma, brace = payload.find(b",", start, end), payload.find(b"}", start, end)
    return min(place for place in (comma, brace, end) if place >= 0)


def _with(rows: pa.Table, columns: list[pa.Array]) -> pa.Table:
    for name, column in zip(COLUMNS, columns, strict=True):
        rows = rows.append_column(name, column)
    return rows
