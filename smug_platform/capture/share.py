"""How many shards a worker should have, and which of them it may take: from what it sees alone.

Nobody tells workers what to do. Each sees all leases and who is alive, takes what is free up to its
share, and gives back what is above it; two that reach for one lease are told apart by the store.
Who is alive is told by what moves, on the own clock: clocks of machines are never compared.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass
class Watched:
    """What moved when, on a clock that only this process knows. seconds: of standing still after
    which something is dead.
    """

    seconds: float
    _seen: dict[str, tuple[object, float]] = field(default_factory=dict)

    def moves(self, name: str, mark: object, now: float) -> bool:
        """Whether something moved lately; what is seen for the first time counts as moving.

        >>> watched = Watched(6)
        >>> [watched.moves("a", 1, now) for now in (0, 5, 7)], watched.moves("a", 2, 8)
        ([True, True, False], True)
        """
        before, since = self._seen.get(name, (None, now))
        if before != mark:
            since = now
        self._seen[name] = (mark, since)
        return now - since < self.seconds


def take_count(mine: int, others: Mapping[str, int], *, shards: int, meant: int = 1) -> int:
    """How many free shards to take at most.

    mine: that this worker has; others: by living worker, the idle ones with 0. meant: workers that
    are about to come, so that room is left for them. The larger share is taken only once all have
    the smaller one: else one who gave a shard for another's sake would take it back.

    >>> take_count(0, {}, shards=8), take_count(0, {}, shards=8, meant=3)
    (8, 3)
    >>> take_count(2, {"b": 3, "c": 2}, shards=8), take_count(2, {"b": 3, "c": 1}, shards=8)
    (1, 0)
    """
    if len(others) + 1 < meant:
        return max(0, -(-shards // meant) - mine)
    least, rest = divmod(shards, len(others) + 1)
    all_have_it = min(others.values(), default=least) >= least
    return max(0, least + bool(rest and all_have_it) - mine)


def give_count(me: str, mine: int, others: Mapping[str, int], *, shards: int) -> int:
    """How many shards to hand over now to workers that have too few.

    What is above the larger share, one for each that waits: more engines starting at once would
    only hold each other up. Of those that have the larger share while another lacks even the
    smaller one, the one with the last name gives, so that no two give at once.

    >>> give_count("a", 8, {"b": 0}, shards=8), give_count("a", 8, {"b": 0, "c": 0}, shards=8)
    (1, 2)
    >>> [give_count(me, 3, {other: 3, "c": 1}, shards=7) for me, other in ("ab", "ba")]
    [0, 1]
    """
    least, rest = divmod(shards, len(others) + 1)
    most = least + bool(rest)
    if mine > most:
        waiting = sum(count < least for count in others.values())
        return min(mine - most, max(waiting, 1))
    if mine <= least or min(others.values(), default=least) >= least:
        return 0
    rivals = [name for name, count in others.items() if count >= mine]
    return 0 if any(name > me for name in rivals) else 1


@dataclass(frozen=True)
class Claimed:
    """A lease as `plan` needs it: who has it, None for nobody or for one who is dead."""

    shard: str
    worker: str | None


@dataclass(frozen=True)
class Plan:
    """What a worker does now. take: reach for at most `most` of these, in this order; give: how
    many to hand over.
    """

    take: tuple[str, ...]
    most: int
    give: int


def plan(me: str, claimed: Collection[Claimed], alive: Collection[str], *, meant: int = 1) -> Plan:
    """What to take and what to give.

    claimed: of all shards; those of `me` are the ones it captures. alive: the other workers.

    >>> plan("b", [Claimed("s0", "a"), Claimed("s1", None)], ["a"])
    Plan(take=('s1',), most=1, give=0)
    """
    others = dict.fromkeys(alive, 0)
    for one in claimed:
        if one.worker not in (None, me):
            others[str(one.worker)] = others.get(str(one.worker), 0) + 1
    mine = sum(one.worker == me for one in claimed)
    free = tuple(one.shard for one in claimed if one.worker is None)
    most = take_count(mine, others, shards=len(claimed), meant=meant)
    give = give_count(me, mine, others, shards=len(claimed))
    return Plan(free, min(most, len(free)), 0 if free else give)
