"""One turn: the stage on which activities act, for one shard and one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from smug_platform.local.activity.clock import Clock
from smug_platform.local.activity.sql import Transaction
from smug_platform.local.activity.tickets import TicketServer
from smug_platform.local.activity.world import Account, Photo, Town

# The few rows that take a large part of the updates.
_HOT_ACCOUNTS, _HOT_PHOTOS = 3, 6
_HIGH_SHARE = 0.004


@dataclass
class Turn:
    """Everything an activity needs. towns: all shards; town: the one that is written to."""

    rng: Random
    clock: Clock
    tickets: TicketServer
    towns: Sequence[Town]
    town: Town
    transaction: Transaction

    def ticket(self) -> int:
        """A new id; a few lie around and above 2^63."""
        return self.tickets.take(high=self.rng.random() < _HIGH_SHARE)

    def did(self, kind: str) -> None:
        """Count something that members do."""
        self.transaction.kinds[kind] += 1

    def member(self) -> Account | None:
        """Some account of this shard; long-standing members do more."""
        return self.town.accounts.pick(self.rng, lean=3)

    def anyone(self) -> Account | None:
        """Some account of any shard: people look at each other's photos."""
        return self.rng.choice(self.towns).accounts.pick(self.rng, lean=2)

    def hot_account(self) -> Account | None:
        """One of the few accounts that change all the time."""
        hot = self.town.accounts.first(_HOT_ACCOUNTS)
        return self.rng.choice(hot) if hot else None

    def photo(self, *, hot: float = 0.2) -> Photo | None:
        """Some photo of this shard; with the probability `hot` one of the few famous ones."""
        if self.rng.random() < hot and (famous := self.town.photos.first(_HOT_PHOTOS)):
            return self.rng.choice(famous)
        return self.town.photos.pick(self.rng, lean=1.5)
