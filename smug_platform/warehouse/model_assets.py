"""dbt's models in Dagster: one asset a model, one check a data test, one step for what is asked.

dbt runs in the step's own process: another interpreter and another parse would take 6 s.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from smug_platform.policies import FRESH_TABLE, RETRY, told, turn
from smug_platform.raw.metadata import lag_seconds, without_nothing
from smug_platform.settings import Settings
from smug_platform.warehouse.assets import replica_key
from smug_platform.warehouse.backfill import backfill, days_of
from smug_platform.warehouse.builds import LEAN, rebuild
from smug_platform.warehouse.dbt import DbtResult, NodeResult, prepare_manifest
from smug_platform.warehouse.details import Details, details
from smug_platform.warehouse.models import Graph, Model, ModelTest, read_graph

COLUMNS_TAG = "smug/columns"
"""A run with this tag also reports each model's columns and what they are made of."""


class DbtConfig(dg.Config):
    """What a run of the models is given; nothing is the usual.

    first_day, last_day: days, as 2026-01-31, that the merged models make anew, and nothing else of
        what they hold. Without the last day it is one.
    """

    first_day: str = ""
    last_day: str = ""


def model_graph(settings: Settings) -> Graph:
    """Dbt's graph for the environment; parsed only when the manifest is stale."""
    return read_graph(prepare_manifest(settings))


def node_key(graph: Graph, unique_id: str) -> dg.AssetKey:
    """The asset of a model or of a source."""
    model = graph.models.get(unique_id)
    if model is None:
        return replica_key(graph.sources[unique_id])
    return dg.AssetKey([model.layer, model.name])


def model_assets(settings: Settings, graph: Graph) -> dg.AssetsDefinition:
    """One asset a model of the project."""
    tests = {_check_key(graph, test): test for test in graph.tests}
    models = {node_key(graph, model.unique_id): model for model in graph.models.values()}

    @dg.multi_asset(
        name="dbt",
        specs=[_spec(settings, graph, model) for model in models.values()],
        check_specs=[_check_spec(graph, test) for test in graph.tests],
        can_subset=True,
        pool="duckdb" if settings.warehouse == "duckdb" else "redshift",
        op_tags=turn(4),
        retry_policy=RETRY,
    )
    def dbt(
        context: dg.AssetExecutionContext, config: DbtConfig, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        chosen = sorted(models[key].name for key in context.selected_asset_keys)
        checks = sorted(tests[key].name for key in context.selected_asset_check_keys)
        everything = len(chosen) == len(models) and len(checks) == len(tests)
        with told():
            if config.first_day:
                days = days_of(config.first_day, config.last_day or config.first_day)
                result = backfill(settings, days, select=[*chosen, *checks], arguments=LEAN)
            else:
                result = rebuild(
                    settings,
                    select=None if everything else [*chosen, *checks],
                    arguments=() if everything else LEAN,
                )
            more = details(settings, graph, result, columns=COLUMNS_TAG in context.run.tags)
        yield from _results(graph, result, more)
        with told():
            result.require_success()

    return dbt


def _results(
    graph: Graph, result: DbtResult, more: Mapping[str, Details]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    tests = {test.unique_id: test for test in graph.tests}
    for node in result.nodes:
        if node.status == "success" and node.unique_id in graph.models:
            told_of = model_metadata(graph, node, more.get(node.unique_id, Details()))
            kept = without_nothing({"run_results": result.kept})
            yield dg.MaterializeResult(
                asset_key=node_key(graph, node.unique_id), metadata=told_of | kept
            )
        elif node.unique_id in tests and node.status != "skipped":
            yield _check_result(graph, tests[node.unique_id], node)


def model_metadata(graph: Graph, node: NodeResult, more: Details) -> dict[str, Any]:
    """What a person wants to know of a model's build."""
    known = {name: description for name, _, description in graph.models[node.unique_id].columns}
    schema = [
        dg.TableColumn(name, kind, description=known.get(name))
        for name, kind in more.columns.items()
    ]
    deps = {
        column: [
            dg.TableColumnDep(asset_key=node_key(graph, parent), column_name=name)
            for parent, name in made_of
        ]
        for column, made_of in more.lineage.items()
    }
    return without_nothing(
        {
            "seconds": round(node.seconds, 3),
            "dagster/row_count": more.rows,
            "lag_seconds": lag_seconds(more.committed_at),
            "dagster/column_schema": dg.TableSchema(schema) if schema else None,
            "dagster/column_lineage": dg.TableColumnLineage(deps) if deps else None,
        }
    )


def _check_result(graph: Graph, test: ModelTest, node: NodeResult) -> dg.AssetCheckResult:
    key = _check_key(graph, test)
    warns = node.status == "warn" or not test.is_error
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=node.status == "pass",
        severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
        description=node.message or None,
        metadata={"seconds": round(node.seconds, 3)},
    )


def _check_key(graph: Graph, test: ModelTest) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(node_key(graph, test.model), test.name)


def _check_spec(graph: Graph, test: ModelTest) -> dg.AssetCheckSpec:
    others = [node_key(graph, parent) for parent in test.parents if parent != test.model]
    key = _check_key(graph, test)
    return dg.AssetCheckSpec(
        key.name,
        asset=key.asset_key,
        additional_deps=others,
        description=test.description or "A data test of dbt.",
    )


def _spec(settings: Settings, graph: Graph, model: Model) -> dg.AssetSpec:
    schema = [dg.TableColumn(name, kind, description) for name, kind, description in model.columns]
    return dg.AssetSpec(
        node_key(graph, model.unique_id),
        deps=[node_key(graph, parent) for parent in model.parents],
        group_name=model.layer,
        kinds={"dbt", settings.warehouse},
        owners=list(model.owners),
        tags={"layer": model.layer, "materialized": model.materialized},
        description=model.description,
        code_version=model.checksum[:12],
        freshness_policy=FRESH_TABLE if model.layer == "marts" else None,
        metadata={
            "dagster/table_name": model.relation.replace('"', ""),
            "dagster/column_schema": dg.TableSchema(schema),
        },
    )
