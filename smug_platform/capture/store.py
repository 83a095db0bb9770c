"""Who captures which shard, and what capture remembers of each: leases, state, schema history.

A lease carries a counter that rises each time it is taken. What is remembered carries it too: who
takes a lease first sets its counter on the shard's state and only then reads it, and a state is
written only under the counter that stands on it. So a worker that lost its lease without knowing
can write nothing, whatever its clock says.
"""

import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from smug_platform.capture.items import Fields, Item, Items
from smug_platform.capture.state import State, decode_state, encode_state
from smug_platform.capture.status import Status, decode_status, encode_status
from smug_platform.errors import StateError

LEASES, WORKERS, _ASKED, _FILTERED = "leases", "workers", "snapshots", "filtered"
_STATE, _HISTORY = "state", "history/"
# DynamoDB holds 400 KB an item, its names included.
_PART_BYTES = 300_000


class LeaseLost(StateError):
    """Another worker may have this shard: what this one still has of it counts no more."""

    def __init__(self, shard: str) -> None:
        super().__init__(f"{shard} was taken by another worker", remedy="nothing to do")


@dataclass(frozen=True)
class Lease:
    """A shard's lease as it stands. worker: None while nobody has it; beat: rises with each
    renewal; taken_at: seconds since 1970, by the clock of the one who took it.
    """

    shard: str
    counter: int
    worker: str | None
    beat: int = 0
    taken_at: int = 0


@dataclass(frozen=True)
class Filtered:
    """Rows of a table that were asked for, at (nanoseconds since 1970). where: their condition."""

    table: str
    where: str
    at: int


