"""MERGE, as far as Redshift has it."""

import pytest
from redshift_connector.error import ProgrammingError

from tests.redshift.connection import Redshift

_UPDATE = "when matched then update set v = s.v"
_INSERT = "when not matched then insert values (s.id, s.v)"


@pytest.fixture
def merging(redshift_module: Redshift) -> Redshift:
    redshift = redshift_module
    for table in ("t", "s"):
        redshift.ask(f"drop table if exists {table}")
        redshift.ask(f"create table {table} (id int, v varchar(9))")
    redshift.ask("insert into t values (1, 'old'), (2, 'old')")
    redshift.ask("insert into s values (2, 'new'), (3, 'new')")
    return redshift


def after(redshift: Redshift) -> list[tuple[object, ...]]:
    return redshift.ask("select id, v from t order by id")


@pytest.mark.parametrize("alias", ["s", "s as s", "s s"])
def test_update_and_insert(merging: Redshift, alias: str) -> None:
    merging.ask(f"merge into t using {alias} on t.id = s.id {_UPDATE} {_INSERT}")
    assert after(merging) == [(1, "old"), (2, "new"), (3, "new")]


def test_delete_and_insert(merging: Redshift) -> None:
    merging.ask(
        "merge into public.t using public.s on public.t.id = s.id"
        " when matched then delete when not matched then insert (id, v) values (s.id, s.v)"
    )
    assert after(merging) == [(1, "old"), (3, "new")]


def test_case_within_an_action(merging: Redshift) -> None:
    merging.ask(
        "merge into t using s on t.id = s.id when matched then"
        " update set v = case when s.v = 'new' then 'x' else 'y' end " + _INSERT
    )
    assert after(merging)[1] == (2, "x")


def test_remove_duplicates(merging: Redshift) -> None:
    merging.ask("merge into t using s on t.id = s.id remove duplicates")
    assert after(merging) == [(1, "old"), (2, "new"), (3, "new")]


def test_a_row_matched_twice(merging: Redshift) -> None:
    merging.ask("insert into s values (2, 'newer')")
    with pytest.raises(ProgrammingError, match="multiple matches"):
        merging.ask(f"merge into t using s on t.id = s.id {_UPDATE} {_INSERT}")
    assert after(merging) == [(1, "old"), (2, "old")]


@pytest.mark.parametrize(
    "statement",
    [
        f"merge into t as x using s on x.id = s.id {_UPDATE} {_INSERT}",
        f"merge into t using (select * from s) s on t.id = s.id {_UPDATE} {_INSERT}",
        "merge into t using s on t.id = s.id when matched and s.v = 'x' then delete " + _INSERT,
        f"merge into t using s on t.id = s.id {_UPDATE}",
        f"merge into t using s on t.id = s.id {_INSERT}",
        f"merge into t using s on t.id = s.id {_INSERT} {_UPDATE}",
        f"merge into t using s on t.id = s.id when matched then delete {_UPDATE} {_INSERT}",
        f"merge into t using s on t.id = s.id {_UPDATE} when not matched then do nothing",
        "merge into t using s on t.id = s.id when not matched by source then delete " + _INSERT,
    ],
)
def test_refused(merging: Redshift, statement: str) -> None:
    with pytest.raises(ProgrammingError):
        merging.ask(statement)
    assert after(merging) == [(1, "old"), (2, "old")]
