"""What is written next, and where: the mix of activities, and the milestones between them.

A plan is made from a seed and never asks a server or the wall clock anything. It hands work to
the writers in one order over all shards; work of one shard that waits for another's always waits
for something handed out before, so they can't wait for each other.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from threading import Event

from smug_platform.local.activity import commerce, community, membership, photos
from smug_platform.local.activity.clock import FIRST_DAY, Clock
from smug_platform.local.activity.move import Move
from smug_platform.local.activity.sql import Transaction
from smug_platform.local.activity.tickets import TicketServer
from smug_platform.local.activity.turn import Turn
from smug_platform.local.activity.world import Account, Town
from smug_platform.local.activity.writer import Writer, commit

Activity = Callable[[Turn], None]
Milestone = Callable[[Sequence[Writer], Event], None]

# How often each happens in a turn of about 500 row changes.
MIX: tuple[tuple[Activity, float], ...] = (
    (membership.sign_up, 9),
    (membership.subscribe, 2),
    (photos.upload, 8),
    (photos.make_album, 2.5),
    (community.view, 100),
    (community.favorite, 90),
    (community.comment, 45),
    (commerce.place_order, 7),
    (photos.edit, 32),
    (photos.rate, 40),
    (photos.reorder_album, 2),
    (membership.edit_profile, 24),
    (membership.subscription_step, 8),
    (community.edit_comment, 10),
    (community.unfavorite, 6),
    (commerce.order_step, 9),
    (commerce.refund, 1),
    (community.move_favorite, 1.5),
    (community.renumber_comment, 1),
    (community.unview, 0.4),
    (photos.remove, 2.5),
)
_TURN_ROWS = 500
# What a new shard begins with, so that there is somebody to do the rest.
FOUNDING: tuple[tuple[Activity, float], ...] = ((membership.sign_up, 40), (photos.upload, 12))

# Columns that photos get in mid-stream: the first that a shard lacks. The last shard gets it at
# half of the way, the others later; nobody moves in between.
EVOLUTIONS = {
    "safety_level": "TINYINT UNSIGNED NOT NULL DEFAULT 1",
    "alt_text": "VARCHAR(500) NULL DEFAULT 'no description yet – ¡añade una!'",
}
_ALTER_LAST_SHARD, _ALTER_OTHERS = 0.5, 0.65
_MOVES = (0.15, 0.25, 0.35, 0.45, 0.72, 0.8, 0.88, 0.96)
_DAYS = 60
# Without an end, milestones come round after so many changes, which last so many days.
_ROUND_CHANGES, _ROUND_DAYS = 50_000, 5
# TIMESTAMP ends in January 2038; a shard that has come so far begins at the first day again.
_LAST_YEAR = 2036
_MOST_MOVED = 2_000


@dataclass
class Plan:
    """All that is decided ahead: what is written next, and where."""

    rng: Random
    clock: Clock
    tickets: TicketServer
    towns: Sequence[Town]
    changes: int | None
    turn_rows: int
    milestones: list[tuple[float, Milestone]] = field(default_factory=list)
    rows: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls,
        towns: Sequence[Town],
        *,
        seed: int,
        changes: int | None,
        rate: float | None,
        start: datetime | None,
    ) -> "Plan":
        """A plan for these shards as they are; the arguments are `run_workload`'s."""
        rng = Random(seed)
        return cls(
            rng=rng,
            clock=Clock(start or first_day(towns), days=_DAYS if changes else _ROUND_DAYS, rng=rng),
            tickets=TicketServer.after(i for town in towns for i in town.used_ids()),
            towns=towns,
            changes=changes,
            turn_rows=turn_rows(changes, rate),
        )

    @property
    def done(self) -> bool:
        """Whether all the changes that were asked for are planned."""
        return self.changes is not None and self.rows >= self.changes

    @property
    def _progress(self) -> float:
        return self.rows / (self.changes or _ROUND_CHANGES)

    def step(self, writers: Sequence[Writer], failed: Event) -> None:
        """Plan the next milestone or turn and hand it to the writers."""
        if self.milestones and self._progress >= self.milestones[0][0]:
            mark, act = self.milestones.pop(0)
            act(writers, failed)
            if self.changes is None and act == self._move:
                self.milestones.append((mark + 1, act))
            return
        town = self._turn_town()
        founding = len(town.accounts) < 10
        transaction = self._turn(town, FOUNDING if founding else MIX)
        writers[town.index].put(commit(transaction.statements()))
        self.rows += transaction.rows
        self.kinds.update(transaction.kinds)

    def _turn_town(self) -> Town:
        for town in self.towns:
            if len(town.accounts) < 10:
                return town
        # The first shard is somewhat older and busier than the next, and so on.
        return self.rng.choices(self.towns, [1 / (1 + 0.3 * town.index) for town in self.towns])[0]

    def _turn(self, town: Town, mix: tuple[tuple[Activity, float], ...]) -> Transaction:
        whole = self.changes or _ROUND_CHANGES
        size = self.turn_rows
        self.clock.move(self._progress, self._progress + size / whole, ticks=size)
        transaction = Transaction()
        turn = Turn(self.rng, self.clock, self.tickets, self.towns, town, transaction)
        for activity, often in mix:
            for _ in range(int(often * size / _TURN_ROWS + self.rng.random())):
                activity(turn)
        return transaction

    def set_milestones(self, *, evolve: bool) -> None:
        """Moves between shards, and, if wanted, one ALTER TABLE a shard."""
        found: list[tuple[float, Milestone]] = []
        if len(self.towns) > 1:
            found += [(mark, self._move) for mark in _MOVES]
        column = next((c for c in EVOLUTIONS if any(c not in t.extra for t in self.towns)), None)
        if evolve and column:
            for town in self.towns:
                if column not in town.extra:
                    last = town is self.towns[-1]
                    mark = _ALTER_LAST_SHARD if last else _ALTER_OTHERS
                    found.append((mark, self._alter(town, column)))
        self.milestones = sorted(found, key=lambda milestone: milestone[0])

    def _alter(self, town: Town, column: str) -> Milestone:
        def act(writers: Sequence[Writer], failed: Event) -> None:
            del failed
            statement = f"ALTER TABLE photos ADD COLUMN {column} {EVOLUTIONS[column]}"
            writers[town.index].put(lambda cursor: 0 * cursor.execute(statement))
            town.extra[column] = None
            self.kinds["alter_photos"] += 1

        return act

    def _move(self, writers: Sequence[Writer], failed: Event) -> None:
        """Somebody moves: every other time the new shard has the rows first."""
        count = self.kinds["move_account"]
        here = self.towns[count // 2 % len(self.towns)]
        there = self.towns[(here.index + 1) % len(self.towns)]
        account = self._mover(here)
        if account is None:
            return
        moved = here.leave(account)
        there.settle(account)
        move = Move(account.id, insert_first=count % 2 == 0, failed=failed)
        writers[here.index].put(move.depart)
        writers[there.index].put(move.arrive)
        self.rows += 2 * moved
        self.kinds["move_account"] += 1

    def _mover(self, town: Town) -> Account | None:
        """Somebody who has photos, but not so many that the move takes long."""
        for _ in range(20):
            account = town.accounts.pick(self.rng)
            if account and account.photos and _belongings(account) <= _MOST_MOVED:
                return account
        return None


def _belongings(account: Account) -> int:
    return sum(1 + len(photo.favorites) + len(photo.comments) for photo in account.photos)


def first_day(towns: Sequence[Town]) -> datetime:
    """The day after the latest time that the shards hold; 2024-01-01 when they hold none.

    >>> first_day([Town(0), Town(1, latest=FIRST_DAY)]).date().isoformat()
    '2024-01-02'
    """
    latest = max((town.latest for town in towns if town.latest), default=None)
    if latest is None or latest.year >= _LAST_YEAR:
        return FIRST_DAY
    return latest.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def turn_rows(changes: int | None, rate: float | None) -> int:
    """Whole turns when there is much to write; with a rate, four transactions a second.

    >>> turn_rows(200_000, None), turn_rows(2_000, None), turn_rows(None, 100.0)
    (500, 50, 25)
    """
    if rate:
        return min(_TURN_ROWS, max(int(rate / 4), 1))
    return min(_TURN_ROWS, max((changes or _ROUND_CHANGES) // 40, 20))
