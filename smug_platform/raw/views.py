"""Parts of many texts at once, without a loop over them."""

from typing import Any

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]
_PIECE = 1 << 18  # bytes
_WORD, _INLINE = 8, 12  # bytes


def content(texts: pa.Array) -> tuple[Array, Array]:
    """The bytes of an array of strings or binaries, and the offset of each in them, and the end."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    data = texts.buffers()[2]
    return np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8), offsets


def find(text: Array, byte: bytes) -> Array:
    """The offsets at which a byte stands, in order."""
    # A piece at a time: memory that is touched for the first time costs more than the search.
    pieces = range(0, len(text), _PIECE)
    found = [np.flatnonzero(text[i : i + _PIECE] == byte[0]) + i for i in pieces]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def stands(text: Array, at: Array, mark: bytes) -> Array:
    """Whether a mark of at most eight bytes, and eight bytes at all, stand at each offset."""
    if len(text) < _WORD:
        return np.zeros(len(at), dtype=bool)
    words = np.ndarray(len(text) - _WORD + 1, "<u8", text, strides=(1,))
    mask, value = (1 << (8 * len(mark))) - 1, int.from_bytes(mark, "little")
    found: Array = words[np.minimum(at, len(words) - 1)] & np.uint64(mask) == np.uint64(value)
    return found & (at < len(words))


def slices(texts: pa.Array, starts: Array, ends: Array) -> pa.Array:
    """Parts of the bytes of an array of strings, as strings: views of them, copied once.

    starts, ends: offsets as `content` gives them. Source of the format: Arrow columnar format,
    "Variable-size Binary View Layout": the length; then the text where it has at most 12 bytes,
    else its first four, the buffer's number and the offset in it.
    """
    text, _ = content(texts)
    views = np.zeros((len(starts), 4), "<i4")
    views[:, 0], views[:, 3] = ends - starts, starts
    long, short = (np.flatnonzero(views[:, 0] > _INLINE), np.flatnonzero(views[:, 0] <= _INLINE))
    if len(long):
        views[long, 1] = np.ndarray(len(text) - 3, "<i4", text, strides=(1,))[starts[long]]
    inside = np.arange(_INLINE)
    places = np.where(inside < views[short, :1], starts[short, None] + inside, 0)
    inline = np.where(inside < views[short, :1], text[places], 0) if len(text) else places
    views[short, 1:] = inline.astype(np.uint8).view("<i4")
    buffers = [None, pa.py_buffer(views), texts.buffers()[2]]
    return pa.Array.from_buffers(pa.string_view(), len(starts), buffers).cast(pa.string())
