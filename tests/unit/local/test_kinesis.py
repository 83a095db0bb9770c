import socket
from pathlib import Path

import pytest

from smug_platform.errors import StreamError
from smug_platform.local.kinesis import answers, start_kinesis
from smug_platform.settings import StreamSettings
from tests.conftest import free_port


def stream(endpoint: str | None) -> StreamSettings:
    return StreamSettings("s", "us-east-1", endpoint)


def test_a_busy_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StreamError, match=rf"port {port} is in use by .*SMUG_KINESIS_PORT"):
            start_kinesis(stream(f"http://127.0.0.1:{port}"), tmp_path)


def test_on_aws_there_is_nothing_to_start(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="SMUG_ENV"):
        start_kinesis(stream(None), tmp_path)


def test_nobody_answers_at_a_free_port() -> None:
    assert not answers(stream(f"http://127.0.0.1:{free_port()}"))
