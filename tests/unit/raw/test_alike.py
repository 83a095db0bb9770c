"""Texts that are alike say what each of them says when it is parsed by itself."""

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_platform.raw.alike import NONE, Reader, Texts, Values

PATHS = {"place": ("source.pos", 18), "when": ("ms", 18), "op": ("op", 1)}


def parse(text: bytes) -> Values | None:
    try:
        found = orjson.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("source"), dict):
        return None
    source, op = found["source"], found.get("op")
    return {
        "file": source.get("file"),
        "place": whole(source.get("pos")),
        "when": whole(found.get("ms")),
        "op": ord(op) if isinstance(op, str) and len(op) == 1 else None,
    }


def whole(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 10**18 else None


def read(texts: Sequence[bytes], reader: Reader | None = None) -> Texts:
    text = np.frombuffer(b"".join(texts) or b" ", np.uint8)
    ends = np.cumsum([len(one) for one in texts], dtype=np.int64)
    starts = ends - [len(one) for one in texts]
    reader = reader or Reader(parse, PATHS, frozenset({"source.file"}))
    return reader.read(text, starts, ends)


def said(found: Texts, number: int) -> Values | None:
    if found.which[number] < 0:
        return None
    numbers = {name: int(values[number]) for name, values in found.numbers.items()}
    return {
        "file": found.examples[found.which[number]]["file"],
        **{name: None if value == NONE else value for name, value in numbers.items()},
    }


def change(pos: Any, *, file: str = "b.1", name: str = "abc", ms: Any = 12, op: Any = "u") -> bytes:
    source = {"name": name, "file": file, "pos": pos, "rows": [1, {"pos": 5}], "none": None}
    return json.dumps({"source": source, "op": op, "ms": ms}, ensure_ascii=False).encode()


CHANGES = st.builds(
    change,
    st.one_of(st.integers(-20, 10**19), st.sampled_from([None, 1.5, "7"])),
    file=st.sampled_from(["b.1", "b.2", "é"]),
    name=st.text(max_size=3),
    ms=st.integers(0, 99),
    op=st.sampled_from(["u", "c", "d", "message", None]),
)
TORN = st.builds(
    lambda text, at, byte: text[:at] + bytes([byte]) + text[at + 1 :],
    CHANGES,
    st.integers(0, 60),
    st.sampled_from(list(b'"\\{}0a, \x01')),
).filter(lambda text: b"\xef\xbf\xbd" not in text.decode(errors="replace").encode())


@given(st.lists(st.one_of(CHANGES, TORN), max_size=5), st.randoms(use_true_random=False))
def test_each_says_what_it_says_alone(kinds: list[bytes], order: random.Random) -> None:
    texts = kinds * 12
    order.shuffle(texts)
    found = read(texts)
    for number, text in enumerate(texts):
        assert said(found, number) == parse(text)


def test_of_many_that_are_alike_one_is_parsed() -> None:
    parsed = []

    def counted(text: bytes) -> Values | None:
        parsed.append(text)
        return parse(text)

    reader = Reader(counted, PATHS, frozenset({"source.file"}))
    texts = [change(1000 + n, name="äbc"[n % 2 :][:2], op="ucd"[n % 3]) for n in range(900)]
    found = read(texts, reader)
    assert [said(found, n) for n in range(900)] == [parse(text) for text in texts]
    assert len(parsed) == 2
    read(texts, reader)
    assert len(parsed) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(change(17), change(17).replace(b"17", b"07"), id="leading-zero"),
        pytest.param(change(17), change(17).replace(b"17", b"1x"), id="no-digit"),
        pytest.param(change(17), change(17, name='"bc').replace(b'\\"', b'"'), id="a-quote"),
        pytest.param(change(17), change(17).replace(b"abc", b"a\\c"), id="an-escape"),
        pytest.param(change(17), change(17).replace(b"abc", b"a\nc"), id="a-control-character"),
        pytest.param(
            change(17, name="a\n"), change(17, name="a\n").replace(b"\\n", b"\\q"), id="bad-escape"
        ),
        pytest.param(change(17), change(17).replace(b'"pos"', b'"pot"'), id="another-key"),
        pytest.param(change(17), change(17).replace(b"null", b"nule"), id="no-value"),
    ],
)
def test_what_is_only_nearly_alike_is_parsed(one: bytes, other: bytes) -> None:
    found = read([one] * 20 + [other] + [one] * 20)
    assert said(found, 20) == parse(other)
    assert said(found, 40) == parse(one)


def test_nothing() -> None:
    assert len(read([]).which) == 0
