"""One corpus a session: its servers, its stream and its run are shared by all table cases."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from smug_platform.settings import Settings, StreamSettings
from tests.conformance.corpus import SOURCE, Corpus, run_corpus, zoned_shards
from tests.conformance.stack import Stack
from tests.conftest import local_settings


@pytest.fixture(scope="session")
def servers(
    kinesis: StreamSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Two running shards of our own, in two time zones, and a running Kinesis endpoint."""
    settings = local_settings(tmp_path_factory.mktemp("cases"))
    with zoned_shards(replace(settings, stream=kinesis)) as running:
        yield running


@pytest.fixture(scope="session")
def corpus(servers: Settings) -> Corpus:
    """Every table case, taken through the whole way."""
    stream = replace(servers.stream, name="conformance")
    return run_corpus(Stack(replace(servers, stream=stream), SOURCE))
