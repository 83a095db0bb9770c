"""The dbt project on Redshift: built by the adapter, and equal to what DuckDB makes of the rows."""

import json
import os
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from smug_platform.settings import Settings, load_settings
from smug_platform.warehouse import dbt
from smug_platform.warehouse.connect import connect
from tests.pipeline.flickr_rows import Lake, first_lake
from tests.redshift.connection import Redshift
from tests.redshift.fixtures import Bucket

_TYPES = {
    pa.bool_(): "boolean",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.string(): "varchar(65535)",
    pa.binary(): "varbyte(1024)",
    pa.date32(): "date",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", "UTC"): "timestamptz",
}
_GOOD = {"success", "pass"}
# One process for all: the import of dbt takes longer than a build.
_SCRIPT = """
import json, sys
from dbt.cli.main import dbtRunner
result = dbtRunner().invoke(["build", "--target", "redshift", "--target-path", sys.argv[1],
    "--log-path", sys.argv[1], "--project-dir", sys.argv[2], "--profiles-dir", sys.argv[2],
    "--quiet", "--no-use-colors", "--exclude-resource-types", "exposure", "unit_test",
    "--vars", json.dumps({"environment": "prod"})])
nodes = getattr(result.result, "results", None) or []
found = {one.node.unique_id: [str(one.status), one.message] for one in nodes}
json.dump([str(result.exception), found], open(sys.argv[3], "w"))
"""


def column_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    return _TYPES[kind]


def copy(redshift: Redshift, bucket: Bucket, lake: Lake) -> None:
    """Bring the rows in by COPY of Parquet, as the replicas have them."""
    with closing(redshift.connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("create schema warehouse")
        for name, rows in lake.rows():
            columns = ", ".join(f'"{f.name}" {column_type(f.type)}' for f in rows.schema)
            cursor.execute(f'create table warehouse."{name}" ({columns})')
            body = BytesIO()
            pq.write_table(rows, body)
            url = bucket.put(f"{name}.parquet", body.getvalue())
            cursor.execute(
                f"copy warehouse.\"{name}\" from '{url}' iam_role '{redshift.role}' parquet"
            )


def build_redshift(redshift: Redshift, aws: dict[str, str], folder: Path) -> dict[str, list[str]]:
    """`dbt build` by a process that has what production has: the environment, and IAM."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SMUG_REDSHIFT_HOST": redshift.host,
        "SMUG_REDSHIFT_PORT": str(redshift.port),
        "SMUG_REDSHIFT_DATABASE": redshift.database,
        "SMUG_REDSHIFT_USER": redshift.user,
        "SMUG_REDSHIFT_CLUSTER": redshift.cluster or "",
        **aws,
    }
    said = folder / "said.json"
    command = [sys.executable, "-c", _SCRIPT, str(folder / "target"), str(dbt.PROJECT_DIR), said]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    problem, nodes = json.loads(said.read_text())
    assert problem == "None"
    return dict(nodes)


def local_rows(settings: Settings) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """The columns and the rows of every mart and bi view that DuckDB has."""
    found = {}
    with connect(settings, read_only=True) as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_schema in ('marts', 'bi')"
        ).fetchall()
        for (name,) in tables:
            rows = connection.execute(f"select * from {name}")
            found[name] = [column[0] for column in rows.description or ()], rows.fetchall()
    return found


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    """Values as text in one spelling, in order."""
    return sorted(tuple(spelled(value) for value in row) for row in rows)


def spelled(value: Any) -> str:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return str(value)


def test_the_project_is_the_same_on_both(
    stand_in: Redshift, bucket: Bucket, aws: dict[str, str], tmp_path: Path
) -> None:
    lake = first_lake()
    copy(stand_in, bucket, lake)
    nodes = build_redshift(stand_in, aws, tmp_path)
    assert {name: said for name, (status, said) in nodes.items() if status not in _GOOD} == {}
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path / "local")})
    lake.load_into(settings, full=True)
    dbt.build(settings).require_success()
    expected = local_rows(settings)
    built = {name.removeprefix("model.smug.") for name in nodes}
    assert len(expected) > 15
    assert {name.partition(".")[2] for name in expected} <= built
    differ = {}
    for name, (columns, rows) in expected.items():
        found = stand_in.ask(f"select {', '.join(columns)} from {name}")
        assert rows
        if plain(found) != plain(rows):
            differ[name] = plain(found), plain(rows)
    assert not differ
