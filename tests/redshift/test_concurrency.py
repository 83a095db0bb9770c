"""Transactions at once: who waits, and who is told 1023 and has to try again."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from redshift_connector import Cursor
from redshift_connector.error import ProgrammingError

from tests.redshift.connection import Redshift


def conflict(raised: ProgrammingError) -> bool:
    said = raised.args[0]
    return said["M"] == "1023" and "Serializable isolation violation" in said["D"]


@pytest.fixture(params=["snapshot", "serializable"])
def two(redshift_server: Redshift, request: pytest.FixtureRequest) -> Iterator[list[Cursor]]:
    """Two transactions that have both begun, beside tables a and b with a row each."""
    with redshift_server.fresh(request.param) as redshift:
        for table in ("a", "b"):
            redshift.ask(f"create table {table} (id int, v int)")
            redshift.ask(f"insert into {table} values (1, 0)")
        with (
            closing(redshift.connect(autocommit=False)) as one,
            closing(redshift.connect(autocommit=False)) as other,
        ):
            cursors = [one.cursor(), other.cursor()]
            for cursor in cursors:
                cursor.execute("begin")
                cursor.execute("select count(*) from a")
            yield cursors


def test_the_same_row_changed_twice(two: list[Cursor]) -> None:
    one, other = two
    one.execute("update a set v = v + 1 where id = 1")
    one.execute("commit")
    with pytest.raises(ProgrammingError) as raised:
        other.execute("update a set v = v + 1 where id = 1")
    assert conflict(raised.value)
    other.execute("rollback")
    other.execute("update a set v = v + 1 where id = 1")
    other.execute("commit")
    other.execute("select v from a")
    assert other.fetchone() == [2]


def test_each_reads_what_the_other_writes(
    two: list[Cursor], request: pytest.FixtureRequest
) -> None:
    """No order of the two would give what both saw: an error if serializable, none by snapshot."""
    one, other = two
    one.execute("insert into b values (2, 0)")
    other.execute("select count(*) from b")
    other.execute("insert into a values (2, 0)")
    one.execute("commit")
    if "snapshot" in request.node.name:
        other.execute("commit")
        return
    with pytest.raises(ProgrammingError) as raised:
        other.execute("commit")
    assert conflict(raised.value)


def test_a_transaction_sees_what_was_there_when_it_began(two: list[Cursor]) -> None:
    one, other = two
    one.execute("insert into a values (2, 0)")
    one.execute("commit")
    other.execute("select count(*) from a")
    assert other.fetchone() == [1]
