"""One photo on one shard, and the stream that it came by."""

import pytest

from tests.history import Shard, column
from tests.recorded import Recorded

COLUMNS = [column("id", "BIGINT UNSIGNED"), column("title", "VARCHAR")]


@pytest.fixture
def photos() -> Shard:
    shard = Shard("shard_0", "photos", COLUMNS)
    shard.snapshot()
    shard.insert({"id": 1, "title": "a"})
    return shard


@pytest.fixture
def stream(photos: Shard) -> Recorded:
    recorded = Recorded()
    recorded.put_deltas(photos.deltas)
    return recorded
