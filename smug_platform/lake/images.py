"""The row images of a change: the texts of `before` and `after`, cut out of its JSON.

Debezium writes `{"before":...,"after":...,"source":{...`, which the compiled scanner cuts. Payloads
that are made in another way are parsed.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smug_platform.duck import in_memory
from smug_platform.raw.views import content, of_texts, slices
from smug_platform.scan import native as scan
from smug_platform.scan.native import Array


def images(payloads: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The texts of before and after, NULL where a change has none.

    >>> before, after = images(pa.chunked_array([['{"before":null,"after":{"id":1},"source":{}}']]))
    >>> before.to_pylist(), after.to_pylist()
    ([None], ['{"id":1}'])
    """
    pairs = of_texts(_cut, payloads)
    return tuple(pa.chunked_array([pair[at] for pair in pairs], pa.string()) for at in (0, 1))


def are_same(payloads: pa.ChunkedArray) -> Array:
    """Which payloads have the same text before and after, without a copy of either.

    >>> same, other = '{"before":{"a":1},"after":{"a":%d},"source":{}}' % 1, '{"before":null}'
    >>> are_same(pa.chunked_array([[same, other]])).tolist()
    [True, False]
    """
    return np.concatenate([np.empty(0, bool), *of_texts(_compared, payloads)])


def _compared(payloads: pa.Array, _first: int) -> Array:
    text, bounds = content(payloads)
    spans, is_read = scan.images(text, bounds.astype(np.int64))
    spans[~is_read] = -1
    found = scan.same(text, spans)
    if not is_read.all():
        others = payloads.filter(pa.array(~is_read))
        before, after = _cut(others, 0)
        found[~is_read] = pc.fill_null(pc.equal(before, after), False).to_numpy(
            zero_copy_only=False
        )
    return found


def _cut(payloads: pa.Array, _first: int) -> tuple[pa.Array, pa.Array]:
    text, bounds = content(payloads)
    spans, is_read = scan.images(text, bounds.astype(np.int64))
    spans[~is_read] = -1
    before, after = (_slices(payloads, spans[:, at], spans[:, at + 1]) for at in (0, 2))
    return _parsed(payloads, ~is_read, (before, after))


def _slices(payloads: pa.Array, starts: Array, ends: Array) -> pa.Array:
    texts = slices(payloads, np.maximum(starts, 0), np.maximum(ends, 0))
    if not (starts < 0).any():
        return texts
    return pc.if_else(pa.array(starts >= 0), texts, pa.scalar(None, pa.string()))


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
