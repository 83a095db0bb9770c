"""Where the parts of envelopes are: head, key, payload, and what follows the payload's row images.

All offsets are into the text of all envelopes, one after the other (see `capture.change` for the
three lines of one).
"""

import numpy as np

from smug_platform.raw.views import Array, stands

_LINES = ((b"{", b","), (b'"key":', b","), (b'"value":', b"}"))  # how each begins and ends
_BEFORE = b'{"before"'  # how a payload with row images begins
_SOURCE = b',"source":{'  # the end of the row images, from where on all is about the change
_NEWLINE = b"\n"[0]
_WINDOW = 256  # bytes of an envelope in which its first two lines nearly always end
_SIZES = 64  # sizes of what follows the images, past which each is looked for by itself


def lines(text: Array, bounds: Array) -> tuple[Array, Array, Array]:
    """From where to where head, key and payload go in each envelope, without what their lines begin
    and end with; and which envelopes are made so.

    bounds: where each envelope begins, and the end.
    """
    begins, ends = bounds[:-1], bounds[1:]
    first, second = _newlines(text, begins, ends)
    parts = (begins, first), (first + 1, second), (second + 1, ends)
    fits = second < ends
    for (start, end), (opening, closing) in zip(parts, _LINES, strict=True):
        fits &= end - start > len(opening)
        fits[fits] &= stands(text, start[fits], opening) & (text[end[fits] - 1] == closing[0])
    opened = [start + len(mark) for (start, _), (mark, _) in zip(parts, _LINES, strict=True)]
    closed = [end - 1 for _, end in parts]
    is_object = text[opened[2][fits]] == ord("{")
    fits[fits] &= is_object & (text[closed[2][fits] - 1] == ord("}"))
    return np.stack(opened, axis=1), np.stack(closed, axis=1), fits


def _newlines(text: Array, begins: Array, ends: Array) -> tuple[Array, Array]:
    """Where the first two newlines of each envelope are; its end where there is none."""
    first, second = ends.copy(), ends.copy()
    size = min(_WINDOW, len(text))
    near = np.flatnonzero(begins <= len(text) - size)
    if size and len(near):
        windows = np.lib.stride_tricks.sliding_window_view(text, size)[begins[near]]
        is_newline = windows == _NEWLINE
        for found in (first, second):
            at = is_newline.argmax(axis=1)
            is_there = is_newline[np.arange(len(near)), at]
            is_newline[np.arange(len(near)), at] = False
            found[near] = np.where(is_there, np.minimum(begins[near] + at, ends[near]), ends[near])
    for row in np.flatnonzero(second >= ends).tolist():
        start, end = int(begins[row]), int(ends[row])
        places = np.flatnonzero(text[start:end] == _NEWLINE)[:2] + start
        first[row], second[row] = (*places, end, end)[:2]
    return first, second


def abouts(text: Array, starts: Array, ends: Array) -> Array:
    """Where what follows the row images begins in each payload: its first key where it has none.

    What follows is of few sizes, so where it begins in one payload says where to look in others.
    """
    found = starts + 1
    left = np.flatnonzero(stands(text, found, _BEFORE[1:]))
    for _ in range(_SIZES):
        if not len(left):
            break
        at = _find(text, starts[left[0]], ends[left[0]])
        if at < 0:
            left = left[1:]
            continue
        places = ends[left] - (ends[left[0]] - at)
        is_there = (places >= starts[left]) & stands(text, places, _SOURCE[:8])
        is_there &= stands(text, places + len(_SOURCE) - 8, _SOURCE[-8:])
        found[left[is_there]] = places[is_there] + 1
        left = left[~is_there]
    for row in left.tolist():
        at = _find(text, starts[row], ends[row])
        found[row] = at + 1 if at >= 0 else found[row]
    return found


def _find(text: Array, start: int, end: int) -> int:
    """Where the mark is, negative where it is not: the last one, for a spatial column of that name
    is an object in the images too.
    """
    at = text[start:end].tobytes().rfind(_SOURCE)
    return int(start) + at if at >= 0 else at
