"""Parts of many texts at once, without a loop over them."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]

T = TypeVar("T")
_ROWS = 8192
_MOST_BYTES = 1 << 30
_INLINE = 12  # bytes


def content(texts: pa.Array) -> tuple[Array, Array]:
    """The bytes of an array of strings or binaries, and the offset of each in them, and the end.

    Only those that its own values take, for an array may be a part of another.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    data = texts.buffers()[2]
    if data is None:
        return np.empty(0, np.uint8), offsets
    start, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    return np.frombuffer(data, np.uint8, size, start), offsets - offsets[0]


def reachable(texts: pa.ChunkedArray) -> Iterator[pa.Array]:
    """The strings in arrays that 32-bit offsets reach through, as `content` takes them."""
    for chunk in texts.chunks:
        if chunk.nbytes > _MOST_BYTES and len(chunk) > 1:
            half = len(chunk) // 2
            yield from reachable(pa.chunked_array([chunk[:half], chunk[half:]]))
        else:
            is_reached = pa.types.is_string(chunk.type)
            yield chunk if is_reached else pa.concat_arrays([chunk]).cast(pa.string())


def in_pieces(work: Callable[[int, int], T], count: int, *, rows: int = _ROWS) -> list[T]:
    """What `work` makes of rows from one number to another, piece after piece, on all cores.

    Pieces that fit in a core's cache take half the time of all at once. rows: of a piece at most.
    """
    number = max(-(-count // rows), 1)
    bounds = [count * part // number for part in range(number + 1)]
    return _on_all_cores(work, list(pairwise(bounds)))


def of_texts(work: Callable[[pa.Array, int], T], texts: pa.ChunkedArray) -> list[T]:
    """The same of pieces of strings: what `work` makes of each and the number of its first."""
    given: list[tuple[pa.Array, int]] = []
    done = 0
    for chunk in reachable(texts):
        starts = range(0, len(chunk), _ROWS)
        given += [(chunk[start : start + _ROWS], done + start) for start in starts]
        done += len(chunk)
    return _on_all_cores(work, given)


def _on_all_cores(work: Callable[..., T], given: list[tuple[Any, int]]) -> list[T]:
    cores = _cores()
    if len(given) == 1 or cores == 1:
        return [work(*each) for each in given]
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(work, *zip(*given, strict=True)))


def _cores() -> int:
    """Cores that the process may use, where the system says it."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def slices(texts: pa.Array, starts: Array, ends: Array) -> pa.Array:
    """Parts of the bytes of an array of strings, as strings: views of them, copied once.

    starts, ends: offsets as `content` gives them. Source of the format: Arrow columnar format,
    "Variable-size Binary View Layout": the length; then the text where it has at most 12 bytes,
    else its first four, the buffer's number and the offset in it.
    """
    text, _ = content(texts)
    views = np.zeros((len(starts), 4), "<i4")
    first = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset]
    views[:, 0], views[:, 3] = ends - starts, starts + first
    long, short = (np.flatnonzero(views[:, 0] > _INLINE), np.flatnonzero(views[:, 0] <= _INLINE))
    if len(long):
        views[long, 1] = np.ndarray(len(text) - 3, "<i4", text, strides=(1,))[starts[long]]
    inside = np.arange(_INLINE)
    places = np.where(inside < views[short, :1], starts[short, None] + inside, 0)
    inline = np.where(inside < views[short, :1], text[places], 0) if len(text) else places
    views[short, 1:] = inline.astype(np.uint8).view("<i4")
    buffers = [None, pa.py_buffer(views), texts.buffers()[2]]
    return pa.Array.from_buffers(pa.string_view(), len(starts), buffers).cast(pa.string())
