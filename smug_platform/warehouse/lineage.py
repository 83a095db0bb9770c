"""Which columns a model's columns are made of, from the SQL that dbt compiled.

Parsing all models takes some seconds, so it is for the nightly build and not for the way of a
change.
"""

from collections.abc import Mapping
from pathlib import Path

from sqlglot import exp, parse_one
from sqlglot.lineage import lineage
from sqlglot.optimizer import optimize
from sqlglot.schema import MappingSchema

from smug_platform.warehouse.models import Graph, Model
from smug_platform.warehouse.open import Warehouse

Columns = Mapping[str, str]
"""Column types by column name."""


_COLUMNS = (
    "select table_schema, table_name, column_name, data_type"
    " from information_schema.columns order by ordinal_position"
)
_LATE_BINDING = (
    "select view_schema, view_name, col_name, col_type from pg_get_late_binding_view_cols() as"
    " cols(view_schema name, view_name name, col_name name, col_type varchar, col_num int)"
    " order by col_num"
)


def relation_columns(warehouse: Warehouse, *, dialect: str) -> Mapping[str, Columns]:
    """The columns of every table and view of the warehouse, by `schema.name`.

    dialect: `duckdb` or `redshift`, whose information_schema lacks late-binding views.
    """
    found: dict[str, dict[str, str]] = {}
    for query in (_COLUMNS, _LATE_BINDING) if dialect == "redshift" else (_COLUMNS,):
        for schema, name, column, kind in warehouse.ask(query):
            found.setdefault(f"{schema}.{name}", {})[str(column)] = str(kind)
    return found


def column_lineage(
    graph: Graph, model: Model, compiled: Path, columns: Mapping[str, Columns], *, dialect: str
) -> dict[str, list[tuple[str, str]]]:
    """For each column of a model the (unique id, column) pairs of its parents that it is made of.

    compiled: dbt's folder of compiled SQL, which holds the model only after a build; columns: as
    `relation_columns` gives them.
    """
    path = compiled / "smug" / model.path
    parents = {relation_of(graph, parent): parent for parent in model.parents}
    if not path.exists() or not parents.keys() <= columns.keys():
        return {}
    own = f"{model.layer}.{model.name}"
    schema = MappingSchema(dialect=dialect)
    for relation in (*parents, own):  # a model that is merged reads what it holds
        held = dict(columns.get(relation, {}))
        schema.add_table(exp.to_table(relation, dialect=dialect), held)
    tree = parse_one(path.read_text(encoding="utf-8"), dialect=dialect)
    for table in tree.find_all(exp.Table):
        table.set("catalog", None)
    sql = optimize(tree, schema=schema, dialect=dialect).sql(dialect=dialect)
    made_of = {}
    for name in columns.get(own, {}):
        leaves = lineage(name, sql, schema=schema, dialect=dialect).walk()
        made_of[name] = sorted(
            {
                (parents[relation], exp.to_column(leaf.name).name)
                for leaf in leaves
                if not leaf.downstream and (relation := _relation(leaf.expression)) in parents
            }
        )
    return made_of


def relation_of(graph: Graph, unique_id: str) -> str:
    """The `schema.name` of a model or of a source's replica."""
    model = graph.models.get(unique_id)
    return f"{model.layer}.{model.name}" if model else f"warehouse.{graph.sources[unique_id]}"


def _relation(expression: exp.Expr) -> str:
    table = expression.find(exp.Table)
    return f"{table.db}.{table.name}" if table else ""
