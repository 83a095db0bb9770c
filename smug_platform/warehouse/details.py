"""What is worth knowing of built models beyond dbt's own results, read after the build."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from smug_platform.settings import Settings
from smug_platform.warehouse.dbt import DbtResult, target_path
from smug_platform.warehouse.models import Graph, Model
from smug_platform.warehouse.open import Warehouse, open_warehouse


@dataclass(frozen=True)
class Details:
    """Of one model.

    rows: None where counting would run a view; committed_at: of the newest change in the replicas
    that the model is made of; columns: types by name; lineage: (unique id, column) pairs by column.
    """

    rows: int | None = None
    committed_at: datetime | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    lineage: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)


def details(
    settings: Settings, graph: Graph, result: DbtResult, *, columns: bool = False
) -> dict[str, Details]:
    """Details of the models that the build made, by unique id.

    columns: also their columns and what these are made of.
    """
    made = [
        graph.models[node.unique_id]
        for node in result.nodes
        if node.status == "success" and node.unique_id in graph.models
    ]
    with open_warehouse(settings) as warehouse:
        newest = {load.table: load.committed_at for load in warehouse.loads()}
        found = {
            model.unique_id: Details(
                _rows(warehouse, model) if columns or model.materialized != "view" else None,
                _newest(graph, model, newest),
            )
            for model in made
        }
        return _with_columns(settings, graph, warehouse, made, found) if columns else found


def _with_columns(
    settings: Settings,
    graph: Graph,
    warehouse: Warehouse,
    made: Iterable[Model],
    found: Mapping[str, Details],
) -> dict[str, Details]:
    from smug_platform.warehouse.lineage import column_lineage, relation_columns

    dialect = settings.warehouse
    relations = relation_columns(warehouse, dialect=dialect)
    compiled = target_path(settings) / "compiled"
    return {
        model.unique_id: Details(
            found[model.unique_id].rows,
            found[model.unique_id].committed_at,
            relations.get(f"{model.layer}.{model.name}", {}),
            column_lineage(graph, model, compiled, relations, dialect=dialect),
        )
        for model in made
    }


def _rows(warehouse: Warehouse, model: Model) -> int:
    return int(warehouse.ask(f"select count(*) from {model.relation}")[0][0])


def _newest(graph: Graph, model: Model, newest: Mapping[str, datetime | None]) -> datetime | None:
    times = [
        at
        for table, at in newest.items()
        if at is not None and model.unique_id in graph.downstream([table])
    ]
    return max(times, default=None)
