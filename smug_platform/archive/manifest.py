"""Manifests: what the archive holds, one for each shard, hour and writing, in a chain a shard.

A manifest names its objects with their hashes, and the hash of the manifest before it, so that
nothing can be changed, removed or put in between. It also says which commits of `raw.deltas` it
takes in, which is all that the writer knows of how far it has come: position with data.

Within a writing the hours come one after the other, each a manifest; the last one of a shard says
that the shard is complete up to that commit. A writing that was ended goes on by that.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import orjson

from smug_platform.archive.store import DELTAS, MANIFESTS, Store
from smug_platform.capture.position import Position
from smug_platform.errors import ArchiveError, NewerState
from smug_platform.stamps import known, readable

FORMAT = 1


class BrokenManifest(ValueError):
    """A manifest that can't be read."""


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """An object: the changes of one table in one hour of a shard, sorted by position.

    positions: a sum over the positions of all rows, which is another for others, in hexadecimal.
    """

    name: str
    table: str
    rows: int
    bytes: int
    sha256: str
    first: str
    last: str
    positions: str

    @property
    def first_position(self) -> Position:
        """`first`, as a position."""
        return Position.parse(self.first)

    @property
    def last_position(self) -> Position:
        """`last`, as a position."""
        return Position.parse(self.last)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The commits of `raw.deltas` that a manifest takes in: those after one up to another, by
    sequence number. table: raw's own id. complete: with it the shard is whole up to there.
    """

    table: str
    after: int
    through: int
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One writing of an hour of a shard. hour: `2026-01-31T07`, UTC, of the source's commits.

    number: 1, 2, ... in the shard's chain. previous: the hash of the one before, empty for none.
    rows_before: rows of the chain before it. first, last: positions of its rows, null for none.
    """

    shard: str
    number: int
    hour: str
    previous: str
    raw: Taken
    rows_before: int
    rows: int
    first: str | None
    last: str | None
    objects: tuple[Sealed, ...]
    sealed_at: str
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """The manifest as the archive holds it; its hash is of these bytes."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of `to_bytes`; raises BrokenManifest."""
        try:
            found = orjson.loads(data)
            readable("a manifest of the archive", found, FORMAT)
            found["raw"] = Taken(**known(Taken, found["raw"]))
            found["objects"] = tuple(Sealed(**known(Sealed, one)) for one in found["objects"])
            return cls(**known(cls, found))
        except (ValueError, TypeError, KeyError, NewerState) as error:
            raise BrokenManifest(str(error)) from None


@dataclass(frozen=True)
class Chain:
    """Where a shard's chain stands. complete: the raw commit up to which it is whole; hours: those
    up to which single hours are, of a writing that was ended.
    """

    shard: str
    number: int = 0
    hash: str = ""
    rows: int = 0
    raw: str = ""
    complete: int = 0
    hours: Mapping[str, int] = field(default_factory=dict)

    def through(self, hour: str) -> int:
        """The raw commit up to which an hour is whole."""
        return max(self.complete, self.hours.get(hour, 0))

    def of(self, raw: str) -> "Chain":
        """The chain for `raw.deltas` of that id: one that was made anew has its own count."""
        return self if self.raw == raw else replace(self, raw=raw, complete=0, hours={})

    def to_bytes(self) -> bytes:
        """The chain's end as the records hold it."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The inverse of `to_bytes`; raises NewerState."""
        found = orjson.loads(data)
        readable("the end of a chain of the archive", found, FORMAT)
        return cls(**known(cls, found))

    def after(self, manifest: Manifest, data: bytes) -> "Chain":
        """The chain with one manifest more."""
        here = self.of(manifest.raw.table)
        through = manifest.raw.through
        done = manifest.raw.complete
        complete = through if done else here.complete
        if not self.number:
            complete = max(complete, manifest.raw.after)
        return replace(
            here,
            number=manifest.number,
            hash=digest(data),
            rows=self.rows + manifest.rows,
            complete=complete,
            hours={} if done else {**here.hours, manifest.hour: through},
        )


def digest(data: bytes) -> str:
    """The hash of an object, as text."""
    return hashlib.sha256(data).hexdigest()


def manifest_name(shard: str, number: int) -> str:
    """Where a manifest stands.

    >>> manifest_name("shard_0", 12)
    'manifests/shard_0/00000012.json'
    """
    return f"{MANIFESTS}/{shard}/{number:08}.json"


def object_name(shard: str, hour: str, table: str, number: int, sha256: str) -> str:
    """Where an object stands: its name says what is in it, and its hash.

    >>> object_name("shard_0", "2026-01-31T07", "photos", 12, "ab" * 32)
    'deltas/shard_0/2026-01-31/07/photos-00000012-abababababababab.parquet'
    """
    day, _, clock = hour.partition("T")
    return f"{DELTAS}/{shard}/{day}/{clock}/{table}-{number:08}-{sha256[:16]}.parquet"


def manifest_names(store: Store) -> dict[str, list[str]]:
    """The names of all manifests, in their order, by shard."""
    found: dict[str, list[str]] = {}
    for name in store.names(MANIFESTS):
        found.setdefault(name.split("/")[1], []).append(name)
    return found


def read_manifests(store: Store, names: Iterable[str]) -> Iterator[tuple[Manifest, bytes]]:
    """The manifests of a chain. Raises ArchiveError for one that can't be read."""
    for name in names:
        data = store.read(name)
        yield parse_manifest(name, data), data or b""


def parse_manifest(name: str, data: bytes | None) -> Manifest:
    """The manifest that was read under a name. Raises ArchiveError for one that can't be."""
    try:
        if data is None:
            raise BrokenManifest("it is gone")
        return Manifest.from_bytes(data)
    except BrokenManifest as error:
        raise ArchiveError(
            f"the archive's {name} can't be read ({error})",
            remedy="run smug archive verify, and bring back what was changed",
        ) from None


def all_manifests(store: Store) -> list[Manifest]:
    """All manifests, shard by shard."""
    return [
        manifest
        for names in manifest_names(store).values()
        for manifest, _ in read_manifests(store, names)
    ]


def describe(manifests: list[Manifest]) -> dict[str, Any]:
    """What a person wants to know of some manifests."""
    objects = [one for manifest in manifests for one in manifest.objects]
    return {
        "rows": sum(manifest.rows for manifest in manifests),
        "objects": len(objects),
        "bytes": sum(one.bytes for one in objects),
        "manifests": len(manifests),
    }
