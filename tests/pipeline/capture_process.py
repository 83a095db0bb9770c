"""A capture worker as a process of its own, for tests that kill it.

python -m tests.pipeline.capture_process [FILE]: the environment says where; it prints its status, a
line a second. Once FILE is there it removes it and stands still, with a batch in its hand for which
it has just seen that the lease is its own, until it gets SIGCONT.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from smug_platform.capture.change import Change
from smug_platform.capture.status import Status
from smug_platform.capture.worker import run_worker
from smug_platform.settings import load_settings
from smug_platform.stream.claims import Claims
from smug_platform.stream.client import kinesis_client
from smug_platform.stream.producer import Producer
from smug_platform.tables.flickr import FLICKR


class Halting(Producer):
    """A producer that stands still before it sends. file: says when; None for never."""

    file: Path | None = None

    def offer(self, shard: str, epoch: int, changes: Sequence[Change]) -> None:
        if self.file is not None and self.file.exists():
            self.file.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
        super().offer(shard, epoch, changes)


def main() -> None:
    settings = load_settings()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_signal: stop.set())
    client = kinesis_client(settings.stream)
    Halting.file = Path(sys.argv[1]) if len(sys.argv) > 1 else None

    def tell(status: Status) -> None:
        sys.stdout.write(f"{status.shard} {status.phase} {status.events}\n")
        sys.stdout.flush()

    run_worker(
        settings,
        lambda: FLICKR,
        lambda event: Halting(client, settings.stream.name, Claims(settings.claims), stop=event),
        on_status=tell,
        stop=stop,
    )
    os._exit(0)  # as `smug capture` does


if __name__ == "__main__":
    main()
