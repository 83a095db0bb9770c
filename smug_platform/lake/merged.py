"""What a merge did."""

from dataclasses import dataclass, replace
from datetime import datetime

COUNTS = ("deltas", "duplicates", "identical", "merged_away", "stale")  # in a commit's summary
_SUMS = (
    *COUNTS, "written", "deleted", "quarantined", "refused", "zero_dates", "commits", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Merged:
    """What one merge did: deltas in, what became of them, rows out.

    refused: deltas that could not be applied; quarantined: those that were not known for it yet;
    zero_dates: dates that are none, of those that came.
    """

    table: str
    deltas: int = 0
    duplicates: int = 0
    identical: int = 0
    merged_away: int = 0
    stale: int = 0
    written: int = 0
    deleted: int = 0
    quarantined: int = 0
    refused: int = 0
    zero_dates: int = 0
    rows: int = 0
    commits: int = 0
    latest_commit: datetime | None = None
    snapshot_id: int | None = None
    seconds: float = 0.0

    def __add__(self, later: "Merged") -> "Merged":
        """What both did; the rows, the snapshot and the latest commit are those of the later."""
        return replace(
            later, **{name: getattr(self, name) + getattr(later, name) for name in _SUMS}
        )
