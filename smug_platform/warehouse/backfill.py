"""Some days of the models that are merged, made anew of the replicas as they are.

For days that were damaged or lost: the other models are made anew by every build. It is one run of
dbt, and neither the source nor the stream or the lake is read. The models stay with what they had
read (`macros/incremental.sql`), so nothing is recorded as built: what waits for a build still does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from smug_platform.errors import WarehouseError
from smug_platform.settings import Settings
from smug_platform.warehouse.builds import LEAN, outdated, versions
from smug_platform.warehouse.dbt import DbtResult, NodeResult, build, prepare_manifest
from smug_platform.warehouse.models import Graph, read_graph
from smug_platform.warehouse.open import open_warehouse


@dataclass(frozen=True, slots=True)
class Days:
    """A range of days, with its last; raises WarehouseError when that is before the first."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise WarehouseError(
                f"{self.last} is before {self.first}", remedy="give the first day first"
            )

    def __str__(self) -> str:
        """
        >>> str(Days(date(2026, 1, 30), date(2026, 1, 31)))
        '2026-01-30..2026-01-31'
        """
        return f"{self.first}..{self.last}" if self.last > self.first else str(self.first)


def days_of(first: str, last: str) -> Days:
    """The days that two texts name; raises WarehouseError when they name none.

    >>> str(days_of("2026-01-31", "2026-01-31"))
    '2026-01-31'
    """
    try:
        return Days(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as error:
        raise WarehouseError(str(error), remedy="write a day as 2026-01-31") from error


def merged(graph: Graph) -> list[str]:
    """The names of the models that are merged."""
    return sorted(m.name for m in graph.models.values() if m.materialized == "incremental")


def backfill(
    settings: Settings,
    days: Days,
    *,
    select: Sequence[str] | None = None,
    arguments: Sequence[str] = LEAN,
    on_node: Callable[[NodeResult], None] | None = None,
) -> DbtResult:
    """Makes these days of the merged models anew; the rows of other days stay as they are.

    select, arguments, on_node: as `dbt.build` takes them; all merged models when select is None.
    Raises WarehouseError when dbt can't run at all, or a model was built by other SQL than it has
    now: its other days would not be of one make.
    """
    graph = read_graph(prepare_manifest(settings))
    with open_warehouse(settings) as warehouse:
        old = outdated(graph, versions(warehouse))
    if old:
        raise WarehouseError(
            f"{old[0].name} was built by other SQL than it has now",
            remedy="build it first, by `smug sync` or in Dagster: all of its days are made anew",
        )
    return build(
        settings,
        select=merged(graph) if select is None else select,
        arguments=arguments,
        variables={"first_day": str(days.first), "last_day": str(days.last)},
        on_node=on_node,
    )
