"""The row images of a change: the texts of `before` and `after`, cut out of its JSON.

Debezium writes `{"before":...,"after":...,"source":{...`, and an image is an object of plain
values. In JSON a quote within a text has a backslash before it, so the marks that are looked for
can't be part of a value; nor of a column's name, for `}` stands before them. Payloads that are made
in another way are parsed.
"""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.duck import in_memory
from smug_platform.raw.views import (
    NOWHERE,
    Array,
    begins,
    content,
    find,
    in_pieces,
    next_mark,
    reachable,
    slices,
)

_BEFORE, _NEW = b'{"before":', b'{"before":null,"after":'
_AFTER, _SOURCE = b'},"after":', b'},"source":{'  # the first eight bytes say which
_GONE = b'null,"source":{'


def images(payloads: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The texts of before and after, NULL where a change has none.

    >>> before, after = images(pa.chunked_array([['{"before":null,"after":{"id":1},"source":{}}']]))
    >>> before.to_pylist(), after.to_pylist()
    ([None], ['{"id":1}'])
    """
    pairs = [
        pair
        for piece in reachable(payloads)
        for pair in in_pieces(partial(_cut_some, piece), len(piece))
    ]
    return tuple(pa.chunked_array([pair[at] for pair in pairs], pa.string()) for at in (0, 1))


def chosen_images(changes: pa.Table, *, has_key: bool) -> list[pa.ChunkedArray]:
    """The images that say what a row is: of a table without a key, both images of an update.

    changes: with op, before and after.
    """
    comes, goes = ["c", "r", "u"], ["d"] if has_key else ["d", "u"]
    found = []
    for name, ops in (("after", comes), ("before", goes)):
        chosen = pc.is_in(changes["op"], value_set=pa.array(ops, changes["op"].type))
        found.append(changes[name].filter(chosen))
    return found


def have_keys(images: list[pa.ChunkedArray], count: int) -> bool:
    r"""Whether each object has so many keys; False where that can't be told, or one is NULL.

    Where a quote stands before a colon, a key ends, unless a backslash stands before the quote: a
    key that ends with a backslash is not told apart.

    >>> have_keys([pa.chunked_array([['{"id":1,"title":"\\":"}', '{"id":1,"n":2}']])], 2)
    True
    """
    for chunk in (chunk for image in images for chunk in image.chunks):
        text, bounds = content(chunk)
        ends = find(text, b":") - 1
        ends = ends[text[ends] == ord('"')]
        escaped = ends[text[ends - 1] == ord("\\")]
        if chunk.null_count or (text[escaped - 2] == ord("\\")).any():
            return False
        ends = np.setdiff1d(ends, escaped, assume_unique=True)
        if (np.diff(np.searchsorted(ends, bounds)) != count).any():
            return False
    return True


def _cut_some(payloads: pa.Array, start: int, stop: int) -> tuple[pa.Array, pa.Array]:
    return _cut(payloads[start:stop])


def _cut(payloads: pa.Array) -> tuple[pa.Array, pa.Array]:
    text, bounds = content(payloads)
    starts, ends = bounds[:-1].astype(np.int64), bounds[1:].astype(np.int64)
    braces = np.append(find(text, b"}"), NOWHERE)
    has_before = begins(text, starts, _BEFORE)
    is_new = np.zeros(len(starts), dtype=bool)
    is_new[has_before] = begins(text, starts[has_before], _NEW)
    has_before &= ~is_new
    middle = next_mark(text, braces, np.where(has_before, starts, ends), ends, _AFTER[:8])
    has_before &= middle < ends
    after = np.where(is_new, starts + len(_NEW), np.minimum(middle, ends) + len(_AFTER))
    is_gone = has_before & begins(text, after, _GONE)
    end = next_mark(text, braces, np.where(is_gone, ends, after), ends, _SOURCE[:8])
    has_after = (is_new | has_before) & ~is_gone & (end < ends)
    before = _slices(payloads, starts + len(_BEFORE), middle + 1, has_before)
    found = before, _slices(payloads, after, end + 1, has_after)
    return _parsed(payloads, ~(has_after | is_gone), found)


def _slices(payloads: pa.Array, starts: Array, ends: Array, chosen: Array) -> pa.Array:
    texts = slices(payloads, np.where(chosen, starts, 0), np.where(chosen, ends, 0))
    if chosen.all():
        return texts
    return pc.if_else(pa.array(chosen), texts, pa.scalar(None, pa.string()))


def _parsed(
    payloads: pa.Array, others: Array, found: tuple[pa.Array, pa.Array]
) -> tuple[pa.Array, pa.Array]:
    """Put the images of the others, which are parsed, in their places."""
    if not others.any():
        return found
    with in_memory() as connection:
        connection.register("others", pa.table({"payload": payloads.filter(pa.array(others))}))
        parsed = connection.sql(
            "select nullif(v[1]::varchar, 'null') as before, nullif(v[2]::varchar, 'null') as after"
            " from (select if(json_valid(payload),"
            " json_extract(payload, ['$.before', '$.after']), null) as v from others)"
        ).to_arrow_table()
    mask = pa.array(others)
    before, after = (parsed[name].combine_chunks() for name in ("before", "after"))
    return pc.replace_with_mask(found[0], mask, before), pc.replace_with_mask(found[1], mask, after)
