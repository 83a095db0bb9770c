"""Row images are cut out of a payload just as a parser would find them."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smug_platform.lake.images import are_same, images
from tests.history import compact

MARKS = ['},"after":', '},"source":{', '{"before":null', "}", "\\", '"', "é", ""]
TEXTS = st.lists(st.sampled_from([*MARKS, "a", "\n", "\u2028"]), max_size=4).map("".join)
NAMES = st.sampled_from(["id", "after", "source", "before", "title", "}", 'a"b'])
IMAGES = st.none() | st.dictionaries(NAMES, TEXTS | st.integers() | st.none(), max_size=4)


def payload(before: Any, after: Any) -> dict[str, Any]:
    return {"before": before, "after": after, "source": {"version": "3"}, "op": "u"}


def found(
    payloads: list[str], chunks: int = 1, kind: pa.DataType | None = None
) -> list[tuple[Any, Any]]:
    size = max(len(payloads) // chunks, 1)
    parts = [payloads[at : at + size] for at in range(0, len(payloads), size)]
    both = images(pa.chunked_array(parts, kind or pa.string()))
    texts = zip(*(side.to_pylist() for side in both), strict=True)
    return [tuple(text and json.loads(text) for text in pair) for pair in texts]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(IMAGES, IMAGES, st.booleans()), max_size=8),
    st.integers(1, 3),
    st.sampled_from([pa.string(), pa.large_string()]),
)
def test_images_are_those_that_a_parser_finds(
    pairs: list[tuple[Any, Any, bool]], chunks: int, kind: pa.DataType
) -> None:
    payloads = [
        compact(payload(before, after)) if plain else json.dumps(payload(before, after))
        for before, after, plain in pairs
    ]
    assert found(payloads, chunks, kind) == [(before, after) for before, after, _ in pairs]
    same = are_same(pa.chunked_array([payloads], kind))
    assert same.tolist() == [
        before is not None and compact(before) == compact(after) for before, after, _ in pairs
    ]


def test_the_bytes_are_those_of_the_payload() -> None:
    text = '{"id":18446744073709551615,"n":0.10,"x":1e400}'
    one = f'{{"before":null,"after":{text},"source":{{"version":"3"}}}}'
    _, after = images(pa.chunked_array([[one]]))
    assert after.to_pylist() == [text]


@pytest.mark.parametrize("rest", [{"op": "d"}, {"source": {}, "before": None, "after": {"id": 1}}])
def test_what_is_made_in_another_way_is_parsed(rest: dict[str, Any]) -> None:
    one = json.dumps(rest, separators=(",", ":"))
    assert found([one]) == [(rest.get("before"), rest.get("after"))]


def test_many_bytes_are_cut_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smug_platform.raw.views._MOST_BYTES", 300)
    payloads = [compact(payload({"id": n}, {"id": n, "t": "x" * n})) for n in range(50)]
    assert found(payloads) == [({"id": n}, {"id": n, "t": "x" * n}) for n in range(50)]
