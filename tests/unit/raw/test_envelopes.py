"""The scanner takes an envelope apart as it is when it is parsed by itself."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_platform.capture.change import Change, encode
from smug_platform.raw.envelopes import decode
from smug_platform.raw.parsed import parse
from smug_platform.scan.native import NONE, envelopes
from smug_platform.stream.records import Record, Records

COUNTS = st.integers(0, 10**9) | st.integers(0, 10**18)
IMAGES = st.none() | st.dictionaries(
    st.sampled_from(["id", "source", 'a"b']),
    st.none() | st.integers() | st.text(max_size=5) | st.just({"pos": 1}),
    max_size=3,
)
SOURCES = st.fixed_dictionaries(
    {"file": st.sampled_from(["b.000003", "b.0", "b", "c.9.12"]), "pos": COUNTS},
    optional={
        "row": st.none() | COUNTS, "ts_us": COUNTS, "db": st.text(max_size=3), "gtid": st.none(),
        "version": st.just({"x": 1}),
    },
)  # fmt: skip
PAYLOADS = st.fixed_dictionaries(
    {"before": IMAGES, "after": IMAGES, "source": SOURCES},
    optional={"op": st.sampled_from([*"crudtm", "é", "xx", None, 3]), "ts_ms": st.none() | COUNTS},
)


def envelope(payload: Any, *, key: Any = None, number: int = 0, topic: str = "s.d.t") -> bytes:
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    shown = None if key is None else json.dumps(key, separators=(",", ":")).encode()
    return encode(Change(topic, shown, text, number), 3)


def scanned(data: bytes) -> dict[str, int] | None:
    """What the scanner says, None when it leaves the envelope to the parser."""
    found, topics, is_read = envelopes(np.frombuffer(data, np.uint8), np.array([0, len(data)]))
    if not is_read[0]:
        return None
    said = {name: int(values[0]) for name, values in found.items()}
    assert said.pop("topic") == 0
    return {name: value for name, value in said.items() if value != NONE} | {"topics": len(topics)}


@given(
    st.lists(
        st.tuples(PAYLOADS, IMAGES, st.integers(0, 3), st.sampled_from(["s", "s.d.t", "s.d.u"])),
        min_size=1,
        max_size=6,
    )
)
def test_what_the_scanner_reads_is_what_a_parser_says(given: list[Any]) -> None:
    texts = [envelope(p, key=key, number=n, topic=topic) for p, key, n, topic in given]
    bounds = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    found, topics, is_read = envelopes(np.frombuffer(b"".join(texts), np.uint8), bounds)
    for row, text in enumerate(texts):
        parsed = parse(text)
        if is_read[row]:
            assert parsed is not None
            assert topics[found["topic"][row]] == parsed.topic
            for name, values in found.items():
                value = int(values[row])
                value -= int(bounds[row]) if name.endswith(("_begin", "_end")) else 0
                assert name == "topic" or value == parsed.numbers.get(name, NONE)


USUAL = {
    "before": None, "after": {"id": 1, "t": '},"source":{'},
    "source": {"ts_us": 5, "file": "b.000003", "pos": 7, "row": 0},
    "transaction": None, "op": "c", "ts_ms": 9,
}  # fmt: skip


def test_a_usual_envelope_is_not_left_to_the_parser() -> None:
    data = envelope(USUAL, key={"id": 1}, number=4)
    parsed = parse(data)
    assert parsed is not None
    assert scanned(data) == {**parsed.numbers, "topics": 1}


@given(st.integers(0, 300), st.binary(min_size=1, max_size=3))
def test_a_damaged_envelope_is_read_as_a_parser_reads_it(at: int, bytes_: bytes) -> None:
    data = envelope(USUAL, key={"id": 1})
    at %= len(data)
    damaged = data[:at] + bytes_ + data[at + len(bytes_) :]
    found, parsed = scanned(damaged), parse(damaged)
    if found is not None and parsed is not None:
        assert found == {**parsed.numbers, "topics": 1}
    try:
        damaged.decode()
    except UnicodeDecodeError:
        return
    assert found is None or parsed is not None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"\n\n", b'{"epoch":1}', b"\xff",
        envelope(USUAL)[:-1], envelope(USUAL) + b"}",
        envelope(USUAL).replace(b'"epoch"', b'"Epoch"'),
        envelope(USUAL).replace(b'"key":null', b'"key":nul'),
        envelope(USUAL).replace(b'"file":"b', b'"file":"\xff'),
        envelope(USUAL).replace(b'"topic":"s', b'"topic":"\xff'),
        envelope(USUAL | {"op": "u", "source": {"file": "b.1", "pos": 1}}),
        envelope(USUAL, topic="s"),
    ],
)  # fmt: skip
def test_no_envelope_is_refused_with_its_bytes_and_stops_none(data: bytes) -> None:
    good = envelope(USUAL, key={"id": 1})
    rows, refused = decode(Records.of(Record(each, "shard", "1", 0) for each in (good, data, good)))
    assert rows["binlog_offset"].to_pylist() == [7, 7]
    assert [one.payload for one in refused] == [data]
