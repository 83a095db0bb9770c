"""Connections by the real driver: who is let in, transactions, what the server says of itself."""

import gc
import warnings
from contextlib import closing
from dataclasses import replace

import pytest
from redshift_connector.error import InterfaceError, ProgrammingError

from tests.redshift.connection import Redshift


def test_a_stand_in_says_so(stand_in: Redshift) -> None:
    version = stand_in.ask("select version()")[0][0]
    assert version.startswith("PostgreSQL 8.0.2")
    assert "Redshift" in version
    assert "EMULATED" in version


def test_a_real_workgroup_does_not(redshift: Redshift) -> None:
    assert ("EMULATED" in redshift.ask("select version()")[0][0]) == redshift.emulated


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"user": "who"}, {"database": "where"}])
def test_who_is_not_let_in(redshift: Redshift, wrong: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the driver leaves its socket open
        with pytest.raises((InterfaceError, ProgrammingError)):
            replace(redshift, **wrong).connect()
        gc.collect()


def test_what_is_not_committed_goes_back(redshift: Redshift) -> None:
    redshift.ask("create table t (id int)")
    with closing(redshift.connect(autocommit=False)) as connection:
        cursor = connection.cursor()
        cursor.execute("insert into t values (1)")
        connection.rollback()
        cursor.execute("insert into t values (2)")
        connection.commit()
        cursor.execute("insert into t values (3)")
    assert redshift.ask("select id from t") == [(2,)]


def test_ddl_goes_back_too(redshift: Redshift) -> None:
    with closing(redshift.connect(autocommit=False)) as connection:
        cursor = connection.cursor()
        cursor.execute("create table t (id int) distkey(id)")
        cursor.execute("create view v as select * from public.t with no schema binding")
        connection.rollback()
    assert redshift.ask("select * from svv_tables where table_schema = 'public'") == []


@pytest.mark.parametrize("wrong", ["select 1/0", "select nowhere()", "copy t from 'nowhere'"])
def test_an_error_ends_the_transaction(redshift: Redshift, wrong: str) -> None:
    """Whoever finds it: the database as it runs, or the proxy before that."""
    redshift.ask("create table t (id int)")
    with closing(redshift.connect(autocommit=False)) as connection:
        cursor = connection.cursor()
        cursor.execute("insert into t values (1)")
        with pytest.raises(ProgrammingError):
            cursor.execute(wrong)
        with pytest.raises(ProgrammingError, match="transaction is aborted"):
            cursor.execute("select 1")
        connection.rollback()
        cursor.execute("select count(*) from t")
        assert cursor.fetchone() == [0]


def test_truncate_commits(redshift: Redshift) -> None:
    redshift.ask("create table t (id int)")
    redshift.ask("insert into t values (1)")
    with closing(redshift.connect(autocommit=False)) as connection:
        connection.cursor().execute("truncate t")
        connection.rollback()
    assert redshift.ask("select count(*) from t") == [(0,)]


def test_parameters(redshift: Redshift) -> None:
    with closing(redshift.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("create table t (id int, name varchar(10))")
        cursor.executemany("insert into t values (%s, %s)", [(1, "it's"), (2, None)])
        cursor.execute("select name from t where id = %s", (1,))
        assert cursor.fetchall() == (["it's"],)
        cursor.execute("select count(*) from t where name is null")
        assert cursor.fetchone() == [1]


def test_a_text_longer_than_a_message_is_whole(redshift: Redshift) -> None:
    assert len(redshift.ask("select repeat('x', 60000)")[0][0]) == 60000


def test_many_sessions_at_once(redshift: Redshift) -> None:
    redshift.ask("create table t (id int)")
    connections = [redshift.connect() for _ in range(8)]
    for number, connection in enumerate(connections):
        connection.cursor().execute(f"insert into t values ({number})")
    for connection in connections:
        connection.close()
    assert redshift.ask("select count(*) from t") == [(8,)]