class Store:
    """The leases of all shards, and what they protect. seconds: that a lease lives unrenewed."""

    def __init__(
        self, items: Items, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = seconds
        self._items, self._clock = items, clock

    def leases(self) -> dict[str, Lease]:
        """All leases, by shard; a shard that was never captured has none."""
        return {shard: _lease(shard, item) for shard, item in self._items.group(LEASES).items()}

    def state(self, shard: str) -> State | None:
        """What capture remembers of a shard, None before its first start; raises StateError."""
        return _state(shard, self._items.get(shard, _STATE))

    def status(self, shard: str) -> Status | None:
        """What the last worker told of a shard, None before the first."""
        text = self._items.get(LEASES, shard).get("status")
        return decode_status(str(text)) if text else None

    def ask(self, shard: str, table: str, where: str = "") -> None:
        """Ask for a table to be read anew, by whoever captures the shard; or only those of its rows
        that a condition is true of.
        """
        told: Fields = {"where": where} if where else {}
        fields: Fields = {**told, "asked_at": time.time_ns()}
        self._items.update(*_request(shard, table, where), fields, expect={})

    def filtered(self, shard: str) -> list[Filtered]:
        """The rows that are to be read anew, first asked first."""
        found = [
            Filtered(name.split("/")[1], str(item["where"]), int(item["asked_at"]))
            for name, item in self._items.group(_FILTERED).items()
            if name.partition("/")[0] == shard
        ]
        return sorted(found, key=lambda one: one.at)

    def asked(self, shard: str) -> dict[str, int]:
        """The tables that are to be read anew, first asked first; when (nanoseconds since 1970)."""
        found = {
            name.partition("/")[2]: int(item["asked_at"])
            for name, item in self._items.group(_ASKED).items()
            if name.partition("/")[0] == shard
        }
        return dict(sorted(found.items(), key=lambda one: one[1]))

    def answer(self, shard: str, table: str, asked_at: int, where: str = "") -> None:
        """A table was read anew, or can't be. What was asked for again since stays."""
        self._items.remove(*_request(shard, table, where), expect={"asked_at": asked_at})

    def take(self, shard: str, worker: str, seen: Lease | None) -> "Hold | None":
        """Take a lease that stands as it was seen; None when it stands so no more."""
        now, began = int(time.time()), self._clock()
        counter = seen.counter + 1 if seen else 1
        expect: Fields = {"counter": None}
        if seen:
            expect = {"counter": seen.counter, "worker": seen.worker, "beat": seen.beat}
        fields: Fields = {"counter": counter, "worker": worker, "beat": 0, "taken_at": now}
        if not self._items.update(LEASES, shard, fields, expect=expect):
            return None
        lease = Lease(shard, counter, worker, 0, now)
        if not self._fence(shard, counter):
            return None
        return Hold(self._items, lease, until=began + self.seconds, store=self, clock=self._clock)

    def workers(self) -> dict[str, int]:
        """The workers that have signed, with their beats."""
        return {name: int(item["beat"]) for name, item in self._items.group(WORKERS).items()}

    def sign(self, worker: str, beat: int) -> None:
        """Say that a worker is there; beat: another number each time."""
        self._items.update(WORKERS, worker, {"beat": beat}, expect={})

    def unsign(self, worker: str, *, beat: int | None = None) -> None:
        """Strike a worker out; with a beat, only if it has not moved since."""
        self._items.remove(WORKERS, worker, expect={} if beat is None else {"beat": beat})

    def _fence(self, shard: str, counter: int) -> bool:
        """Set a counter on the state of a shard; False when a higher one is there already."""
        while True:
            found = self._items.get(shard, _STATE).get("counter")
            if found is not None and int(found) >= counter:
                return int(found) == counter
            if self._items.update(shard, _STATE, {"counter": counter}, expect={"counter": found}):
                return True


class Hold:
    """A lease in this worker's hand, and all that is written under its counter.

    until: when it ends unless it is renewed, by the clock. Safe for threads.
    """

    def __init__(
        self,
        items: Items,
        lease: Lease,
        *,
        until: float,
        store: Store,
        clock: Callable[[], float],
    ) -> None:
        self._items, self._lease, self._until = items, lease, until
        self._store, self._clock = store, clock
        self._lock = threading.Lock()

    @property
    def lease(self) -> Lease:
        """The lease as it was last written."""
        return self._lease

    def check(self) -> None:
        """Raise LeaseLost when others may have the shard by now. Asks nobody."""
        if self._clock() >= self._until:
            raise LeaseLost(self._lease.shard)

    def renew(self, status: Status | None = None) -> None:
        """Keep the lease for as long again, and tell the status; raises LeaseLost."""
        with self._lock:
            began, beat = self._clock(), self._lease.beat + 1
            told: Fields = {"status": encode_status(status)} if status else {}
            self._write({**told, "beat": beat})
            self._lease = replace(self._lease, beat=beat)
            self._until = began + self._store.seconds

    def release(self, status: Status | None = None) -> None:
        """Give the lease back for anyone to take at once; raises LeaseLost."""
        with self._lock:
            self._until = float("-inf")
            told: Fields = {"status": encode_status(status)} if status else {}
            self._write({**told, "worker": None})

    def asked(self) -> dict[str, int]:
        """The tables of the shard that are to be read anew, as in the store."""
        return self._store.asked(self._lease.shard)

    def filtered(self) -> list[Filtered]:
        """The rows of the shard's tables that are to be read anew, as in the store."""
        return self._store.filtered(self._lease.shard)

    def ask(self, table: str, where: str = "") -> None:
        """Ask for a table of the shard to be read anew, or for some of its rows."""
        self._store.ask(self._lease.shard, table, where)

    def answer(self, table: str, asked_at: int, where: str = "") -> None:
        """A table was read anew, or can't be."""
        self._store.answer(self._lease.shard, table, asked_at, where)

    def status(self) -> Status | None:
        """What was told of the shard last, by whoever had it."""
        return self._store.status(self._lease.shard)

    def state(self) -> State | None:
        """What the shard's capture remembers."""
        return self._store.state(self._lease.shard)

    def save(self, state: State) -> None:
        """Remember a state; raises LeaseLost when the lease has been taken since."""
        mine = {"counter": self._lease.counter}
        fields: Fields = {"state": encode_state(state)}
        if not self._items.update(self._lease.shard, _STATE, fields, expect=mine):
            raise LeaseLost(self._lease.shard)

    def add_history(self, names: tuple[str, ...], text: bytes) -> tuple[str, ...]:
        """Store what was appended to the schema history; the names of all of its parts.

        They count once a state that names them is saved; another worker's parts have other names.
        """
        packed = zlib.compress(text)
        mine = f"{_HISTORY}{self._lease.counter:08d}-"
        number = sum(name.startswith(mine) for name in names)
        added: list[str] = []
        for at in range(0, len(packed), _PART_BYTES):
            added.append(f"{mine}{number + len(added):06d}")
            is_last = at + _PART_BYTES >= len(packed)
            fields: Fields = {"data": packed[at : at + _PART_BYTES], "is_last": int(is_last)}
            self._items.update(self._lease.shard, added[-1], fields, expect={})
        return (*names, *added)

    def history(self, names: Iterable[str]) -> bytes | None:
        """The schema history of those parts; None when one of them is not there."""
        text, packed = b"", b""
        for name in names:
            item = self._items.get(self._lease.shard, name)
            if not item:
                return None
            packed += _bytes(item)
            if item["is_last"]:
                text, packed = text + zlib.decompress(packed), b""
        return text

    def forget_history(self, keep: Iterable[str]) -> None:
        """Remove the parts that the saved state does not name, but no later worker's."""
        kept, mine = set(keep), f"{_HISTORY}{self._lease.counter + 1:08d}"
        for name in self._items.group(self._lease.shard):
            if name.startswith(_HISTORY) and name < mine and name not in kept:
                self._items.remove(self._lease.shard, name, expect={})

    def _write(self, fields: Fields) -> None:
        lease = self._lease
        mine: Fields = {"counter": lease.counter, "worker": lease.worker}
        if not self._items.update(LEASES, lease.shard, fields, expect=mine):
            self._until = float("-inf")
            raise LeaseLost(lease.shard)


def _request(shard: str, table: str, where: str) -> tuple[str, str]:
    """Group and name of a request: each condition is one of its own."""
    if not where:
        return _ASKED, f"{shard}/{table}"
    return _FILTERED, f"{shard}/{table}/{hashlib.sha256(where.encode()).hexdigest()}"


def _lease(shard: str, item: Item) -> Lease:
    worker = item.get("worker")
    return Lease(
        shard,
        int(item["counter"]),
        str(worker) if worker is not None else None,
        int(item["beat"]),
        int(item["taken_at"]),
    )


def _state(shard: str, item: Mapping[str, object]) -> State | None:
    if "state" not in item:
        return None
    try:
        return decode_state(str(item["state"]))
    except (ValueError, TypeError, KeyError) as error:
        raise StateError(
            f"{shard}: the state of its capture can't be read ({error})",
            remedy="restore it, or remove it to capture this shard from a new snapshot",
        ) from error


def _bytes(item: Item) -> bytes:
    data = item["data"]
    assert isinstance(data, bytes)
    return data
