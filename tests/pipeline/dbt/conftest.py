"""dbt's builds, once for all tests of this folder: of the first rows, of what came later by what
changed, and of that whole; on DuckDB, and on the Redshift stand-in through its adapter.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache, partial
from io import BytesIO
from typing import Any

import botocore.session
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redshift_connector
from botocore.loaders import create_loader

from smug_platform.settings import Settings, load_settings
from smug_platform.warehouse import dbt
from smug_platform.warehouse.builds import rebuild
from smug_platform.warehouse.connect import connect
from tests.pipeline.flickr_rows import Lake, first_lake, later_changes
from tests.redshift.connection import Redshift
from tests.redshift.fixtures import Bucket

Row = tuple[str, ...]
Content = dict[str, list[Row]]
"""The rows of each mart and bi view, as text in one spelling and in order."""
Columns = dict[str, str]
"""The columns of each mart and bi view."""

LATER = ["comments", "favorites", "orders", "photo_views", "photos"]
"""The tables that the later changes are of."""
TABLES = ["config.materialized:table", "config.materialized:incremental"]

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


@dataclass(frozen=True)
class Built:
    """A warehouse that was built from the first lake, with all tests.

    settings: of a copy that nobody builds in any more; columns, content: what it holds; home:
    settings of the warehouse itself; seen: the nodes as they were reported.
    """

    settings: Settings
    columns: Columns
    content: Content
    home: Settings
    lake: Lake
    result: dbt.DbtResult
    seen: list[dbt.NodeResult]


@dataclass(frozen=True)
class Later:
    """The same after the later changes: merged, and then made anew."""

    settings: Settings
    part: dbt.DbtResult
    merged: Content
    fresh: Content


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    home = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path_factory.mktemp("wh"))})
    lake = first_lake()
    lake.load_into(home, full=True)
    seen: list[dbt.NodeResult] = []
    result = dbt.build(home, unit_tests=True, on_node=seen.append)
    result.require_success()
    copy = home.home / "first" / home.warehouse_path.name
    copy.parent.mkdir()
    shutil.copy(home.warehouse_path, copy)
    settings = replace(home, warehouse_path=copy)
    columns = columns_of(settings)
    return Built(settings, columns, local_content(settings, columns), home, lake, result, seen)


@pytest.fixture(scope="session")
def later(built: Built) -> Later:
    settings = built.home
    later_changes(built.lake)
    assert sorted(built.lake.load_into(settings)) == LATER
    part = dbt.build(settings, select=[f"source:warehouse.{table}+" for table in LATER])
    part.require_success()
    merged = local_content(settings, built.columns)
    anew(settings)
    return Later(settings, part, merged, local_content(settings, built.columns))


def anew(settings: Settings) -> None:
    """Makes each table from nothing; views show it."""
    arguments = ["--full-refresh", "--exclude-resource-type", "test"]
    dbt.build(settings, select=TABLES, arguments=arguments).require_success()


def local_content(settings: Settings, columns: Columns) -> Content:
    with connect(settings, read_only=True) as connection:
        return {
            name: plain(connection.execute(f"select {names} from {name}").fetchall())
            for name, names in columns.items()
        }


def columns_of(settings: Settings) -> Columns:
    """Those that begin with _ are left out: they say how far a model has read."""
    with connect(settings, read_only=True) as connection:
        found = connection.execute("""
            select table_schema || '.' || table_name,
                string_agg(column_name, ', ' order by ordinal_position)
            from information_schema.columns
            where table_schema in ('marts', 'bi') and column_name[1] <> '_' group by 1
        """).fetchall()
    return dict(found)


def plain(rows: Sequence[Sequence[Any]]) -> list[Row]:
    return sorted(tuple(spelled(value) for value in row) for row in rows)


def spelled(value: Any) -> str:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return str(value)


@dataclass(frozen=True)
class OnRedshift:
    """The same builds on the stand-in.

    results: of the first build and of that of what changed; content: after each, and after all was
    made anew; production: this process is one of production while that context lasts.
    """

    redshift: Redshift
    settings: Settings
    results: tuple[dbt.DbtResult, ...]
    content: tuple[Content, ...]
    production: Callable[[], Any]


@pytest.fixture(scope="session")
def on_redshift(
    built: Built,
    redshift_server: Redshift,
    bucket_of_session: Bucket,
    signed_in: Callable[[pytest.MonkeyPatch], dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OnRedshift]:
    home = tmp_path_factory.mktemp("redshift")
    settings = load_settings({"SMUG_ENV": "prod", "SMUG_HOME": str(home)})
    with redshift_server.fresh() as redshift:

        @contextmanager
        def production() -> Iterator[None]:
            with pytest.MonkeyPatch.context() as patch:
                signed_in(patch)
                # dbt connects anew for each node. Each time botocore would read its own files, and
                # the driver walk the stack for the name of who calls it: half of the whole time.
                patch.setattr(botocore.session, "create_loader", lru_cache(create_loader))
                named = partial(redshift_connector.connect, application_name="dbt")
                patch.setattr(redshift_connector, "connect", named)
                patch.setenv("SMUG_REDSHIFT_HOST", redshift.host)
                patch.setenv("SMUG_REDSHIFT_PORT", str(redshift.port))
                patch.setenv("SMUG_REDSHIFT_DATABASE", redshift.database)
                patch.setenv("SMUG_REDSHIFT_USER", redshift.user)
                patch.setenv("SMUG_REDSHIFT_CLUSTER", redshift.cluster or "")
                yield

        lake = first_lake()
        redshift.ask("create schema warehouse")
        copy_in(redshift, bucket_of_session, lake, [name for name, _ in lake.rows()])
        lake_bucket = settings.dbt_artifacts.split("/")[2]
        bucket_of_session.client.create_bucket(Bucket=lake_bucket)
        with production():
            first = dbt.build(settings, unit_tests=True)
            contents = [redshift_content(redshift, built.columns)]
            lake.snapshot += 1
            later_changes(lake)
            copy_in(redshift, bucket_of_session, lake, LATER)
            chosen = [f"source:warehouse.{table}+" for table in LATER]
            tests = ["--exclude-resource-type", "test"]
            named = load_settings({**os.environ, "SMUG_ENV": "prod", "SMUG_HOME": str(home)})
            part = rebuild(named, select=chosen, arguments=tests)
            contents.append(redshift_content(redshift, built.columns))
            anew(settings)
            contents.append(redshift_content(redshift, built.columns))
        yield OnRedshift(redshift, settings, (first, part), tuple(contents), production)


def copy_in(redshift: Redshift, bucket: Bucket, lake: Lake, tables: list[str]) -> None:
    """Bring the rows in by COPY of Parquet, as the replicas have them."""
    rows_of = dict(lake.rows())
    with closing(redshift.connect()) as connection, closing(connection.cursor()) as cursor:
        for name in tables:
            rows = rows_of[name]
            columns = ", ".join(f'"{f.name}" {column_type(f.type)}' for f in rows.schema)
            cursor.execute(f'drop table if exists warehouse."{name}"')
            cursor.execute(f'create table warehouse."{name}" ({columns})')
            body = BytesIO()
            pq.write_table(rows, body)
            url = bucket.put(f"{name}-{lake.snapshot}.parquet", body.getvalue())
            cursor.execute(
                f"copy warehouse.\"{name}\" from '{url}' iam_role '{redshift.role}' parquet"
            )


def column_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    return _TYPES[kind]


def redshift_content(redshift: Redshift, columns: Columns) -> Content:
    with closing(redshift.connect()) as connection, closing(connection.cursor()) as cursor:
        return {
            name: plain(cursor.execute(f"select {names} from {name}").fetchall())
            for name, names in columns.items()
        }
