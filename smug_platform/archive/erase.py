"""Erasing an account: the key of what is sealed, and each copy that is not.

In an order in which an erasure that was ended is simply done again: what is cleared already changes
nothing. It ends in a certificate that lists each copy, how it was cleared and what was found in it
afterwards. A legal hold comes before all of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pyiceberg.catalog import Catalog

from smug_platform.archive.archive import Archive
from smug_platform.archive.clear import (
    clear_claims,
    clear_quarantine,
    clear_raw,
    clear_rows,
    left_in_lake,
    let_go,
)
from smug_platform.archive.manifest import all_manifests
from smug_platform.errors import ArchiveError
from smug_platform.lake.merge import merge
from smug_platform.lake.target import targets
from smug_platform.tables.table import Source

_HOLD, _CERTIFICATE = "hold", "certificate"


@dataclass(frozen=True)
class Copy:
    """A copy of an account's data and how it was cleared.

    rows: that were cleared, now; files: of its past that went. left: rows that a look afterwards
    found, None where none was taken. gone_by: when it goes by itself, where it does.
    """

    copy: str
    how: str
    rows: int = 0
    files: int = 0
    left: int | None = None
    gone_by: str | None = None


@dataclass(frozen=True)
class Certificate:
    """That an account was erased. It holds nothing of the account's but its number."""

    account: str
    erased_at: str
    copies: tuple[Copy, ...]

    @property
    def is_clear(self) -> bool:
        """Whether nothing was found in any copy that was looked at afterwards."""
        return not any(copy.left for copy in self.copies)

    def to_bytes(self) -> bytes:
        """As JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2)


@dataclass(frozen=True)
class Beside:
    """What an erasure clears beside lake and archive. claims: URI of the store of large records.

    publish: brings warehouse and marts to where the lake is, and gives what that cleared. stream:
    when what the stream holds of before is gone, None where it can't be asked.
    """

    claims: str
    publish: Callable[[], Sequence[Copy]]
    stream: str | None


def erase(
    catalog: Catalog, archive: Archive, source: Source, account: str, beside: Beside
) -> Certificate:
    """Erase an account. Raises ArchiveError, with all as it was, where a legal hold is on it."""
    if (held := hold_of(archive, account)) is not None:
        raise ArchiveError(
            f"account {account} is under a legal hold since {held['since']}: {held['reason']}",
            remedy=f"have it released first: smug erase release {account}",
        )
    copies = tuple(_erased(catalog, archive, source, account, beside))
    certificate = Certificate(account, _now(), copies)
    archive.records.put(_CERTIFICATE, f"{account}/{certificate.erased_at}", certificate.to_bytes())
    return certificate


def hold(archive: Archive, account: str, reason: str) -> None:
    """Put an account under a legal hold. Raises ArchiveError when it is under one already."""
    value = orjson.dumps({"reason": reason, "since": _now()})
    if archive.records.add(_HOLD, {account: value})[account] != value:
        raise ArchiveError(
            f"account {account} is under a legal hold already", remedy="release that one first"
        )


def release(archive: Archive, account: str) -> None:
    """Release an account from its legal hold. Raises ArchiveError when it is under none."""
    if hold_of(archive, account) is None:
        raise ArchiveError(
            f"account {account} is under no legal hold", remedy="see smug erase holds"
        )
    archive.records.remove(_HOLD, account)


def hold_of(archive: Archive, account: str) -> dict[str, Any] | None:
    """The legal hold of an account: its reason, and since when."""
    held = archive.records.get(_HOLD, [account]).get(account)
    return orjson.loads(held) if held is not None else None


def holds(archive: Archive) -> dict[str, dict[str, Any]]:
    """All legal holds, by account."""
    return {name: orjson.loads(held) for name, held in archive.records.all(_HOLD).items()}


def _erased(
    catalog: Catalog, archive: Archive, source: Source, account: str, beside: Beside
) -> Iterator[Copy]:
    archive.keys.destroy(account)
    objects = sum(len(manifest.objects) for manifest in all_manifests(archive.store))
    yield Copy(
        "archive", f"its key was destroyed: nobody opens what {objects} objects hold sealed of it",
        left=0 if account in archive.keys.destroyed([account]) else 1,
    )  # fmt: skip
    tables = [table for table in source.tables if table.account]
    of_lake = [target for target in targets(source) if target.table.account]
    rows = {}
    for target in of_lake:
        merge(catalog, target)  # what has landed is known by its rows
        rows[target] = clear_rows(catalog, target, {account})
    yield from beside.publish()  # before snapshots go: replicas follow by what changed
    for target in of_lake:
        files = let_go(catalog, target)
        how = {"delete": "rows are tombstones", "blank": "personal columns read NULL"}
        yield Copy(
            f"lake.{target.name}",
            f"{how[target.table.on_erase]}; files that held them and snapshots before are gone",
            rows[target], files, left_in_lake(catalog, target, account),
        )  # fmt: skip
    done = clear_raw(catalog, tables, account)
    yield Copy(
        "raw.deltas", "payloads read null; files that held them and snapshots before are gone",
        done.rows, done.files, clear_raw(catalog, tables, account).rows,
    )  # fmt: skip
    done = clear_quarantine(catalog, tables, account)
    yield Copy("raw.quarantine", "entries were removed", done.rows, done.files, left=0)
    done = clear_claims(beside.claims, tables, account)
    yield Copy("records too large for the stream", "removed", done.rows, done.files, left=0)
    yield Copy("stream", "records go with its retention", gone_by=beside.stream)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
