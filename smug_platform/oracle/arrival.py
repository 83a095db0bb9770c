"""Whether everything before a place in a shard's binlog has arrived, stage by stage.

Read from committed positions alone: capture's state, the positions in the raw snapshot's summary,
the raw commit that each lake table has merged, the lake snapshot that each replica holds. The
first stage that lacks something is named, so that a person knows what to start.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table as Iceberg

from smug_platform import iceberg
from smug_platform.capture.position import Position
from smug_platform.capture.resources import open_store
from smug_platform.capture.state import State
from smug_platform.errors import SmugError
from smug_platform.lake.merge import kind_of, merged_sequence, name_of
from smug_platform.lake.target import Target
from smug_platform.raw import deltas as raw
from smug_platform.raw.land import stream_positions
from smug_platform.settings import Settings
from smug_platform.warehouse.open import is_there, loaded, open_warehouse

_LAST_ROW = 10**9 - 1
_PAUSE_SECONDS = 0.25
_SYNC = "run `smug sync --until-quiet`, or leave `make dev` running"
_REMEDIES = {
    "captured": "see `smug status` for the capture worker; `smug up` starts it",
    "landed": _SYNC,
    "merged": _SYNC,
    "loaded": _SYNC,
}


@dataclass(frozen=True, slots=True)
class Cut:
    """Everything before a place in a shard's binlog, and nothing after it."""

    shard: str
    epoch: int
    file: int
    offset: int

    @property
    def position(self) -> Position:
        """The last position before the cut.

        Changes stand past the place where their transaction begins, and a snapshot's rows at the
        place itself: so the place belongs to what is before.
        """
        return Position(self.epoch, self.file, self.offset, _LAST_ROW)

    def __str__(self) -> str:
        return f"{self.epoch}/{self.file}:{self.offset}"


@dataclass(frozen=True)
class Stage:
    """What has not arrived: at which stage, and what of it."""

    name: str
    missing: str


def capture_states(settings: Settings) -> dict[str, State]:
    """What capture remembers of each shard; a shard that was never captured is left out."""
    store = open_store(settings)
    found = {shard.name: store.state(shard.name) for shard in settings.shards}
    return {name: state for name, state in found.items() if state is not None}


def is_ahead(state: State, file: int, offset: int) -> bool:
    """Whether capture stands past a place that the server is yet to write: another numbering.

    `state` must have been read before the place was.
    """
    return state.log is not None and state.place > (file, offset)


def uncaptured(states: Mapping[str, State], cuts: Iterable[Cut]) -> Stage | None:
    """The shards of which capture has not published all before the cut."""
    late = [
        f"{cut.shard} before {cut.file}:{cut.offset}"
        for cut in cuts
        if (state := states.get(cut.shard)) is None
        or state.epoch != cut.epoch
        or not state.is_whole
        or state.place < (cut.file, cut.offset)
    ]
    return Stage("captured", ", ".join(late)) if late else None


def unlanded(states: Mapping[str, State], deltas: Iceberg) -> Stage | None:
    """The shards of which raw lacks something that capture has published."""
    positions = stream_positions(deltas)
    late = [
        shard
        for shard, state in states.items()
        if (published := state.published) is not None
        and not (positions and positions.covers(published.incarnation, published.sequences))
    ]
    return Stage("landed", ", ".join(late)) if late else None


def unmerged(
    catalog: Catalog, targets: Sequence[Target], deltas: Iceberg, sequence: int
) -> Stage | None:
    """The lake tables that have not merged all that raw had at that commit."""
    after = {
        target.name: (
            target.table.name,
            merged_sequence(iceberg.load(catalog, name_of(target))),
        )
        for target in targets
    }
    files = list(raw.delta_files(deltas, min((m for _, m in after.values()), default=0)))
    late = [
        name
        for name, (table, merged) in after.items()
        if any(file.table == table and merged < file.sequence <= sequence for file in files)
    ]
    return Stage("merged", ", ".join(late)) if late else None


def unloaded(
    catalog: Catalog, wanted: Mapping[str, int], loaded: Mapping[str, int]
) -> Stage | None:
    """The replicas that lack a merge which the lake has.

    wanted: for each lake table the sequence number of the merge; loaded: the snapshot it holds.
    """
    late = []
    for name, sequence in wanted.items():
        table = iceberg.load(catalog, f"lake.{name}")
        held = table.snapshot_by_id(loaded[name]) if table and name in loaded else None
        if held is None or (held.sequence_number or 0) < sequence:
            late.append(name)
    return Stage("loaded", ", ".join(late)) if late else None


def last_merges(catalog: Catalog, targets: Iterable[Target]) -> dict[str, int]:
    """The sequence number of each lake table's latest merge; without tables that have none."""
    found = {}
    for target in targets:
        table = iceberg.load(catalog, name_of(target))
        snapshot = table.current_snapshot() if table else None
        while table and snapshot and kind_of(snapshot) != "merge":
            parent = snapshot.parent_snapshot_id
            snapshot = table.snapshot_by_id(parent) if parent else None
        if snapshot is not None:
            found[target.name] = snapshot.sequence_number or 0
    return found


class NotArrived(SmugError):
    """Something that the source holds has not come through in time. stage: where it is missing."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        super().__init__(
            f"not {stage.name} within {seconds:.0f} s: {stage.missing}",
            remedy=_REMEDIES[stage.name],
        )
        self.stage = stage


def await_arrival(
    settings: Settings,
    catalog: Catalog,
    targets: Sequence[Target],
    cuts: Sequence[Cut],
    *,
    timeout: float,
) -> None:
    """Wait until lake and warehouse have all that the shards hold before the cuts.

    Brings nothing through by itself. Raises NotArrived after `timeout` seconds.
    """
    began = time.monotonic()

    def wait(lacks: Callable[[], Stage | None]) -> None:
        while (stage := lacks()) is not None:
            if time.monotonic() - began > timeout:
                raise NotArrived(stage, timeout)
            time.sleep(_PAUSE_SECONDS)

    wait(lambda: uncaptured(capture_states(settings), cuts))
    shards = {cut.shard for cut in cuts}
    states = {name: s for name, s in capture_states(settings).items() if name in shards}
    wait(lambda: unlanded(states, raw.open_deltas(catalog)))
    sequence = raw.sequence(raw.open_deltas(catalog))
    wait(lambda: unmerged(catalog, targets, raw.open_deltas(catalog), sequence))
    merges = last_merges(catalog, targets)
    wait(lambda: unloaded(catalog, merges, loaded_snapshots(settings)))


def loaded_snapshots(settings: Settings) -> dict[str, int]:
    """The lake snapshot that each replica holds; empty where there is no warehouse yet."""
    if not is_there(settings):
        return {}
    with open_warehouse(settings, read_only=True) as warehouse:
        return loaded(warehouse)
