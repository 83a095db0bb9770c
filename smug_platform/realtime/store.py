"""The live numbers on disk: one SQLite file, in which windows and stream position move together.

Each step of the consumer is one transaction, so that one that is killed at any moment goes on from
numbers and position that belong together. In WAL mode readers see the last whole transaction and
never wait; the writer does not wait for them.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from smug_platform.errors import StreamError
from smug_platform.lake.state import State
from smug_platform.raw.quarantine import Refused
from smug_platform.realtime.effects import Held
from smug_platform.realtime.sift import Key, Lane
from smug_platform.realtime.tables import LATER, SCHEMA, VERSION
from smug_platform.realtime.tally import Tally
from smug_platform.settings import Settings
from smug_platform.sqlite import ensure_database
from smug_platform.stamps import known, readable
from smug_platform.stream.reader import StreamPositions

_WAIT_SECONDS = 10.0
_DIGEST = 16
_MINUTES = """
insert into minutes (metric, shard, lane, op, currency, minute, changes, value, late)
values (?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do update set changes = changes + excluded.changes, value = value + excluded.value,
                          late = late + excluded.late
"""
_DAYS = """
insert into days (metric, shard, lane, currency, day, value) values (?, ?, ?, ?, ?, ?)
on conflict do update set value = value + excluded.value
"""
_HISTORY = """
insert into history (record, metric, currency, day, value) values (?, ?, ?, ?, ?)
on conflict do update set value = value + excluded.value
"""
_REFUSED = "insert or ignore into refused values (?, ?, ?, ?, ?, ?, ?)"


@dataclass
class Progress:
    """Where the consumer stands.

    generation: of the store, one more with each step. watermark: microseconds since 1970, 0 before
    the first change. heard: of each source shard the source's time of its last change
    (microseconds) and our time of its arrival (seconds). counts: since the store was made.
    """

    positions: StreamPositions | None = None
    generation: int = 0
    watermark: int = 0
    heard: dict[str, tuple[int, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    next_record: int = 1
    updated_at: float = 0.0


def store_path(settings: Settings) -> Path:
    """Where the live numbers of an environment are."""
    return settings.home / "realtime" / "live.db"


class Store:
    """The file; made when it is not there. One process writes, any number reads.

    Raises StreamError for a file of another version, and NewerState for one of a newer.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise StreamError(
                "there are no live numbers yet", remedy="start the consumer with `smug realtime`"
            )
        ensure_database(path, f"{SCHEMA} pragma user_version = {VERSION};")
        self._connection = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
        self._connection.execute("pragma synchronous = normal")
        version = self._brought_up_to_date()
        if version != VERSION:
            self.close()
            readable("the file of the live numbers", {"format": version}, VERSION)
            raise StreamError(
                f"{path} is of version {version} of the live numbers",
                remedy="remove it, and capture the shards anew",
            )

    def _brought_up_to_date(self) -> int:
        """The version of the file, which becomes this one where it is older."""

        def version() -> int:
            (found,) = self._connection.execute("pragma user_version").fetchone()
            return int(found)

        if version() in LATER:
            with self.writing() as connection:
                while (found := version()) in LATER:
                    connection.execute(LATER[found])
                    connection.execute(f"pragma user_version = {found + 1}")
        return version()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One moment of the numbers, whatever is written meanwhile."""
        self._connection.execute("begin")
        try:
            yield self._connection
        finally:
            self._connection.execute("rollback")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        self._connection.execute("begin immediate")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def progress(self) -> Progress:
        """Where the consumer stands."""
        rows = self._connection.execute("select name, value from meta")
        return progress_of(dict(rows.fetchall()))

    def lanes(self) -> dict[Key, Lane]:
        """How far each lane has come."""
        rows = self._connection.execute("select shard, lane, mark, seen from lanes")
        return {
            (shard, lane): Lane(tuple(json.loads(mark)), _texts(seen))
            for shard, lane, mark, seen in rows
        }

    def states(self) -> dict[str, State]:
        """The schemas in force, by table."""
        rows = self._connection.execute("select table_name, state from states")
        return {table: State.from_json(text) for table, text in rows}

    def held(self) -> dict[str, dict[Key, Held]]:
        """What counts for keys whose last image could not be read, by table and lane."""
        found: dict[str, dict[Key, Held]] = {}
        rows = self._connection.execute("select table_name, shard, lane, key, effects from held")
        for table, shard, lane, key, text in rows:
            entries = found.setdefault(table, {}).setdefault((shard, lane), {})
            entries[key] = tuple(map(tuple, json.loads(text)))
        return found


def progress_of(meta: Mapping[str, str]) -> Progress:
    """What the table `meta` says."""
    if "progress" not in meta:
        return Progress()
    found = json.loads(meta["progress"])
    stream = found.pop("positions")
    heard = {shard: (int(at), float(when)) for shard, (at, when) in found.pop("heard").items()}
    positions = StreamPositions(stream["incarnation"], stream["sequences"]) if stream else None
    watermark = int(meta["watermark"])
    told = known(Progress, found) | {"heard": heard, "watermark": watermark}
    return Progress(**told | {"positions": positions})


def refuse_another(connection: sqlite3.Connection, generation: int) -> None:
    """Raise StreamError when the numbers are not of that generation: another consumer has counted
    since this one has read them.
    """
    meta = dict(connection.execute("select name, value from meta").fetchall())
    if progress_of(meta).generation != generation:
        raise StreamError(
            "another consumer counts into the same live numbers",
            remedy="let only one `smug realtime` run",
        )


def save_progress(connection: sqlite3.Connection, progress: Progress) -> None:
    """Put where the consumer stands into its transaction."""
    stream = progress.positions
    positions = stream and {
        "incarnation": stream.incarnation,
        "sequences": dict(stream.sequences),
    }
    text = json.dumps(
        {
            "positions": positions,
            "generation": progress.generation,
            "heard": progress.heard,
            "counts": progress.counts,
            "next_record": progress.next_record,
            "updated_at": progress.updated_at,
        }
    )
    values = [("progress", text), ("watermark", str(progress.watermark))]
    connection.executemany("insert or replace into meta values (?, ?)", values)


def save_lanes(connection: sqlite3.Connection, lanes: Mapping[Key, Lane]) -> None:
    """Put how far lanes have come into a transaction."""
    rows = [
        (*key, json.dumps(lane.mark), b"".join(sorted(lane.seen))) for key, lane in lanes.items()
    ]
    connection.executemany("insert or replace into lanes values (?, ?, ?, ?)", rows)


def save_states(connection: sqlite3.Connection, states: Mapping[str, State]) -> None:
    """Put schemas into a transaction."""
    rows = [(table, state.to_json()) for table, state in states.items()]
    connection.executemany("insert or replace into states values (?, ?)", rows)


def save_held(connection: sqlite3.Connection, table: str, key: Key, held: Held) -> None:
    """Put what a lane of a table holds into a transaction."""
    lane = (table, *key)
    connection.execute("delete from held where (table_name, shard, lane) = (?, ?, ?)", lane)
    rows = [(*lane, name, json.dumps(effects)) for name, effects in held.items()]
    connection.executemany("insert into held values (?, ?, ?, ?, ?)", rows)


def save_refused(connection: sqlite3.Connection, refused: Iterable[Refused], now: float) -> int:
    """Put what can't be read into a transaction; how much of it is new."""
    added = 0
    for one in refused:
        row = (one.id, one.stage, one.table, one.shard, one.place, one.reason, now)
        added += connection.execute(_REFUSED, row).rowcount
    return added


def save_records(
    connection: sqlite3.Connection, records: Iterable[tuple[int, str, str]], now: float
) -> None:
    """Put into a transaction which records of the stream the history speaks of: those of these
    (number, stream shard, sequence number) that it does speak of.
    """
    connection.executemany(
        "insert into records select ?1, ?2, ?3, ?4"
        " where exists (select 1 from history where record = ?1)",
        [(*record, now) for record in records],
    )


def add(connection: sqlite3.Connection, tally: Tally) -> None:
    """Add what was counted, in a transaction."""
    connection.executemany(_MINUTES, tally.minutes)
    connection.executemany(_DAYS, tally.days)
    connection.executemany(_HISTORY, tally.history)


def take_away(
    connection: sqlite3.Connection, metrics: Iterable[str], key: Key, record: int
) -> None:
    """Take away all that a lane of a table counts for, in a transaction."""
    for metric in metrics:
        mine = (metric, *key)
        connection.execute(
            "insert into history select ?, metric, currency, day, -sum(value) from days"
            " where (metric, shard, lane) = (?, ?, ?) and value <> 0 group by metric, currency, day"
            " on conflict do update set value = value + excluded.value",
            (record, *mine),
        )
        for table in ("days", "minutes", "provisional"):
            connection.execute(f"delete from {table} where (metric, shard, lane) = (?, ?, ?)", mine)


def _texts(seen: bytes) -> frozenset[bytes]:
    return frozenset(seen[at : at + _DIGEST] for at in range(0, len(seen), _DIGEST))
