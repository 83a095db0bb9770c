from hypothesis import given
from hypothesis import strategies as st

from smug_platform.local.activity.tickets import TicketServer


@given(st.lists(st.integers(1, 2**62 - 1)), st.lists(st.integers(2**62, 2**63 + 10**6)))
def test_no_id_is_given_twice(low: list[int], high: list[int]) -> None:
    tickets = TicketServer.after([*low, *high])
    given_out = [tickets.take(high=i % 3 == 0) for i in range(30)]
    assert len(set(given_out)) == 30
    assert not set(given_out) & {*low, *high}
    assert min(given_out) > max(low, default=0)


def test_the_high_range_crosses_the_sign_bit() -> None:
    tickets = TicketServer.after([])
    assert [tickets.take(high=True) for _ in range(3)] == [2**63 - 2, 2**63 - 1, 2**63]
