"""The compiled scanner says what a parser says, or that it does not know."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smug_platform.scan import native
from smug_platform.scan.native import Array, Odd, Values

NAMES = ["id", "title", "after", "é"]
TEXTS = st.text(st.sampled_from('ab"\\/é🎉\n\x00\u2028,:{}'), max_size=12)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    TEXTS,
    st.floats(allow_nan=False, allow_infinity=False),
)
NESTED = st.one_of(PLAIN, st.lists(PLAIN, max_size=2), st.dictionaries(TEXTS, PLAIN, max_size=2))
OBJECTS = st.fixed_dictionaries(dict.fromkeys(NAMES, NESTED))


def laid(texts: list[bytes]) -> tuple[Array, Array]:
    """Texts in one array of bytes, and where each begins, and the end."""
    bounds = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    return np.frombuffer(b"".join(texts) or b" ", np.uint8), bounds


def scanned(texts: list[bytes], names: list[str] = NAMES, *, others: bool = False) -> Values:
    text, bounds = laid(texts)
    encoded = [name.encode() for name in names]
    return Values(text, bounds[:-1], bounds[1:], encoded, others=others)


def column(*values: bytes) -> Values:
    return scanned([b'{"id":' + value + b"}" for value in values], ["id"])


def compact(value: Any, *, escaped: bool = False) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=escaped).encode()


def shown(values: Values, number: int, row: int) -> bytes:
    """A value as it stands, with its quotes."""
    is_text = values.kind[number, row] in (native.PLAIN, native.ESCAPED)
    begin, stop = values.begin[number, row] - is_text, values.stop[number, row] + is_text
    return values.text[begin:stop].tobytes()


@given(st.lists(st.tuples(OBJECTS, st.booleans(), st.randoms(use_true_random=False)), max_size=6))
def test_values_are_those_that_a_parser_finds(rows: list[Any]) -> None:
    objects, texts = [], []
    for row, escaped, random in rows:
        names = random.sample(NAMES, len(NAMES))
        objects.append({name: row[name] for name in names})
        plain = compact(objects[-1], escaped=escaped)
        texts.append(plain if not escaped else plain.replace(b"\\u00e9", "é".encode()))
    values = scanned(texts)
    assert (values.found == len(NAMES)).all()
    for at, row in enumerate(objects):
        found = {name: json.loads(shown(values, n, at)) for n, name in enumerate(NAMES)}
        assert found == row


@given(OBJECTS, st.integers(0, 400), st.binary(min_size=1, max_size=2), st.booleans())
def test_what_is_no_json_is_not_read(
    row: dict[str, Any], at: int, byte: bytes, others: bool
) -> None:
    """Of a text with some bytes changed the scanner reads nothing that a parser would not."""
    whole = compact(row)
    text = whole[: at % len(whole)] + byte + whole[at % len(whole) + len(byte) :]
    try:
        text.decode()
    except UnicodeDecodeError:
        return
    values = scanned([text], others=others)
    nested = native.NESTED in values.kind or native.ESCAPED in values.kind
    if values.found[0] < len(NAMES) or nested:  # what is nested or escaped is read by others
        return
    assert {name: orjson.loads(shown(values, n, 0)) for n, name in enumerate(NAMES)} == {
        name: value for name, value in orjson.loads(text).items() if name in NAMES
    }


@pytest.mark.parametrize(
    ("text", "found", "found_among_others"),
    [
        (b'{"id":1,"n":2}', 2, 2),
        (b'{"n":2,"id":1}', 2, 2),
        (b'{"id":1}', 1, 1),
        (b'{"id":1,"n":2,"more":{"id":3,"x":["}"]}}', -1, 2),
        (b'{"id":1,"n":2,"id":3}', -1, -1),
        (b'{"id":1, "n":2}', -1, -1),
        (b'{"id":1,"n":02}', -1, -1),
        (b'{"id":1,"n":2}}', -1, -1),
        (b'{"id":1,"n":2', -1, -1),
        (b'{"id":1,"n":"2}', -1, -1),
        (b'{"id":1,"n":"\x01"}', -1, -1),
        (b"[1]", -1, -1),
        (b"", -1, -1),
        (b"{}", -1, -1),
    ],
)
def test_which_names_an_object_has(text: bytes, found: int, found_among_others: int) -> None:
    assert scanned([text], ["id", "n"]).found[0] == found
    assert scanned([text], ["id", "n"], others=True).found[0] == found_among_others


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=5), st.booleans())
def test_whole_numbers(numbers: list[int | None], quoted: bool) -> None:
    texts = [compact(n if n is None or not quoted else str(n)) for n in numbers]
    found, valid = column(*texts).wholes(0, -(2**63), 2**63 - 1)
    assert [int(n) if v else None for n, v in zip(found, valid, strict=True)] == numbers


@pytest.mark.parametrize(
    "text",
    [b"128", b"-129", b"1.0", b"1e2", b'"1 "', b'""', b"true", b'"seven"', b"9" * 30, b'"\\u0031"'],
)
def test_what_is_no_whole_number_of_the_column(text: bytes) -> None:
    with pytest.raises(Odd):
        column(b"1", text).wholes(0, -128, 127)


@given(st.integers(1, 38), st.data())
def test_decimals(precision: int, data: st.DataObject) -> None:
    scale = data.draw(st.integers(0, precision))
    units = data.draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    digits = f"{abs(units):0{scale + 1}}"
    exact = "-" * (units < 0) + digits[: len(digits) - scale]
    exact += f".{digits[len(digits) - scale :]}" if scale else ""
    for text in (exact, f'"{exact}"'):
        words, valid = column(text.encode()).decimals(0, precision, scale)
        low, high = (int(word) for word in words[0])
        value = low | high << 64
        assert valid[0]
        assert (value - (1 << 128) if value >> 127 else value) == units


@pytest.mark.parametrize(
    "text",
    [b"100", b"1.234", b"-100.00", b"1e1", b'"1."', b'".5"', b'"1.2.3"', b'"-"', b'"a"', b"true"],
)
def test_what_is_no_decimal_of_the_column(text: bytes) -> None:
    with pytest.raises(Odd):
        column(text).decimals(0, 4, 2)


@given(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)),
    st.integers(0, 6),
)
def test_instants(moment: datetime, digits: int) -> None:
    fraction = f"{moment.microsecond:06}"[:digits]
    moment = moment.replace(microsecond=int(f"{fraction:0<6}"), tzinfo=UTC)
    text = f"{moment:%H:%M:%S}{'.' if digits else ''}{fraction}Z"
    text = f'"{moment.year:04}-{moment.month:02}-{moment.day:02}T{text}"'
    found, _ = column(text.encode()).instants(0)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(found[0])) == moment


def test_the_year_0_is_one_of_them() -> None:
    found, _ = column(b'"0000-01-01T00:00:00Z"').instants(0)
    assert found.tolist() == [-719528 * 86_400_000_000]


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z",
        "2023-01-00T00:00:00Z", "0000-00-00T00:00:00Z", "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z", "2023-01-01T00:00:60Z", "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00.1234567Z", "2023-01-01T00:00:00+01:00", "2023-01-01 00:00:00Z",
        "2023-01-01T00:00:00", "noon", "",
    ],
)  # fmt: skip
def test_what_is_no_instant_or_is_left_to_others(text: str) -> None:
    with pytest.raises(Odd):
        column(f'"{text}"'.encode()).instants(0)


@given(st.lists(st.none() | TEXTS, max_size=6), st.booleans())
def test_texts(texts: list[str | None], escaped: bool) -> None:
    values = column(*(compact(text, escaped=escaped) for text in texts))
    joined, offsets, valid = values.texts(0)
    found = [joined[a:b].tobytes().decode() for a, b in pairwise(offsets)]
    assert [one if is_there else None for one, is_there in zip(found, valid, strict=True)] == texts


def test_literals_are_texts_where_that_is_asked_for() -> None:
    values = column(b"1.50", b"true", b'"x"', b"null")
    joined, offsets, valid = values.texts(0, literals=True)
    assert (joined.tobytes(), offsets.tolist()) == (b"1.50truex", [0, 4, 8, 9, 9])
    assert valid.tolist() == [True, True, True, False]
    with pytest.raises(Odd):
        values.texts(0)
    with pytest.raises(Odd):
        column(b'{"a":1}').texts(0, literals=True)


def test_a_name_that_an_object_lacks_has_no_value() -> None:
    values = scanned([b'{"n":1}'], ["id"], others=True)
    for read in (
        lambda: values.wholes(0, 0, 9),
        lambda: values.decimals(0, 4, 2),
        lambda: values.instants(0),
        lambda: values.texts(0),
        lambda: values.truths(0),
    ):
        with pytest.raises(Odd):
            read()


def test_truths() -> None:
    found, valid = column(b"true", b"false", b"null").truths(0)
    assert (found.tolist(), valid.tolist()) == ([True, False, False], [True, True, False])
    with pytest.raises(Odd):
        column(b"1").truths(0)


def test_images_that_are_the_same() -> None:
    same = b'{"before":{"id":1},"after":{"id":1},"source":{}}'
    texts = [same, same.replace(b"1}", b"2}", 1), same.replace(b'{"id":1}', b"null", 1)]
    text, bounds = laid(texts)
    spans, is_read = native.images(text, bounds)
    assert is_read.all()
    assert native.same(text, spans).tolist() == [True, False, False]
