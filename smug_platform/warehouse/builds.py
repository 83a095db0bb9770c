"""What dbt has built, recorded in the warehouse itself.

Of each replica the lake snapshot that its models were built of, and of each model the version of
its SQL. What is behind follows from the two: a table is built anew when a replica that it is made
of was loaded since, a view only when its SQL changed, for it shows new data by itself. A crash
after a load and before a build so heals.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from smug_platform.settings import Settings
from smug_platform.warehouse.dbt import NO_JSON, DbtResult, NodeResult, build, prepare_manifest
from smug_platform.warehouse.models import Graph, Model, read_graph
from smug_platform.warehouse.open import Statement, Warehouse, loaded, open_warehouse

LEAN = ("--indirect-selection", "empty", NO_JSON)
"""Arguments of a build that runs only what is selected by name, without tests, and leaves dbt's
artifacts as they are: it takes a third of the time."""

_CREATE = (
    "create schema if not exists warehouse",
    "create table if not exists warehouse._builds (table_name varchar(256) not null,"
    " snapshot_id bigint not null, built_at timestamptz not null)",
    "create table if not exists warehouse._models (unique_id varchar(1024) not null,"
    " version varchar(256) not null, built_at timestamptz not null)",
)


def built(warehouse: Warehouse) -> dict[str, int]:
    """The snapshot of each replica that its models were built of; empty before the first build."""
    return dict(_rows(warehouse, "_builds", "table_name, snapshot_id"))


def versions(warehouse: Warehouse) -> dict[str, str]:
    """The version of each model's SQL that was built last, by unique id."""
    return dict(_rows(warehouse, "_models", "unique_id, version"))


def built_at(warehouse: Warehouse) -> datetime | None:
    """When a model was built last; None before the first build."""
    times = _rows(warehouse, "_models", "'', extract(epoch from max(built_at))")
    return datetime.fromtimestamp(float(times[0][1]), UTC) if times and times[0][1] else None


def unbuilt(warehouse: Warehouse) -> dict[str, int | None]:
    """The replicas whose models are behind, with the snapshot that those were built of."""
    done = built(warehouse)
    return {
        table: done.get(table)
        for table, snapshot in loaded(warehouse).items()
        if done.get(table) != snapshot
    }


def to_build(graph: Graph, tables: Iterable[str], known: Mapping[str, str]) -> frozenset[str]:
    """The unique ids of the models to build when these replicas have changed.

    known: the versions that are built. Those are the tables made of the replicas, and whatever was
    never built as it is now.
    """
    touched = graph.downstream(tables)
    return frozenset(
        model.unique_id
        for model in graph.models.values()
        if known.get(model.unique_id) != model.checksum
        or (model.unique_id in touched and model.materialized != "view")
    )


def outdated(graph: Graph, known: Mapping[str, str]) -> tuple[Model, ...]:
    """The incremental models that were built by other SQL than they have now.

    known: the versions that are built.
    """
    return tuple(
        model
        for model in graph.models.values()
        if model.materialized == "incremental"
        and known.get(model.unique_id, model.checksum) != model.checksum
    )


def rebuild(
    settings: Settings,
    *,
    select: Sequence[str] | None = None,
    arguments: Sequence[str] = (),
    on_node: Callable[[NodeResult], None] | None = None,
) -> DbtResult:
    """`dbt build`, and the record of what it brought up to date.

    select, arguments: as `dbt.build` takes them; everything when select is None. A node's failure
    is in the result. What an incremental model holds was made by its SQL as it was: when that
    changed, all that is selected is built from nothing. Raises WarehouseError when dbt can't run
    at all.
    """
    graph = read_graph(prepare_manifest(settings))
    with open_warehouse(settings) as warehouse:
        before, known = loaded(warehouse), versions(warehouse)
    if any(model.name in (select or [model.name]) for model in outdated(graph, known)):
        arguments = (*arguments, "--full-refresh")
    result = build(settings, select=select, arguments=arguments, on_node=on_node)
    succeeded = frozenset(n.unique_id for n in result.nodes if n.status == "success")
    with open_warehouse(settings) as warehouse:
        record(warehouse, graph, succeeded & graph.models.keys(), before)
    return result


def record(
    warehouse: Warehouse,
    graph: Graph,
    succeeded: frozenset[str],
    snapshots: Mapping[str, int],
) -> None:
    """Record the models that were built, and the replicas that nothing is behind of any more.

    snapshots: what the replicas held when the build began.
    """
    if not (warehouse.has("_models") and warehouse.has("_builds")):
        warehouse.write([(statement, ()) for statement in _CREATE])
    known = versions(warehouse)
    made = {one: graph.models[one].checksum for one in sorted(succeeded)}
    known |= made
    done = {
        table: snapshot
        for table, snapshot in sorted(snapshots.items())
        if to_build(graph, [table], known) & graph.downstream([table]) <= succeeded
    }
    now = datetime.now(UTC)
    warehouse.write(
        [*_put("_models", "unique_id", made, now), *_put("_builds", "table_name", done, now)]
    )


def _put(name: str, key: str, values: Mapping[str, object], now: datetime) -> list[Statement]:
    """Statements that put a value for each key in the place of what was there."""
    if not values:
        return []
    keys = ", ".join("?" for _ in values)
    rows = ", ".join("(?, ?, ?)" for _ in values)
    return [
        (f"delete from warehouse.{name} where {key} in ({keys})", list(values)),
        (
            f"insert into warehouse.{name} values {rows}",
            [part for each in values.items() for part in (*each, now)],
        ),
    ]


def _rows(warehouse: Warehouse, name: str, columns: str) -> list[tuple[Any, ...]]:
    if not warehouse.has(name):
        return []
    return warehouse.ask(f"select {columns} from warehouse.{name}")
