"""Landing what has piled up: micro-batch after micro-batch, until the stream's tip."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event

from pyiceberg.catalog import Catalog

from smug_platform.raw.land import Landed, land
from smug_platform.stream.reader import Reader

BATCHES = 20  # two million changes; whoever asks again soon gets the rest


def land_backlog(catalog: Catalog, reader: Reader, *, batches: int = BATCHES) -> Iterator[Landed]:
    """Land until the reader is at the stream's tip, in at most `batches` commits.

    Yields what each commit did, so that a caller can show it; raises StreamError as `land` does.
    """
    for _ in range(batches):
        landed = land(catalog, reader)
        yield landed
        if not landed.behind:
            return


def ahead(landings: Iterator[Landed]) -> Generator[Landed, None, None]:
    """The same landings, made in a thread: the next ones go on while the caller uses the last.

    Who closes it, or meets an error, waits for the landing under way and no more. Raises what the
    landings raise, after those that went well.
    """
    done: SimpleQueue[Landed | None] = SimpleQueue()
    is_left = Event()

    def run() -> None:
        try:
            for landed in landings:
                done.put(landed)
                if is_left.is_set():
                    return
        finally:
            done.put(None)

    with ThreadPoolExecutor(1, "landing") as pool:
        running = pool.submit(run)
        try:
            while (landed := done.get()) is not None:
                yield landed
        finally:
            is_left.set()
        running.result()
