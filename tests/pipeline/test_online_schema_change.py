"""The real pt-online-schema-change on a real server, while members write, the whole way; and what
gh-ost does there, which is not to be had as a package.
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow.compute as pc
import pytest

from smug_platform.local.mariadb import connect, load_schema
from smug_platform.raw.deltas import open_deltas
from smug_platform.settings import Settings, StreamSettings
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.sync import Platform
from smug_platform.warehouse.connect import connect as warehouse
from tests.conftest import local_settings
from tests.pipeline.capturing import PATIENCE, Own, one_shard
from tests.pipeline.ghost import Ghost
from tests.pipeline.test_epoch import SMALL, captured, verify

TOOL = shutil.which("pt-online-schema-change")
CHANGE = "ADD COLUMN mood VARCHAR(20) NOT NULL DEFAULT 'calm', MODIFY title VARCHAR(400)"
KINDS = ("INSERT INTO", "UPDATE", "DELETE FROM")
ROWS = "id, account_id, title, is_public {}, photo_count, founded, created_at"


@pytest.fixture
def own(tmp_path: Path, fresh_kinesis: StreamSettings) -> Iterator[Own]:
    settings = replace(one_shard(local_settings(tmp_path)), stream=fresh_kinesis)
    ensure_stream(kinesis_client(settings.stream), settings.stream)
    made = Own(settings, tmp_path / "mysql")
    made.start()
    load_schema(settings.shards[0])
    yield made
    made.process.stop()


def write(
    own: Own, stop: threading.Event, failures: list[Exception], first: int, pause: float
) -> None:
    """New albums, changed ones and deleted ones, until told to stop."""
    try:
        with connect(own.settings.shards[0], database="flickr") as cursor:
            for key in range(first, first + 100_000):
                cursor.execute(
                    "INSERT INTO albums (id, account_id, title, created_at)"
                    f" VALUES ({key}, 1, 'new', '2026-01-01')"
                )
                cursor.execute(f"UPDATE albums SET title = 'n {key}' WHERE id = {key % 20_000 + 1}")
                cursor.execute(f"DELETE FROM albums WHERE id = {key - 50}")
                if stop.wait(pause):
                    return
    except Exception as error:  # noqa: BLE001  told by the test
        failures.append(error)


@contextmanager
def writing(own: Own, *firsts: int, pause: float = 0.002) -> Iterator[list[Exception]]:
    """Writers beside the block, each of keys from there on; what ended one of them."""
    stop, failures = threading.Event(), list[Exception]()
    writers = [
        threading.Thread(target=write, args=(own, stop, failures, first, pause)) for first in firsts
    ]
    for writer in writers:
        writer.start()
    try:
        yield failures
    finally:
        stop.set()
        for writer in writers:
            writer.join()


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


@pytest.mark.skipif(
    TOOL is None, reason="NOT TESTED: pt-online-schema-change is missing, `make test` installs it"
)
def test_H02_H05_by_pt_osc(own: Own) -> None:
    """H05: its shadow tables are no tables of ours, and its cut-over is one schema change."""
    settings, platform = own.settings, Platform(own.settings, SMALL)
    fill(settings)
    with captured(settings) as worker:
        worker.wait_streaming()
        with writing(own, 100_000) as failures:
            done = alter(own)
            time.sleep(1)
        assert done.returncode == 0, done.stderr
        assert failures == []
        assert verify(settings, platform)["albums"] > 20_000
    assert worker.notes == "", "no new snapshot was needed"
    one_cut_over(platform)


def fill(settings: Settings) -> None:
    with connect(settings.shards[0], database="flickr") as cursor:
        cursor.execute(
            "INSERT INTO albums (id, account_id, title, created_at)"
            " SELECT seq, 1, 'x', '2026-01-01' FROM seq_1_to_20000"
        )


def one_cut_over(platform: Platform) -> None:
    """What came of the change are no tables, one schema change, and the columns."""
    catalog = platform.lakehouse.catalog
    deltas = open_deltas(catalog).scan(selected_fields=("table_name", "op", "payload")).to_arrow()
    assert set(deltas["table_name"].to_pylist()) == {"_shard", "albums", "photo_views"}
    changes = deltas.filter(pc.equal(deltas["op"], "ddl")).to_pylist()
    (cut_over,) = [
        event
        for event in (orjson.loads(row["payload"]) for row in changes)
        if event["source"]["snapshot"] != "true"
    ]
    assert cut_over["ddl"].replace("/* gh-ost */ ", "").upper().startswith("RENAME TABLE")
    assert "mood" in catalog.load_table("lake.albums").schema().column_names


def arrives(platform: Platform, expected: list[tuple[Any, ...]]) -> None:
    """Bring what has come to the warehouse until its albums are these."""
    until = time.monotonic() + PATIENCE
    query = f"select {ROWS.format('')} from warehouse.albums where not _is_deleted order by id"
    while True:
        list(platform.land())
        for target in platform.unmerged():
            platform.merge(target)
        for loaded in platform.load():
            assert not isinstance(loaded, Exception), loaded
        with warehouse(platform.settings) as connection:
            found = connection.execute(query).fetchall()
        if [(int(key), *rest) for key, *rest in found] == expected:
            return
        assert time.monotonic() < until, "the warehouse does not come to be as the source"


@pytest.mark.filterwarnings("ignore:'db' is deprecated:DeprecationWarning")  # the reader's own
def test_H07_rows_in_flight_at_the_cut_over_of_gh_ost(own: Own) -> None:
    """By its steps and names, without its binary.

    At the cut-over the table is locked and its writers wait: what is in the warehouse is then what
    the table has been. The writers go on in the new table, and all of it comes.
    """
    settings, platform = own.settings, Platform(own.settings, SMALL)
    fill(settings)
    with captured(settings) as worker, connect(settings.shards[0], database="flickr") as cursor:
        worker.wait_streaming()
        ghost = Ghost(settings.shards[0], cursor, CHANGE)
        with writing(own, 100_000, 300_000, 500_000, pause=0.02) as failures:
            ghost.copy()
            with ghost.cut_over():
                while sum(ghost.waiting(f"{kind} albums%") for kind in KINDS) < 3:
                    assert failures == []
                    time.sleep(0.01)
                cursor.execute(f"SELECT {ROWS.format('+ 0')} FROM _albums_gho ORDER BY id")
                arrives(platform, list(cursor.fetchall()))
            time.sleep(1)
        assert failures == []
        assert verify(settings, platform)["albums"] > 20_000
    assert worker.notes == "", "no new snapshot was needed"
    one_cut_over(platform)
