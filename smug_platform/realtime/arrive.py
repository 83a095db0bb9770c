"""From records of the stream to the changes in them, each with its lane and its record."""

from itertools import pairwise

import numpy as np
import pyarrow as pa

from smug_platform.raw.envelopes import read
from smug_platform.raw.quarantine import Refused
from smug_platform.raw.views import Array
from smug_platform.realtime.sift import Key, Rows
from smug_platform.stream.records import Records


def rows_of(
    records: Records, *, first: int = 1
) -> tuple[Rows, list[tuple[int, str, str]], list[Refused]]:
    """The changes in records, the records of the stream that they came in, and what is no change.

    first: the number of the first such record.
    """
    changes, which, refused = read(records)
    origins = records.origins
    is_next = [last[:2] != one[:2] for last, one in pairwise(origins)]
    of_origin = np.cumsum([0, *is_next])
    begin = [origins[0], *(one for one, starts in zip(origins[1:], is_next, strict=True) if starts)]
    of_row = of_origin[records.origin[which]]
    partitions = pa.array([one.partition for one in begin]).dictionary_encode()
    lanes, lane = _numbered(
        changes["shard"].combine_chunks().dictionary_encode(),
        pa.DictionaryArray.from_arrays(
            partitions.indices.take(pa.array(of_row)), partitions.dictionary
        ),
    )
    found = [
        (first + number, one.stream_shard, one.sequence_number) for number, one in enumerate(begin)
    ]
    return Rows(changes, lanes, lane, of_row + first), found, refused


def _numbered(
    shards: pa.DictionaryArray, partitions: pa.DictionaryArray
) -> tuple[list[Key], Array]:
    """The distinct pairs, and the number of each one's."""
    width = len(partitions.dictionary) or 1
    codes = shards.indices.to_numpy().astype(np.int64) * width + partitions.indices.to_numpy()
    known, numbers = np.unique(codes, return_inverse=True)
    names = shards.dictionary.to_pylist(), partitions.dictionary.to_pylist()
    return [(names[0][code // width], names[1][code % width]) for code in known.tolist()], numbers
