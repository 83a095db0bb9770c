"""Statements as tokens: nothing is lost, and nothing within a text or a name is taken for SQL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.redshift.errors import Refused
from tests.redshift.lexer import quote, read, statements, text


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("'a -- b'", ["string"]),
        (r"'a\'b'", ["string"]),
        ("'a''b' 'c'", ["string", "string"]),
        ('"a ""b"" (c"', ["quoted"]),
        ("$$ it's; (a $$", ["dollar"]),
        ("$x$ $$ $x$ $1", ["dollar", "parameter"]),
        ("a /* ' */ -- (\n b", ["word", "word"]),
        ("1.5e3 .5 7", ["number", "number", "number"]),
        ("a::b", ["word", "operator", "word"]),
        ("été_1", ["word"]),
    ],
)
def test_kinds(sql: str, kinds: list[str]) -> None:
    assert [token.kind for token in read(sql)] == kinds


@pytest.mark.parametrize("sql", ["select (1", "select 1)", "select 'a", 'select "a', "select §"])
def test_what_does_not_end(sql: str) -> None:
    with pytest.raises(Refused, match="syntax error"):
        read(sql)


def test_statements_end_at_a_semicolon_outside_of_texts() -> None:
    found = statements("select ';'; insert into t values (1); ;")
    assert [text(one).strip() for one in found] == ["select ';'", "insert into t values (1)"]


def test_a_number_glued_to_a_word() -> None:
    assert text(read("case 4when 4then 5end")) == "case 4 when 4 then 5 end"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_literal_comes_back(value: str) -> None:
    (token,) = read(quote(value))
    assert token.value == value


_PIECE = st.sampled_from(
    ["a", "B1", "'x''y'", '"q"', "(", ")", ",", ".", "::", "42", "$1", "<>", "$$z$$"]
)


@given(st.lists(_PIECE, max_size=30))
def test_what_is_read_is_written_again(pieces: list[str]) -> None:
    sql = " ".join(pieces)
    try:
        tokens = read(sql)
    except Refused:
        return
    assert text(tokens).replace(" ", "") == sql.replace(" ", "")
    assert text(read(text(tokens))) == text(tokens)
