"""Loading a lake's changes into Redshift's stand-in, beside plain COPY of the same rows by psycopg.

python benchmarks/load_redshift.py [--rows 200000] [--changes 50000] [--runs 3]

The loader reads Parquet from a local S3 endpoint through the stand-in, which is PostgreSQL behind a
proxy in Python: the figures compare what is done for the rows, and are not Redshift's. psycopg
copies the same rows as text into a table of the same PostgreSQL, without staging, key or record.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import boto3
import psycopg
import pyarrow as pa
import typer
from bench.lake import Feed, land, make_table
from bench.ours import median
from bench.shapes import NARROW
from bench.show import grid, print_grid, progress
from pyiceberg.catalog import Catalog

from smug_platform.lake.feed import change
from smug_platform.lake.merge import merge
from smug_platform.local.kinesis import start_kinesis
from smug_platform.raw.catalog import open_catalog
from smug_platform.settings import load_settings
from smug_platform.settings_warehouse import RedshiftSettings
from smug_platform.warehouse.redshift import Redshift

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.conftest import free_port
from tests.redshift.certificates import loopback
from tests.redshift.postgres import Postgres
from tests.redshift.server import Server

TARGET = NARROW.target


@dataclass(frozen=True)
class Place:
    """A lake on a local S3, Redshift's stand-in beside it, and the socket of its PostgreSQL."""

    home: Path
    catalog: Catalog
    redshift: RedshiftSettings
    socket: Path


@contextmanager
def place(home: Path) -> Iterator[Place]:
    """All of it, on free ports, stopped at the end."""
    settings = load_settings(
        {"SMUG_ENV": "test", "SMUG_HOME": str(home), "SMUG_KINESIS_PORT": str(free_port())}
    )
    url = settings.stream.endpoint or ""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    os.environ |= keys | {"AWS_ENDPOINT_URL_REDSHIFT": url, "AWS_DEFAULT_REGION": "us-east-1"}
    (home / "lake").mkdir(parents=True)
    (home / "logs").mkdir()
    tls, trusted = loopback(home)
    os.environ["SSL_CERT_FILE"] = str(trusted)
    endpoint, postgres = start_kinesis(settings.stream, home / "logs"), Postgres()
    server = Server(postgres.socket, users={"smug": "x"}, s3_endpoint=url, tls=tls)
    try:
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket="lake")
        boto3.client("redshift").create_cluster(
            ClusterIdentifier="bench",
            NodeType="ra3.large",
            MasterUsername="awsuser",
            MasterUserPassword="Stand-in-1",
        )
        s3 = {"s3.endpoint": url, "s3.access-key-id": "test", "s3.secret-access-key": "test"}
        properties = {
            **settings.catalog,
            "warehouse": "s3://lake/lake",
            **s3,
            "s3.region": "us-east-1",
        }
        catalog = open_catalog(replace(settings, catalog=properties))
        redshift = RedshiftSettings(
            host="127.0.0.1",
            port=server.port,
            database="dev",
            user="awsuser",
            cluster="bench",
            workgroup="",
            region="us-east-1",
            role="default",
            scratch="s3://lake/load",
        )
        yield Place(home, catalog, redshift, postgres.socket)
    finally:
        server.stop()
        postgres.stop()
        endpoint.stop()


def plain_copy(socket: Path, rows: pa.Table) -> float:
    """Seconds that psycopg takes to COPY the rows, as text, into a new table."""
    names = [name for name in rows.column_names if name != "_moved_to"]
    kinds = ", ".join(f'"{name}" {_postgres(rows.schema.field(name).type)}' for name in names)
    values = list(zip(*(rows[name].to_pylist() for name in names), strict=True))
    with psycopg.connect(host=str(socket.parent), user="rdsdb", dbname="dev") as connection:
        connection.execute(f"create table plain ({kinds})")
        started = time.perf_counter()
        with connection.cursor().copy("copy plain from stdin") as copy:
            for row in values:
                copy.write_row(row)
        connection.commit()
        took = time.perf_counter() - started
        connection.execute("drop table plain")
    return took


def _postgres(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if pa.types.is_decimal(kind):
        return "numeric"
    known = {"string": "text", "large_string": "text", "int32": "integer", "int64": "bigint"}
    known |= {"bool": "boolean", "double": "float8", "float": "real", "date32[day]": "date"}
    return known.get(str(kind), "bytea")


def main(
    rows: Annotated[int, typer.Option(help="of the table")] = 200_000,
    changes: Annotated[int, typer.Option(help="of a load")] = 50_000,
    runs: Annotated[int, typer.Option(help="loads of changes; the median is shown")] = 3,
) -> None:
    """Load a lake into the stand-in: whole, then what changed; and copy the same rows plainly."""
    found = grid("what", "rows", "seconds", "rows/s", "of plain COPY")
    with tempfile.TemporaryDirectory() as folder, place(Path(folder) / "home") as here:
        progress("making the lake")
        make_table(here.catalog, NARROW, rows)
        feed = Feed(here.home, NARROW, rows)
        with closing(Redshift(here.redshift)) as warehouse:
            taken: dict[str, list[tuple[int, float, float]]] = {"whole": [], "changes": []}
            for number in range(runs + 1):
                kind = "changes" if number else "whole"
                if number:
                    land(here.catalog, feed.next(changes).deltas())
                    merge(here.catalog, TARGET)
                held = {load.table: load.snapshot_id for load in warehouse.loads()}
                waiting = change(here.catalog, TARGET, held.get(TARGET.name))
                assert waiting is not None
                plain = plain_copy(here.socket, waiting.rows())
                started = time.perf_counter()
                loaded = warehouse.refresh(here.catalog, TARGET)
                took = time.perf_counter() - started
                assert loaded is not None
                progress(f"{kind}: {loaded.rows:,} rows in {took:.2f} s, plain {plain:.2f} s")
                taken[kind].append((loaded.rows, took, plain))
    for kind, each in taken.items():
        count, took, plain = (median(list(part)) for part in zip(*each, strict=True))
        title = f"{kind}: COPY, net, MERGE" if kind == "changes" else f"{kind}: COPY, net, INSERT"
        found.add_row(
            title, f"{count:,.0f}", f"{took:.2f}", f"{count / took:,.0f}", f"{took / plain:.1f}x"
        )
        found.add_row("plain COPY", f"{count:,.0f}", f"{plain:.2f}", f"{count / plain:,.0f}", "")
    print_grid("Redshift's stand-in, EMULATED: no figure here is Redshift's", found)


if __name__ == "__main__":
    typer.run(main)
