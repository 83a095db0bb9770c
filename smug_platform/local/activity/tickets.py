"""The ticket server: ids that are unique over all shards and all tables.

Most ids are as large as Flickr's own. A few come from a second range that starts just below 2^63,
so that whoever reads them as signed 64-bit numbers is found out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

FIRST = 54_000_000_001
FIRST_HIGH = 2**63 - 2
_PARTING = 2**62
# Ids that were deleted at the end of an earlier run are not given again.
_GAP = 1000


@dataclass
class TicketServer:
    """Hands out ids, one after the other, in two ranges.

    >>> tickets = TicketServer()
    >>> tickets.take(), tickets.take(), tickets.take(high=True)
    (54000000001, 54000000002, 9223372036854775806)
    """

    following: int = FIRST
    following_high: int = FIRST_HIGH

    @classmethod
    def after(cls, used: Iterable[int]) -> "TicketServer":
        """A server that gives none of the ids in use again, nor any right after them.

        >>> TicketServer.after([54_000_000_007, 2**63 + 5])
        TicketServer(following=54000001008, following_high=9223372036854776814)
        """
        low, high = FIRST - _GAP, FIRST_HIGH - _GAP
        for ticket in used:
            if ticket < _PARTING:
                low = max(low, ticket)
            else:
                high = max(high, ticket)
        return cls(low + _GAP + (low >= FIRST), high + _GAP + (high >= FIRST_HIGH))

    def take(self, *, high: bool = False) -> int:
        """The next id of the ordinary range, or of the one around 2^63."""
        if high:
            self.following_high += 1
            return self.following_high - 1
        self.following += 1
        return self.following - 1
