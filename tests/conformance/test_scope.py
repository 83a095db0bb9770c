"""Every case has a test that carries its id, or says why not; and the page of docs says so."""

from pathlib import Path

from tests.conformance.score import all_cases, named, page
from tests.conformance.unmet import NOT_APPLICABLE, OPEN, PARTLY

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def test_no_case_is_silently_missing() -> None:
    known, tested = set(all_cases()), set(named())
    assert len(known) == 247
    assert known - tested - NOT_APPLICABLE.keys() - OPEN.keys() == set()


def test_what_is_said_to_be_open_has_no_test() -> None:
    assert OPEN.keys() & named().keys() == set()
    assert NOT_APPLICABLE.keys() & OPEN.keys() == set()
    assert PARTLY.keys() <= named().keys()


def test_the_page_is_up_to_date() -> None:
    """`python -m tests.conformance.score > docs/conformance.md` brings it up."""
    assert PAGE.read_text() == page()
