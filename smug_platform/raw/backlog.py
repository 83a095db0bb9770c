"""Landing what has piled up: micro-batch after micro-batch, until the stream's tip."""

from collections.abc import Iterator

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
