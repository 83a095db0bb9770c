"""A capture worker as a process of its own, for tests that kill it.

The environment says where; it prints a line once its shards are streaming.
"""

import signal
import sys
import threading

from smug_platform.capture.status import Status
from smug_platform.capture.worker import run_worker
from smug_platform.settings import load_settings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.tables.flickr import FLICKR


def main() -> None:
    settings = load_settings()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_signal: stop.set())
    client = kinesis_client(settings.stream)

    def tell(status: Status) -> None:
        sys.stdout.write(f"{status.shard} {status.phase} {status.events}\n")
        sys.stdout.flush()

    run_worker(
        settings,
        FLICKR,
        lambda event: Producer(client, settings.stream.name, Claims(settings.claims), stop=event),
        on_status=tell,
        stop=stop,
    )


if __name__ == "__main__":
    main()
