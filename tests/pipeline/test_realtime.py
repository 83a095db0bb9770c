"""The live numbers over real parts: processes that are killed, the local endpoint, the commands."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from smug_platform.local.stack import settings_environ
from smug_platform.realtime.consume import Consumer
from smug_platform.realtime.moment import sums_at
from smug_platform.realtime.store import Store, store_path
from smug_platform.settings import PROJECT, Settings, StreamSettings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import ensure_stream, kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.tables.flickr import FLICKR
from tests.conftest import local_settings
from tests.lanes import LaneStream, Server, changes_of
from tests.pipeline.live_process import MOMENTS
from tests.unit.realtime.flickr import Members, days_of, server

PATIENCE = 60.0


@pytest.fixture(scope="module")
def shard() -> Server:
    """A shard with some hundred changes behind it."""
    found = server("shard_0")
    Members(found, 5, 0).work(60)
    return found


@pytest.fixture(scope="module")
def recorded(shard: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What its capture has put on the stream."""
    stream = LaneStream(doubt=0.1)
    stream.publish(shard.name, 1, changes_of(shard.snapshot()))
    Members(shard, 6, 1_000).work(200)
    stream.publish(shard.name, 1, changes_of(shard.new()))
    path = tmp_path_factory.mktemp("live") / "stream"
    path.write_bytes(pickle.dumps(stream))
    return path


def totals(store: Store, shard: Server) -> None:
    """Fails when the numbers are not those of the shard's rows."""
    for name, sums in days_of([shard]).items():
        assert sums_at(store, name) == sums, name


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_consumer_that_is_killed_goes_on_with_right_numbers(
    moment: str, recorded: Path, shard: Server, tmp_path: Path
) -> None:
    database = tmp_path / "live.db"
    argv = [sys.executable, "-m", "tests.pipeline.live_process", str(database), str(recorded)]
    done = subprocess.run(
        [*argv, moment, "3"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Store(database) as store:
        consumer = Consumer(store, pickle.loads(recorded.read_bytes()), FLICKR)
        assert consumer.progress.generation == 3
        while consumer.step().behind:
            pass
        totals(store, shard)


@dataclass
class Here:
    """A stream on the local endpoint, and the commands on it."""

    settings: Settings
    producer: Producer

    def argv(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "smug_platform.cli", *arguments]

    def smug(self, *arguments: str) -> str:
        done = subprocess.run(
            self.argv(*arguments), env=self.environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, **settings_environ(self.settings), "COLUMNS": "140"}


@pytest.fixture
def here(fresh_kinesis: StreamSettings, tmp_path: Path) -> Iterator[Here]:
    settings = replace(local_settings(tmp_path), stream=fresh_kinesis)
    client = kinesis_client(fresh_kinesis)
    ensure_stream(client, fresh_kinesis)
    producer = Producer(client, fresh_kinesis.name, Claims(settings.claims))
    yield Here(settings, producer)
    producer.close()


def test_the_commands_count_show_and_ask_the_stream(here: Here) -> None:
    shard = server("shard_0")
    here.producer.publish(shard.name, 1, changes_of(shard.snapshot()))
    log = (here.settings.home / "realtime.log").open("wb")
    counting = subprocess.Popen(here.argv("realtime"), env=here.environ, stdout=log, stderr=log)
    members = Members(shard, 7, 0)
    try:
        for number in range(2):  # killed amid its work, and by ctrl-C
            members.work(60)
            here.producer.publish(shard.name, 1, changes_of(shard.new()))
            _await_generation(here.settings, number + 1)
            counting.send_signal(signal.SIGINT if number else signal.SIGKILL)
            assert counting.wait(PATIENCE) in {-signal.SIGKILL, 0}
            if not number:
                counting = subprocess.Popen(
                    here.argv("realtime"), env=here.environ, stdout=log, stderr=log
                )
    finally:
        counting.kill()
        log.close()
    assert "changes counted" in here.smug("realtime", "--until-quiet")
    with Store(store_path(here.settings)) as store:
        totals(store, shard)
    text = here.smug("live", "--once")
    assert re.search(r"uploads +c +\d", text)
    assert "watermark 2026-01-01" in text
    query = "select _op, count(*)::int as n from stream.orders group by _op order by _op"
    lines = here.smug("query", "--live", query, "--format", "json").splitlines()
    deltas = [delta["op"] for delta in shard.tables["orders"].deltas if delta["op"] != "ddl"]
    assert [*map(json.loads, lines)] == [
        {"_op": op, "n": deltas.count(op)} for op in sorted(set(deltas))
    ]


def _await_generation(settings: Settings, least: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if store_path(settings).exists():
            with Store(store_path(settings), read_only=True) as store:
                if store.progress().generation >= least:
                    return
        time.sleep(0.02)
    log = (settings.home / "realtime.log").read_text()
    raise AssertionError(f"the consumer does not count; it says:\n{log}")
