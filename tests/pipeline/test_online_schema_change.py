"""The real pt-online-schema-change on a real server, while members write, the whole way."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow.compute as pc
import pytest

from smug_platform.local.mariadb import connect, load_schema
from smug_platform.raw.deltas import open_deltas
from smug_platform.settings import StreamSettings
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.sync import Platform
from tests.conftest import local_settings
from tests.pipeline.capturing import Own, one_shard
from tests.pipeline.test_epoch import SMALL, captured, verify

TOOL = shutil.which("pt-online-schema-change")
CHANGE = "ADD COLUMN mood VARCHAR(20) NOT NULL DEFAULT 'calm', MODIFY title VARCHAR(400)"
pytestmark = pytest.mark.skipif(
    TOOL is None, reason="NOT TESTED: pt-online-schema-change is missing, `make test` installs it"
)


@pytest.fixture
def own(tmp_path: Path, fresh_kinesis: StreamSettings) -> Iterator[Own]:
    settings = replace(one_shard(local_settings(tmp_path)), stream=fresh_kinesis)
    ensure_stream(kinesis_client(settings.stream), settings.stream)
    made = Own(settings, tmp_path / "mysql")
    made.start()
    load_schema(settings.shards[0])
    yield made
    made.process.stop()


def write(own: Own, stop: threading.Event, failures: list[Exception]) -> None:
    """New albums, changed ones and deleted ones, until told to stop."""
    try:
        with connect(own.settings.shards[0], database="flickr") as cursor:
            for key in range(100_000, 200_000):
                cursor.execute(
                    "INSERT INTO albums (id, account_id, title, created_at)"
                    f" VALUES ({key}, 1, 'new', '2026-01-01')"
                )
                cursor.execute(f"UPDATE albums SET title = 'n {key}' WHERE id = {key % 20_000 + 1}")
                cursor.execute(f"DELETE FROM albums WHERE id = {key - 50}")
                if stop.wait(0.002):
                    return
    except Exception as error:  # noqa: BLE001  told by the test
        failures.append(error)


def alter(own: Own) -> "subprocess.CompletedProcess[str]":
    socket = own.folder / "data" / "mariadbd.sock"
    return subprocess.run(
        [
            str(TOOL),
            f"--alter={CHANGE}",
            "--execute",
            "--recursion-method=none",
            "--chunk-size=500",
            f"S={socket},u=root,D=flickr,t=albums",
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_H02_H05_by_pt_osc(own: Own) -> None:
    """H05: its shadow tables are no tables of ours, and its cut-over is one schema change."""
    settings, platform = own.settings, Platform(own.settings, SMALL)
    with connect(settings.shards[0], database="flickr") as cursor:
        cursor.execute(
            "INSERT INTO albums (id, account_id, title, created_at)"
            " SELECT seq, 1, 'x', '2026-01-01' FROM seq_1_to_20000"
        )
    stop, failures = threading.Event(), list[Exception]()
    writer = threading.Thread(target=write, args=(own, stop, failures))
    with captured(settings) as worker:
        worker.wait_streaming()
        writer.start()
        done = alter(own)
        stop.wait(1)
        stop.set()
        writer.join()
        assert done.returncode == 0, done.stderr
        assert verify(settings, platform)["albums"] > 20_000
    assert failures == []
    assert worker.notes == "", "no new snapshot was needed"
    catalog = platform.lakehouse.catalog
    deltas = open_deltas(catalog).scan(selected_fields=("table_name", "op", "payload")).to_arrow()
    assert set(deltas["table_name"].to_pylist()) == {"_shard", "albums", "photo_views"}
    changes = deltas.filter(pc.equal(deltas["op"], "ddl")).to_pylist()
    (cut_over,) = [
        event
        for event in (orjson.loads(row["payload"]) for row in changes)
        if event["source"]["snapshot"] != "true"
    ]
    assert cut_over["ddl"].startswith("RENAME TABLE")
    assert "mood" in catalog.load_table("lake.albums").schema().column_names
