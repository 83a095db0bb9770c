"""Views: bound to their tables, or late."""

import pytest
from redshift_connector.error import ProgrammingError

from tests.redshift.connection import Redshift


def test_a_late_view_outlives_its_table(redshift: Redshift) -> None:
    redshift.ask("create table public.t as select 1 as id")
    redshift.ask("create view v as select id from public.t with no schema binding")
    redshift.ask("drop table public.t cascade")
    with pytest.raises(ProgrammingError, match="does not exist"):
        redshift.ask("select * from v")
    redshift.ask("create table public.t as select 2 as id")
    assert redshift.ask("select * from v") == [(2,)]


def test_a_late_view_follows_the_name(redshift: Redshift) -> None:
    """What a swap of tables rests on."""
    redshift.ask("create table public.t as select 1 as id")
    redshift.ask("create table public.u as select 2 as id")
    redshift.ask("create view v as select id from public.t with no schema binding")
    redshift.ask("alter table public.t rename to t_old")
    redshift.ask("alter table public.u rename to t")
    assert redshift.ask("select * from v") == [(2,)]


def test_a_bound_view_holds_its_table(redshift: Redshift) -> None:
    redshift.ask("create table public.t as select 1 as id")
    redshift.ask("create view v as select id from public.t")
    with pytest.raises(ProgrammingError, match="depend"):
        redshift.ask("drop table public.t")
    redshift.ask("drop table public.t cascade")
    with pytest.raises(ProgrammingError):
        redshift.ask("select * from v")


def test_a_late_view_names_schemas(redshift: Redshift) -> None:
    redshift.ask("create table public.t as select 1 as id")
    with pytest.raises(ProgrammingError):
        redshift.ask("create view v as select id from t with no schema binding")
    redshift.ask(
        "create view v as with x as (select id from public.t) select id from x"
        " with no schema binding"
    )
    assert redshift.ask("select * from v") == [(1,)]


def test_columns_of_late_views(redshift: Redshift) -> None:
    redshift.ask("create table public.t (id bigint, name varchar(7))")
    redshift.ask("create view v as select id, name from public.t with no schema binding")
    found = redshift.ask(
        "select view_name, col_name, col_type from pg_get_late_binding_view_cols() cols"
        "(view_schema name, view_name name, col_name name, col_type varchar, col_num int)"
        " where view_name = 'v' order by col_num"
    )
    assert found == [("v", "id", "bigint"), ("v", "name", "character varying(7)")]


def test_replaced_view(redshift: Redshift) -> None:
    redshift.ask("create or replace view v as select 1 as id")
    redshift.ask("create or replace view v as select 2 as id")
    assert redshift.ask("select * from v") == [(2,)]
