from hypothesis import given
from hypothesis import strategies as st

from smug_platform.capture.position import MAX_EPOCH, Position, file_number

POSITIONS = st.builds(
    Position,
    st.integers(1, MAX_EPOCH),
    st.integers(1, 10**10 - 1),
    st.integers(0, 10**14 - 1),
    st.integers(0, 10**9 - 1),
)


def test_J03_positions_compare_as_numbers():
    assert Position(1, 5, 23) < Position(1, 5, 123)
    assert Position(1, file_number("binlog.000099"), 900) < Position(
        1, file_number("binlog.000100"), 4
    )
    assert Position(1, file_number("binlog.999999"), 900) < Position(
        1, file_number("binlog.1000000"), 4
    )
    assert Position(1, 999_999, 10**10, 5) < Position(2, 1, 4)


def test_J05_an_offset_past_4_gib_keeps_its_order():
    assert Position(1, 1, 2**32 - 1) < Position(1, 1, 2**32 + 1) < Position(1, 2, 4)


@given(POSITIONS, POSITIONS)
def test_J03_ordinals_sort_as_positions_do(one: Position, other: Position):
    assert (one < other) == (one.ordinal < other.ordinal)
    assert len(str(one.ordinal)) <= 38


@given(POSITIONS)
def test_a_position_survives_its_spellings(position: Position):
    assert Position.from_ordinal(position.ordinal) == position
    assert Position.parse(str(position)) == position
