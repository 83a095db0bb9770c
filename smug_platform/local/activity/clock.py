"""The workload's own clock: days with a growth and a weekly rhythm, and nothing of the wall clock.

Progress 0..1 is spread over the days by their weight, so a Sunday gets more than a Wednesday and
the last day about twice the first. Past 1 it goes on at the last week's pace.
"""

import math
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from random import Random

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
# Monday to Sunday: photographers upload after the weekend's walk.
_WEEK = (0.9, 0.8, 0.75, 0.8, 0.95, 1.35, 1.6)
_GROWTH = 1.0


class Clock:
    """Tells a time that only moves forward.

    start: midnight of the first day; days: how long progress 0..1 lasts.

    >>> clock = Clock(FIRST_DAY, days=60, rng=Random(1))
    >>> clock.at(0).isoformat(), clock.at(0.5).date().isoformat(), clock.at(1).date().isoformat()
    ('2024-01-01T00:00:00+00:00', '2024-02-04', '2024-03-01')
    """

    def __init__(self, start: datetime, *, days: int, rng: Random) -> None:
        self._start, self._days, self._rng = start, days, rng
        self._ends: list[float] = []
        while len(self._ends) < days:
            self._add_day()
        self._whole = self._ends[-1]
        self._step_us = 1000
        self.now = start

    def at(self, progress: float) -> datetime:
        """The time that belongs to a progress of 0 or more."""
        mark = progress * self._whole
        while mark >= self._ends[-1]:
            self._add_day()
        day = bisect_right(self._ends, mark)
        begin = self._ends[day - 1] if day else 0.0
        part = (mark - begin) / (self._ends[day] - begin)
        part -= 0.1 * math.sin(2 * math.pi * part)  # few are up at midnight
        return self._start + timedelta(days=day + part)

    def move(self, begin: float, end: float, *, ticks: int) -> None:
        """Go to progress `begin`, with about `ticks` ticks to come until `end`."""
        self.now = max(self.now, self.at(begin))
        span = (self.at(end) - self.now) / max(ticks, 1)
        self._step_us = max(int(span / timedelta(microseconds=1)) * 2, 2)

    def tick(self) -> datetime:
        """A moment later than every one before."""
        self.now += timedelta(microseconds=self._rng.randint(1, self._step_us))
        return self.now

    def _add_day(self) -> None:
        day = len(self._ends)
        date = self._start + timedelta(days=day)
        growth = 1 + _GROWTH * min(day / self._days, 1)
        before = self._ends[-1] if self._ends else 0.0
        self._ends.append(before + growth * _WEEK[date.weekday()])
