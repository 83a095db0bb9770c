"""The lake on S3: a real endpoint on loopback, written and read as on one machine's disk."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest

from smug_platform import iceberg
from smug_platform.iceberg import remove_orphans
from smug_platform.lake import query
from smug_platform.lake.feed import feed
from smug_platform.lake.merge import name_of, pending
from smug_platform.lake.target import Target
from smug_platform.settings import Settings, StreamSettings, load_settings
from tests.unit.lake.lakes import PHOTOS, TAGS, Lake, make_lake

_BUCKET = "smug-test-lake"
_KEYS = {"access-key-id": "test", "secret-access-key": "test"}
both = pytest.mark.parametrize("target", [PHOTOS, TAGS], ids=lambda target: target.name)


def at(home: Path) -> Settings:
    return load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})


@pytest.fixture(scope="module")
def s3(kinesis: StreamSettings) -> Iterator[Any]:
    """moto serves S3 beside Kinesis."""
    keys = {f"aws_{name.replace('-', '_')}": value for name, value in _KEYS.items()}
    client = boto3.client("s3", "us-east-1", endpoint_url=kinesis.endpoint, **keys)
    with closing(client):
        yield client


@pytest.fixture(scope="module")
def on_s3(s3: Any, kinesis: StreamSettings, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    s3.create_bucket(Bucket=_BUCKET)
    settings = at(tmp_path_factory.mktemp("s3"))
    (settings.home / "lake").mkdir()  # of SQLite's file; on AWS the catalog is Glue
    keys = {f"s3.{name}": value for name, value in _KEYS.items()}
    place = {"s3.endpoint": kinesis.endpoint or "", "s3.region": "us-east-1"}
    catalog = {**settings.catalog, "warehouse": f"s3://{_BUCKET}/lake", **place, **keys}
    return make_lake(replace(settings, catalog=catalog))


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_lake(at(tmp_path_factory.mktemp("disk")))


def bag(table: pa.Table) -> Counter[tuple[tuple[str, object], ...]]:
    return Counter(tuple(sorted(row.items())) for row in table.to_pylist())


@both
def test_each_step_is_what_it_is_on_disk(on_s3: Lake, on_disk: Lake, target: Target) -> None:
    """Landed, merged with deletes and schema changes, compacted, merged again."""
    for step, snapshot_id in on_s3.snapshots[target.name].items():
        there = on_s3.catalog.load_table(name_of(target)).scan(snapshot_id=snapshot_id)
        here = on_disk.catalog.load_table(name_of(target)).scan(
            snapshot_id=on_disk.snapshots[target.name][step]
        )
        assert bag(there.to_arrow()) == bag(here.to_arrow()), step
    assert pending(on_s3.catalog, (target,)) == {}


@both
def test_queries(on_s3: Lake, on_disk: Lake, target: Target) -> None:
    for step in ("deletes", "after"):
        found = []
        for lake in (on_s3, on_disk):
            snapshot_id = lake.snapshots[target.name][step]
            with query.connect(lake.settings, at=str(snapshot_id)) as connection:
                found.append(bag(connection.sql(f"from {name_of(target)}").to_arrow_table()))
        assert found[0] == found[1]
    with query.connect(on_s3.settings) as connection:
        assert connection.sql("select count(*) from raw.deltas where op = 'd'").fetchall()[0][0]


@both
def test_feed(on_s3: Lake, on_disk: Lake, target: Target) -> None:
    for since in (None, "compacted"):
        rows = []
        for lake in (on_s3, on_disk):
            found = feed(lake.catalog, target, since and lake.snapshots[target.name][since])
            assert found is not None
            rows.append(bag(found.rows))
        assert rows[0] == rows[1]


def test_it_is_all_in_the_bucket(on_s3: Lake, s3: Any) -> None:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    assert sum(key.endswith("-deletes.parquet") for key in keys) >= 4
    assert list((on_s3.settings.home / "lake").rglob("*.parquet")) == []
    assert list((on_s3.settings.home / "index").rglob("*.json"))  # the index stays on the machine


def test_orphans_go_and_what_is_named_stays(on_s3: Lake, s3: Any) -> None:
    table = iceberg.load(on_s3.catalog, name_of(PHOTOS))
    assert table is not None
    before = bag(table.scan().to_arrow())
    orphan = "lake/lake/photos/data/orphan.parquet"
    s3.put_object(Bucket=_BUCKET, Key=orphan, Body=b"half a file")
    assert remove_orphans(table, timedelta(hours=1)) == 0
    assert remove_orphans(table, timedelta(seconds=-60)) == 1
    listed = s3.list_objects_v2(Bucket=_BUCKET, Prefix=orphan)
    assert listed["KeyCount"] == 0
    assert bag(table.scan().to_arrow()) == before
