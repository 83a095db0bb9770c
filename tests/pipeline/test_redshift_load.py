"""The loader into Redshift on the stand-in: from a lake on S3, by COPY and MERGE, through the real
driver, signed in by IAM.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smug_platform.lake.merge import name_of
from smug_platform.lake.target import Target
from smug_platform.settings import load_settings
from smug_platform.settings_warehouse import RedshiftSettings
from smug_platform.warehouse.redshift import Redshift
from tests.redshift.connection import Redshift as Database
from tests.redshift.fixtures import Bucket
from tests.unit.lake.lakes import PHOTOS, TAGS, Lake, fill

both = pytest.mark.parametrize("target", [PHOTOS, TAGS], ids=lambda target: target.name)


@pytest.fixture
def lake(bucket: Bucket, tmp_path: Path) -> Lake:
    """An empty lake in the bucket; its catalog is SQLite's here, Glue's on AWS."""
    settings = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(tmp_path)})
    (settings.home / "lake").mkdir()
    place = {"s3.endpoint": bucket.endpoint or "", "s3.region": "us-east-1"}
    keys = {"s3.access-key-id": "test", "s3.secret-access-key": "test"}
    catalog = {**settings.catalog, "warehouse": f"{bucket.url}lake", **place, **keys}
    return Lake(replace(settings, catalog=catalog))


@pytest.fixture
def warehouse(redshift: Database, bucket: Bucket, aws: dict[str, str]) -> Iterator[Redshift]:
    assert aws["AWS_ACCESS_KEY_ID"]  # IAM is asked for the password
    found = Redshift(
        RedshiftSettings(
            host=redshift.host,
            port=redshift.port,
            database=redshift.database,
            user=redshift.user,
            cluster=redshift.cluster or "",
            workgroup="",
            region="us-east-1",
            role=redshift.role,
            scratch=f"{bucket.url}load",
        )
    )
    with closing(found):
        yield found


def bag(rows: list[dict[str, Any]]) -> Counter[tuple[tuple[str, str], ...]]:
    return Counter(
        tuple(sorted((name, spelled(value)) for name, value in row.items())) for row in rows
    )


def spelled(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def replica(database: Database, name: str) -> list[dict[str, Any]]:
    """Its rows but for when they were loaded; the driver reads no VARBYTE that is not UTF-8."""
    found = database.ask(f"select columns from warehouse._loads where table_name = '{name}'")
    types = json.loads(found[0][0])
    columns = [f'to_hex("{c}")' if t.startswith("VARBYTE") else f'"{c}"' for c, t in types.items()]
    rows = database.ask(f'select {", ".join(columns)} from warehouse."{name}"')
    return [dict(zip(types, row, strict=True)) for row in rows]


def assert_equal(lake: Lake, database: Database, target: Target) -> None:
    rows = lake.catalog.load_table(name_of(target)).scan().to_arrow().to_pylist()
    assert bag(replica(database, target.name)) == bag(rows)


def test_each_step_of_a_lake_arrives(lake: Lake, warehouse: Redshift, redshift: Database) -> None:
    """Inserted, changed, deleted, altered, compacted: the replicas hold what the lake holds."""

    def look() -> None:
        for target in (PHOTOS, TAGS):
            warehouse.refresh(lake.catalog, target)
            assert_equal(lake, redshift, target)

    lake.on_step = look
    fill(lake)
