"""The local Kinesis endpoint: moto's server, as a process of its own.

It holds its streams in memory: what it has not handed over is gone when it stops, so a stop
comes after a drain. The stream itself is made by `smug_platform.stream`.
"""

import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from smug_platform.errors import StreamError
from smug_platform.local.processes import Process, port_holder, python, spawn, wait_until
from smug_platform.settings import StreamSettings

NAME = "kinesis"

# moto's streams are not safe for threads: of two puts at once both are acknowledged and one is lost
# (320 of 24,000 records measured with four writers), hence the lock.
# Werkzeug logs a line a request; a polling reader would fill the disk with them. With HTTP/1.1
# a client keeps its connection.
_SERVER = """
import logging, sys, threading
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import MotoRequestHandler, main
MotoRequestHandler.protocol_version = "HTTP/1.1"
from moto.kinesis.models import KinesisBackend
one_at_a_time = threading.RLock()
def locked(method):
    def call(*args, **kwargs):
        with one_at_a_time:
            return method(*args, **kwargs)
    return call
for name in ("put_record", "put_records", "get_records", "split_shard", "merge_shards"):
    setattr(KinesisBackend, name, locked(getattr(KinesisBackend, name)))
main(sys.argv[1:])
"""


def start_kinesis(stream: StreamSettings, folder: Path) -> Process:
    """Start the endpoint where the settings expect it, and wait until it answers.

    folder: holds its log. Raises StreamError: a busy port, a server that won't start, or settings
    that name no local endpoint.
    """
    address = urlsplit(stream.endpoint or "")
    if address.hostname is None or address.port is None:
        raise StreamError(
            "the settings name no local Kinesis endpoint", remedy="set SMUG_ENV to local"
        )
    if holder := port_holder(address.port):
        raise StreamError(
            f"Kinesis endpoint: port {address.port} is in use by {holder}",
            remedy="stop that, or set SMUG_KINESIS_PORT to a free port",
        )
    process = spawn(
        NAME,
        python("-c", _SERVER, "-H", address.hostname, "-p", str(address.port)),
        log=folder / "kinesis.log",
        env={"MOTO_PORT": str(address.port), "PYTHONWARNINGS": "ignore"},
        port=address.port,
    )
    wait_until(lambda: answers(stream), process, seconds=60, error=StreamError)
    return process


def answers(stream: StreamSettings) -> bool:
    """Whether something at the endpoint talks HTTP."""
    try:
        with urllib.request.urlopen(f"{stream.endpoint}/moto-api/", timeout=5):
            return True
    except urllib.error.HTTPError as fault:
        fault.close()
        return True
    except OSError:
        return False


def forget_streams(stream: StreamSettings) -> None:
    """Empty the endpoint of every stream, as if it had just been started."""
    request = urllib.request.Request(f"{stream.endpoint}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass
