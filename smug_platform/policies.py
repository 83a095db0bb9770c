"""What the assets of all stages share: retries, freshness, and how a failure is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import dagster as dg

from smug_platform.errors import SmugError

PLATFORM = "team:platform"

RETRY = dg.RetryPolicy(
    max_retries=3, delay=1, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
"""For what may pass: a stream that does not answer, a commit that another one was ahead of."""

# The sensor looks at a quiet stream every ten minutes, so that raw is seen to be alive.
FRESH_RAW = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(minutes=15), fail_window=timedelta(minutes=30)
)
# A table that nobody writes to is touched by the hourly sweep alone.
FRESH_TABLE = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(hours=2), fail_window=timedelta(hours=3)
)


def turn(number: int) -> dict[str, str]:
    """Op tags that give a step its turn in a run: the lower numbers go first.

    A live run leaves out dbt's views, which show new data by themselves, and with them the edges
    that would put its steps in order.
    """
    return {"dagster/priority": str(-number)}


class Problems:
    """Collects what goes wrong with single tables, so that the others go on first."""

    def __init__(self) -> None:
        self._found: dict[str, SmugError] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """What is raised inside concerns that table alone."""
        try:
            yield
        except SmugError as problem:
            self.add(name, problem)

    def add(self, name: str, problem: SmugError) -> None:
        """Note what went wrong with that table."""
        self._found[name] = problem

    def get(self, name: str) -> SmugError | None:
        """What went wrong with that table."""
        return self._found.get(name)

    def tell(self) -> None:
        """Fail the step when something went wrong: without retries, unless it all may pass."""
        if self._found:
            passes = all(problem.passes for problem in self._found.values())
            text = "; ".join(str(problem) for problem in self._found.values())
            raise dg.Failure(description=text, allow_retries=passes)


@contextmanager
def told() -> Iterator[None]:
    """Fail the step with the one line of what goes wrong inside; retried only if it may pass."""
    problems = Problems()
    with problems.of(""):
        yield
    problems.tell()
