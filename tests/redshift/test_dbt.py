"""The dbt adapter itself, by a small project that signs in as production does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redshift.connection import Redshift

_FILES = {
    "dbt_project.yml": "name: small\nprofile: small\n",
    "profiles.yml": """
        small:
          target: redshift
          outputs:
            redshift:
              type: redshift
              method: iam
              host: {host}
              port: {port}
              dbname: {database}
              user: {user}
              cluster_id: {cluster}
              region: us-east-1
              schema: built
              sslmode: verify-full
              threads: 4
              ra3_node: true
    """,
    "models/days.sql": """
        {{ config(materialized="table", dist="id", sort=["id", "name"]) }}
        select 1 as id, cast('x' as varchar(10)) as name union all select 2, 'y'
    """,
    "models/days.yml": """
        models:
          - name: days
            config: {contract: {enforced: true}}
            columns:
              - {name: id, data_type: integer, data_tests: [unique]}
              - {name: name, data_type: varchar(10)}
    """,
    "models/late.sql": """
        {{ config(materialized="view", bind=false) }}
        select id, {{ dbt.dateadd("day", 1, "cast('2024-01-01' as timestamp)") }} as at
        from {{ ref("days") }}
    """,
    "models/merged.sql": """
        {{ config(materialized="incremental", unique_key="id", incremental_strategy="merge") }}
        {% if is_incremental() %}select 2 as id, 'new' as name union all select 3, 'new'
        {% else %}select id, name from {{ ref("days") }}{% endif %}
    """,
    "models/gathered.sql": "select string_agg(name, ',') as names from {{ ref('days') }}",
}
# One process for all: the import of dbt takes longer than a build.
_SCRIPT = """
import json, sys
from dbt.cli.main import dbtRunner
found = []
for arguments in json.load(sys.stdin):
    result = dbtRunner().invoke([*arguments, "--quiet", "--no-use-colors"])
    nodes = getattr(result.result, "results", None) or []
    found.append([result.success, {one.node.name: one.message for one in nodes if one.message}])
json.dump(found, open("found.json", "w"))
"""


@pytest.fixture
def project(stand_in: Redshift, tmp_path: Path) -> Path:
    for name, text in _FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(**vars(stand_in)) if name == "profiles.yml" else text)
    return tmp_path


def dbt(project: Path, aws: dict[str, str], *runs: list[str]) -> list[tuple[bool, dict[str, str]]]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps(runs),
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project), "DBT_PROFILES_DIR": ".", **aws},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [(well, said) for well, said in json.loads((project / "found.json").read_text())]


def test_a_project_is_built_and_what_redshift_lacks_is_refused(
    stand_in: Redshift, project: Path, aws: dict[str, str]
) -> None:
    (built, said), (again, _) = dbt(project, aws, ["build"], ["run", "--select", "merged"])
    assert not built
    assert [name for name in said if "[refused]" in said[name]] == ["gathered"], said
    assert "string_agg() is not supported by Amazon Redshift" in said["gathered"]
    assert again
    merged = stand_in.ask("select id, name from built.merged order by id")
    assert merged == [(1, "x"), (2, "new"), (3, "new")]
    info = """select diststyle, sortkey1, sortkey_num from svv_table_info where "table" = 'days'"""
    assert stand_in.ask(info) == [("KEY(id)", "id", 2)]
    stand_in.ask("drop table built.days cascade")
    assert stand_in.ask("select table_name from svv_tables where table_name = 'late'")
