"""What tests share: free ports, real MariaDB shards and a real Kinesis endpoint on loopback.

Servers start once a session, at the first test that asks for them, in temporary folders, and are
stopped by pid. A test that needs a clean slate asks for `stack`.
"""

import itertools
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from smug_platform.local.kinesis import forget_streams, start_kinesis
from smug_platform.local.mariadb import DATABASE, connect, load_schema, start_shard
from smug_platform.settings import Settings, Shard, StreamSettings, load_settings
from tests.conformance.score import Score

TESTS = Path(__file__).parent
_PORTS = range(10_000, 32_000)
_next_port = itertools.count(os.getpid() * 997)
pytest_plugins = ["tests.redshift.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    histories = parser.getgroup("histories", "random change histories that the lake is held to")
    histories.addoption("--histories", type=int, default=1000, metavar="N", help="in all (1000)")
    histories.addoption(
        "--first-history", type=int, default=0, metavar="SEED", help="their first seed (0)"
    )
    soak = parser.getgroup("soak", "processes that are killed while the source is written to")
    soak.addoption("--soak", type=int, default=10, metavar="N", help="kills (10)")
    soak.addoption("--soak-seed", type=int, default=0, metavar="SEED", help="chooses when (0)")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Score(), "conformance")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a run that a script puts behind it,
        # and Dagster then ignores SIGTERM as well, also in the processes that tests start and stop
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # No engine of a test lives long enough for Java's second compiler: a quarter less of the cores.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    settings.register_profile("all", deadline=None)  # a machine that is busy is no failure
    settings.load_profile("all")


class _ByFolderOrFile(LoadFileScheduling):
    """A worker takes a file at a time, or a folder whose tests share what takes long to make: the
    conformance cases a corpus, those of dbt its builds. Some of those have a stack of their own.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        if file.startswith("tests/conformance/"):
            alone = ("bulk", "chunks", "declared", "soak")
            return file if Path(file).stem.removeprefix("test_") in alone else "tests/conformance/"
        return "tests/pipeline/dbt/" if file.startswith("tests/pipeline/dbt/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling:
    return _ByFolderOrFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(TESTS / "pipeline"):
            item.add_marker(pytest.mark.pipeline)


def free_port(count: int = 1) -> int:
    """The first of `count` ports in a row that nothing listens on.

    They are below those that the system gives to outgoing connections, one of which could take a
    port between this look and its use; each process of tests goes through them from another one on.
    """
    while True:
        ports = [_PORTS[0] + next(_next_port) % len(_PORTS) for _ in range(count)]
        if ports[-1] - ports[0] != count - 1:
            continue
        with ExitStack() as held, suppress(OSError):
            for port in ports:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return ports[0]


def local_settings(home: Path) -> Settings:
    """Settings of a stack in `home`, all on free ports; nothing is started."""
    return load_settings(
        {
            "SMUG_ENV": "test",
            "SMUG_HOME": str(home),
            "SMUG_MYSQL_PORT": str(free_port(2)),
            "SMUG_KINESIS_PORT": str(free_port()),
            "SMUG_UI_PORT": str(free_port()),
        }
    )


def fresh_database(shard: Shard) -> None:
    """Drop the flickr database and make it anew. The binlog goes on where it is."""
    with connect(shard) as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
    load_schema(shard)


@pytest.fixture(scope="session")
def _addresses(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return local_settings(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="session")
def shards(_addresses: Settings) -> Iterator[Settings]:
    """The settings of two running shards that hold the flickr schema. Shared: leave them alive."""

    def start(server_id: int, shard: Shard) -> None:
        process = start_shard(
            shard, _addresses.home / "mysql" / shard.name, server_id=100 + server_id
        )
        running.callback(process.stop)
        load_schema(shard)

    with ExitStack() as running, ThreadPoolExecutor() as starters:
        list(starters.map(start, range(len(_addresses.shards)), _addresses.shards))
        yield _addresses


@pytest.fixture(scope="session")
def kinesis(_addresses: Settings) -> Iterator[StreamSettings]:
    """A running Kinesis endpoint, without a stream. Shared: leave it alive."""
    process = start_kinesis(_addresses.stream, _addresses.home)
    yield _addresses.stream
    process.stop()


@pytest.fixture
def fresh_shards(shards: Settings, tmp_path: Path) -> Settings:
    """The running shards with an empty flickr database and a home of this test's own."""
    for shard in shards.shards:
        fresh_database(shard)
    return _at_home(shards, tmp_path)


@pytest.fixture
def fresh_kinesis(kinesis: StreamSettings) -> StreamSettings:
    """The running endpoint, emptied of every stream."""
    forget_streams(kinesis)
    return kinesis


@pytest.fixture
def stack(fresh_shards: Settings, fresh_kinesis: StreamSettings) -> Settings:
    """Settings of a whole stack at its very start: empty shards, no stream, an empty home."""
    return replace(fresh_shards, stream=fresh_kinesis)


@pytest.fixture(scope="session")
def _moto_dynamodb() -> Iterator[str]:
    """A running DynamoDB endpoint. moto needs a lock to update an item by one at a time."""
    from moto.dynamodb.models import DynamoDBBackend
    from moto.server import ThreadedMotoServer

    port, one_at_a_time, update = free_port(), threading.Lock(), DynamoDBBackend.update_item

    def locked(*args: Any, **kwargs: Any) -> Any:
        with one_at_a_time:
            return update(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DynamoDBBackend, "update_item", locked)
        server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
        server.start()
        yield f"http://127.0.0.1:{port}"
        server.stop()


@pytest.fixture
def dynamodb(_moto_dynamodb: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its URL, and credentials that it takes. Shared: use a table of your own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return _moto_dynamodb


def _at_home(settings: Settings, home: Path) -> Settings:
    """The same addresses, all local state elsewhere."""
    moved = load_settings({"SMUG_ENV": "test", "SMUG_HOME": str(home)})
    return replace(moved, shards=settings.shards, stream=settings.stream, ui_port=settings.ui_port)
