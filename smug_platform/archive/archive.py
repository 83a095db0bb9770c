"""An archive as a whole: its store, its records, and the accounts' keys."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

import orjson

from smug_platform.archive.keys import Keys
from smug_platform.archive.manifest import (
    Chain,
    Manifest,
    digest,
    manifest_name,
    manifest_names,
    parse_manifest,
    read_manifests,
)
from smug_platform.archive.records import Records
from smug_platform.archive.store import Store
from smug_platform.errors import ArchiveError

_HEAD, _WRITING = "head", "writing"
LONGEST_S = 3600.0
"""In which the objects of some commits are written, at the most, and their manifests."""


@dataclass(frozen=True)
class Archive:
    """Where the objects are, what is known beside them, and the keys of what is personal."""

    store: Store
    records: Records
    keys: Keys

    def heads(self) -> dict[str, Chain]:
        """The end of each shard's chain as the records have it, which may be some manifests behind.

        They are what shows that the last manifests of a chain were removed.
        """
        return {shard: Chain.from_bytes(held) for shard, held in self.records.all(_HEAD).items()}

    def chains(self, shards: Iterable[str] = ()) -> dict[str, Chain]:
        """Where the shards' chains stand: those of the records, and these. Raises ArchiveError."""
        heads = self.heads()
        if not heads:
            shards = [*shards, *manifest_names(self.store)]
        return {
            shard: self._followed(heads.get(shard, Chain(shard)))
            for shard in sorted({*heads, *shards})
        }

    def advance(self, chain: Chain) -> None:
        """Note where a chain stands, once its manifest does."""
        self.records.put(_HEAD, chain.shard, chain.to_bytes())

    def announce(self, names: list[str]) -> str:
        """Note which objects are about to be written; what `finished` is told of them.

        So they are found if the writing is ended before manifests name them.
        """
        token = str(uuid4())
        self.records.put(_WRITING, token, orjson.dumps([time.time(), names]))
        return token

    def finished(self, token: str) -> None:
        """Note that every object that was announced stands, and is named."""
        self.records.remove(_WRITING, token)

    def announced(self) -> set[str]:
        """The objects that are being written, or were when their writing was ended."""
        return {
            name for held in self.records.all(_WRITING).values() for name in orjson.loads(held)[1]
        }

    def settle(self) -> None:
        """Take away what writings that were ended have left, and no manifest names.

        One that may still be at it is left alone.
        """
        for token, held in self.records.all(_WRITING).items():
            began, left = orjson.loads(held)
            if began + LONGEST_S < time.time():
                named = self._named(left)
                for name in left:
                    if name not in named:
                        self.store.discard(name)
                self.finished(token)

    def _named(self, left: list[str]) -> set[str]:
        shards = {name.split("/")[1] for name in left}
        return {
            one.name
            for chain in self.chains(shards).values()
            if chain.shard in shards
            for manifest in self._recent(chain, left)
            for one in manifest.objects
        }

    def _recent(self, chain: Chain, left: list[str]) -> Iterable[Manifest]:
        """The manifests that may name what was left."""
        own = [name for name in left if name.split("/")[1] == chain.shard]
        numbers = [int(name.rsplit("-", 2)[1]) for name in own]
        names = [manifest_name(chain.shard, n) for n in range(min(numbers), chain.number + 1)]
        return (manifest for manifest, _ in read_manifests(self.store, names))

    def _followed(self, chain: Chain) -> Chain:
        """The chain with the manifests that were written after it was noted."""
        if chain.number:
            held = self.store.read(manifest_name(chain.shard, chain.number))
            if held is None or digest(held) != chain.hash:
                raise ArchiveError(
                    f"manifest {chain.number} of {chain.shard} is not what was written",
                    remedy="run smug archive verify, and bring back what was changed",
                )
        while True:
            name = manifest_name(chain.shard, chain.number + 1)
            if (data := self.store.read(name)) is None:
                return chain
            chain = chain.after(parse_manifest(name, data), data)
