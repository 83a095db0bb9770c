"""What capture remembers of a shard, read and written by tests as a worker would."""

from smug_platform.capture.resources import open_store
from smug_platform.capture.state import State
from smug_platform.capture.status import Status
from smug_platform.capture.store import Hold
from smug_platform.settings import Settings


def state_of(settings: Settings, shard: str = "shard_0") -> State | None:
    return open_store(settings).state(shard)


def status_of(settings: Settings, shard: str = "shard_0") -> Status | None:
    return open_store(settings).status(shard)


def hold_of(settings: Settings, shard: str = "shard_0", worker: str = "a test") -> Hold:
    """The lease of a shard, taken from whoever has it."""
    store = open_store(settings)
    hold = store.take(shard, worker, store.leases().get(shard))
    assert hold is not None
    return hold


def keep_state(settings: Settings, state: State, shard: str = "shard_0") -> None:
    """Put a state in the place of another, and let go of the lease."""
    hold = hold_of(settings, shard)
    hold.save(state)
    hold.release()
