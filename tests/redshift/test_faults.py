"""Failures on demand, which the loader's tests rest on."""

from contextlib import closing

import pytest
from redshift_connector.error import ProgrammingError

from tests.redshift.connection import Redshift
from tests.redshift.faults import Faults


def test_the_answer_to_a_commit_is_lost(stand_in: Redshift, faults: Faults) -> None:
    stand_in.ask("create table t (id int)")
    faults.cut_after("commit")
    with closing(stand_in.connect(autocommit=False)) as connection:
        connection.cursor().execute("insert into t values (1)")
        with pytest.raises(Exception, match=r"socket|closed|Pipe|unpack"):
            connection.commit()
    assert stand_in.ask("select id from t") == [(1,)]


def test_a_connection_ends_before_a_commit(stand_in: Redshift, faults: Faults) -> None:
    stand_in.ask("create table t (id int)")
    faults.cut_before("commit")
    with closing(stand_in.connect(autocommit=False)) as connection:
        connection.cursor().execute("insert into t values (1)")
        with pytest.raises(Exception, match=r"socket|closed|Pipe|unpack"):
            connection.commit()
    assert stand_in.ask("select id from t") == []


def test_a_conflict_as_often_as_asked(stand_in: Redshift, faults: Faults) -> None:
    stand_in.ask("create table t (id int)")
    faults.conflict("insert into t", times=2)
    for _ in range(2):
        with pytest.raises(ProgrammingError, match="1023"):
            stand_in.ask("insert into t values (1)")
    stand_in.ask("insert into t values (2)")
    assert stand_in.ask("select id from t") == [(2,)]
