"""Is the archive what was sealed: each chain walked from its first manifest, each object read.

Found are: an object changed by a byte, missing, or that no manifest names; a manifest cut off,
changed, missing or added, at the end of the chain too, by the records; rows that are fewer or more
than was written down, out of order, or raw commits that no manifest takes in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from smug_platform.archive.archive import Archive
from smug_platform.archive.manifest import (
    BrokenManifest,
    Chain,
    Manifest,
    Sealed,
    digest,
    manifest_names,
)
from smug_platform.archive.objects import by_position, position_at, position_text, position_total
from smug_platform.archive.store import DELTAS
from smug_platform.capture.position import Position
from smug_platform.raw.deltas import PLACE


@dataclass(frozen=True)
class Break:
    """A place where the archive is not what was sealed, and how."""

    place: str
    problem: str


@dataclass
class Proof:
    """What a walk over the chain of a shard has shown. expired: objects that went on their day;
    cold: not read, for they would have to be restored first.
    """

    shard: str
    manifests: int = 0
    objects: int = 0
    rows: int = 0
    bytes: int = 0
    expired: int = 0
    cold: int = 0
    hours: tuple[str, str] | None = None
    last: Position | None = None
    head: str = ""
    breaks: list[Break] = field(default_factory=list)


def verify(archive: Archive, *, expire_days: int = 0, contents: bool = True) -> list[Proof]:
    """Walk all chains; a proof a shard, and one more for objects that no manifest names, if any.

    contents: also read the objects, each whole; else they are only looked for, with their size.
    """
    stored = list(archive.store.names(DELTAS))  # first: what is written meanwhile is named later
    under_way = archive.announced()
    names, heads = manifest_names(archive.store), archive.heads()
    walk = _Walk(archive, expire_days, contents)
    proofs = [walk.shard(shard, names.get(shard, []), heads) for shard in sorted({*names, *heads})]
    unnamed = [name for name in stored if name not in walk.named and name not in under_way]
    if unnamed:
        stray = Proof("no shard")
        stray.breaks = [Break(name, "no manifest names it") for name in unnamed]
        proofs.append(stray)
    return proofs


class _Walk:
    """A walk over the chains. named: the objects that their manifests name."""

    def __init__(self, archive: Archive, expire_days: int, contents: bool) -> None:
        self._archive, self._contents = archive, contents
        self._life = timedelta(days=expire_days) if expire_days else None
        self.named: set[str] = set()

    def shard(self, shard: str, names: list[str], heads: dict[str, Chain]) -> Proof:
        """Walk the chain of a shard."""
        proof, chain = Proof(shard), Chain(shard)
        seen = {0: ""}
        for name in names:
            data = self._archive.store.read(name) or b""
            try:
                manifest = Manifest.from_bytes(data)
            except BrokenManifest as error:
                proof.breaks.append(Break(name, f"it can't be read ({error})"))
                continue
            proof.breaks += [Break(name, problem) for problem in _follows(manifest, chain, name)]
            chain = chain.after(manifest, data)
            seen[chain.number] = chain.hash
            self._look(proof, manifest)
        proof.head = chain.hash
        head = heads.get(shard)
        if head is not None and seen.get(head.number) != head.hash:
            what = "is gone" if head.number > chain.number else "is another than was written"
            proof.breaks.append(Break(f"{shard}, manifest {head.number}", f"it {what}"))
        return proof

    def _look(self, proof: Proof, manifest: Manifest) -> None:
        proof.manifests += 1
        proof.rows += manifest.rows
        if manifest.objects:
            first = proof.hours[0] if proof.hours else manifest.hour
            last = proof.hours[1] if proof.hours else manifest.hour
            proof.hours = (min(first, manifest.hour), max(last, manifest.hour))
        if manifest.last:
            proof.last = max(filter(None, (proof.last, Position.parse(manifest.last))))
        if sum(one.rows for one in manifest.objects) != manifest.rows:
            proof.breaks.append(Break(f"{manifest.shard}, manifest {manifest.number}",
                                      "its objects' rows are not as many as it says"))  # fmt: skip
        for one in manifest.objects:
            self.named.add(one.name)
            proof.breaks += [
                Break(one.name, problem) for problem in self._object(proof, manifest, one)
            ]

    def _object(self, proof: Proof, manifest: Manifest, one: Sealed) -> Iterator[str]:
        kept = self._archive.store.state(one.name)
        if kept is None:
            if self._life and datetime.fromisoformat(
                manifest.sealed_at
            ) + self._life < datetime.now(UTC):
                proof.expired += 1
            else:
                yield "it is gone"
            return
        proof.objects += 1
        proof.bytes += kept.bytes
        if kept.bytes != one.bytes:
            yield f"it has {kept.bytes} bytes, sealed were {one.bytes}"
        elif kept.cold:
            proof.cold += 1
        elif self._contents:
            data = self._archive.store.read(one.name) or b""
            if digest(data) != one.sha256:
                yield "its bytes are not those that were sealed"
            else:
                yield from _inside(data, one)


def _follows(manifest: Manifest, chain: Chain, name: str) -> Iterator[str]:
    """What is wrong with a manifest as the next one of a chain."""
    here = chain.of(manifest.raw.table)
    if f"{manifest.number:08}.json" != name.rpartition("/")[2]:
        yield f"it says that it is manifest {manifest.number}"
    elif manifest.number != chain.number + 1:
        yield f"it follows manifest {chain.number}: those between are gone"
    elif manifest.previous != chain.hash:
        yield "the manifest before it is not the one that it follows"
    if manifest.shard != chain.shard:
        yield f"it is of {manifest.shard}"
    if manifest.rows_before != chain.rows:
        yield f"{abs(manifest.rows_before - chain.rows)} rows lack before it"
    if chain.number and manifest.raw.after != here.through(manifest.hour):
        yield (
            f"it goes on from raw commit {manifest.raw.after}, and the chain has come to"
            f" {here.through(manifest.hour)}: a gap"
        )


def _inside(data: bytes, one: Sealed) -> Iterator[str]:
    """What is wrong inside an object that is the one that was sealed."""
    rows = pq.ParquetFile(pa.BufferReader(data)).read(columns=list(PLACE))
    ends = [str(position_at(rows, number)) for number in (0, rows.num_rows - 1)]
    if rows.num_rows != one.rows:
        yield f"it has {rows.num_rows} rows, sealed were {one.rows}"
    elif by_position(rows) is not rows:
        yield "its rows are not in the order of their positions"
    elif (*ends, position_text(position_total(rows))) != (one.first, one.last, one.positions):
        yield "its positions are not those that its manifest says"
