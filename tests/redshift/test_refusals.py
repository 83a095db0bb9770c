"""What Redshift refuses and PostgreSQL takes, and the way to write it that both take."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from redshift_connector import Cursor
from redshift_connector.error import ProgrammingError

from tests.redshift import allowed
from tests.redshift.connection import Redshift
from tests.redshift.errors import Refused
from tests.redshift.expressions import Expressions
from tests.redshift.lexer import read
from tests.redshift.statements import plan


@pytest.fixture(scope="module")
def cursor(redshift_module: Redshift) -> Iterator[Cursor]:
    with closing(redshift_module.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("create table public.t (g varchar(9), n int, at timestamp)")
        cursor.execute("create table public.u (g varchar(9), n int)")
        yield cursor


# Refused -> what runs instead.
PAIRS = [
    # functions
    ("select string_agg(g, ',') from public.t", "select listagg(g, ',') from public.t"),
    ("select pg_catalog.string_agg(g, ',') from public.t", "select listagg(g) from public.t"),
    ("select \"string_agg\"(g, ',') from public.t", "select listagg(g) from public.t"),
    ("select array_agg(n) from public.t", "select array(1, 2)"),
    ("select gen_random_uuid()", "select random() >= 0"),
    ("select concat('a', 'b', 'c')", "select concat('a', concat('b', 'c'))"),
    ("select to_json(1)", "select json_parse('1')"),
    ("select jsonb_extract_path_text('{}', 'a')", "select json_extract_path_text('{}', 'a')"),
    ("select unnest(array[1])", "select 1"),
    (
        "select date_bin('1 day', at, at) from public.t",
        "select date_trunc('day', at) from public.t",
    ),
    ("select make_date(2024, 1, 1)", "select to_date('20240101', 'YYYYMMDD')"),
    ("select sha256('a')", "select sha2('a', 256)"),
    ("select clock_timestamp()", "select getdate()"),
    ("select format('%s', 1)", "select 1::varchar"),
    ("select dateadd(fortnight, 1, at) from public.t", "select dateadd(week, 2, at) from public.t"),
    # functions of the leader node beside a table
    ("select now(), n from public.t", "select getdate(), n from public.t"),
    ("select current_timestamp, n from public.t", "select sysdate, n from public.t"),
    ("select n from public.t, generate_series(1, 2)", "select generate_series(1, 2)"),
    ("select n from t where at < now()", "select n from t where at < getdate()"),
    (
        "with a as (select now() as x) select a.x from a join u on true",
        "with a as (select now() as x) select a.x, extract(year from x) from a",
    ),
    # operators and clauses
    ("select g is distinct from 'a' from public.t", "select nvl(g <> 'a', true) from public.t"),
    ("select g is not distinct from 'a' from public.t", "select g = 'a' from public.t"),
    ("select distinct on (g) g from public.t", "select distinct g from public.t"),
    ("select count(*) filter (where n > 1) from public.t", "select sum(n) from public.t"),
    ("select * from (values (1)) as x", "select * from (select 1) as x"),
    ("select * from public.t, lateral (select 1) as x", "select * from public.t, (select 1) as x"),
    ("select n from public.t except all select 1", "select n from public.t except select 1"),
    ("select n from public.t intersect all select 1", "select n from public.t intersect select 1"),
    ("select n from public.t for update", "select n from public.t"),
    ("select n from only public.t", "select n from public.t"),
    ("select n from public.t tablesample system (1)", "select n from public.t limit 1"),
    ("select n from public.t fetch first 1 rows only", "select top 1 n from public.t"),
    ("with a as materialized (select 1) select * from a", "with a as (select 1) select * from a"),
    (
        "with a as (insert into public.u select 'a', 1) select 1",
        "insert into public.u with a as (select 'a' as g, 1 as n) select * from a",
    ),
    ("insert into public.u values ('a', 1) returning g", "insert into public.u values ('a', 1)"),
    (
        "insert into public.u values ('a', 1) on conflict do nothing",
        "insert into public.u select 'a', 1",
    ),
    ("update public.u set (g, n) = ('a', 1)", "update public.u set g = 'a', n = 1"),
    ("delete from public.u returning *", "delete public.u"),
    # window functions
    (
        "select sum(n) over (order by n) from public.t",
        "select sum(n) over (order by n rows unbounded preceding) from public.t",
    ),
    (
        "select first_value(n) over (partition by g order by n) from public.t",
        "select first_value(n) over (order by n rows between unbounded preceding and unbounded"
        " following) from public.t",
    ),
    (
        "select sum(n) over (order by n range unbounded preceding) from public.t",
        "select sum(n) over (partition by g) from public.t",
    ),
    (
        "select lag(n, 1, 0) over (order by n) from public.t",
        "select lag(n, 1) over (order by n) from public.t",
    ),
    (
        "select rank() over w from public.t window w as (order by n)",
        "select rank() over (order by n) from public.t",
    ),
    (
        "select row_number() over (order by 1) from public.t",
        "select row_number() over (order by n) from public.t",
    ),
    # types and literals
    ("select '{}'::jsonb", "select json_parse('{}')"),
    ("select jsonb '{}'", "select json_parse('{}')"),
    ("select cast('a' as uuid)", "select cast('a' as varchar(36))"),
    ("select array[1, 2]", "select array(1, 2)"),
    ("select '{1}'::int[]", "select split_to_array('1', ',')"),
    ("select true::varchar", "select case when true then 'true' end"),
    ("select 1::numeric(39, 0)", "select 1::numeric(38, 0)"),
    ("select 'a'::varchar(65536)", "select 'a'::varchar(max)"),
    ("select '{\"a\": 1}'::super ->> 'a'", "select json_extract_path_text('{\"a\": 1}', 'a')"),
    # reserved words
    ("select n as x, tag from public.t", "select n as tag from public.t"),
    ("select g, n open from public.t", "select g, n as open from public.t"),
    ("select snapshot.n from public.t snapshot", 'select "snapshot".n from public.t "snapshot"'),
    # statements
    ("create index i on public.t (n)", "analyze public.t"),
    ("create sequence s", "create table s1 (id bigint identity(1, 1))"),
    ("create type x as (a int)", "create schema x"),
    ("create unlogged table x1 (a int)", "create table x1 (a int)"),
    ("drop index if exists i", "drop table if exists i"),
    ("values (1)", "select 1"),
    ("table public.t", "select * from public.t"),
    ("savepoint s", "select 1"),
    ("do $$ begin end $$", "select 1"),
    ("copy public.t from stdin", "select 1"),
    ("vacuum (full) public.t", "vacuum full public.t"),
    ("set jit to off", "set query_group to 'x'"),
]


@pytest.mark.parametrize("refused", [refused for refused, _ in PAIRS])
def test_refused(redshift_module: Redshift, cursor: Cursor, refused: str) -> None:
    with pytest.raises(ProgrammingError) as raised:
        cursor.execute(refused)
    if redshift_module.emulated:
        said = raised.value.args[0]["M"]
        assert "[limit]" not in said
        assert "[refused]" in said or "boolean" in said


@pytest.mark.parametrize("runs", sorted({runs for _, runs in PAIRS}))
def test_what_runs_instead(cursor: Cursor, runs: str) -> None:
    cursor.execute(runs)


def test_no_function_of_postgres_is_callable_that_is_not_documented(stand_in: Redshift) -> None:
    """All 2,800, whichever words of the grammar they share their names with."""
    found = stand_in.ask("select distinct proname from pg_proc where pronamespace = 11")
    foreign = [name for (name,) in found if not allowed.is_function(name)]
    assert len(foreign) > 2000
    for name in foreign:
        with pytest.raises(Refused):
            plan(read(f'select "{name}"(1)'), Expressions())


def test_a_statement_of_more_than_16_mb(cursor: Cursor) -> None:
    with pytest.raises(ProgrammingError, match="16"):
        cursor.execute(f"select '{'x' * 16 * 2**20}'")


# What Redshift has and this stand-in has not; it must say so, never give a wrong answer.
LIMITS = [
    "select * from public.t pivot (sum(n) for g in ('a'))",
    "select lag(n) ignore nulls over (order by n) from public.t",
    "select listagg(g) over (partition by n) from public.t",
    "unload ('select 1') to 's3://b/p' iam_role default",
    "create external schema e from data catalog database 'd'",
    "create materialized view m as select 1 as a",
    "create procedure p() as $$ begin end $$ language plpgsql",
    "create function f(a int) returns int stable as $$ return a $$ language plpythonu",
    "copy public.t from 's3://b/p' iam_role default format orc",
    "copy public.t from 's3://b/p' iam_role default csv maxerror 10",
    "copy public.t from 's3://b/p' iam_role default parquet fillrecord",
    "create table #t (a int)",
    "set enable_case_sensitive_identifier to true",
    f"select 1 as {'x' * 64}",
    "select h3_fromlonglat(1, 2, 3)",
]


@pytest.mark.parametrize("statement", LIMITS)
def test_a_limit_of_the_stand_in(stand_in: Redshift, statement: str) -> None:
    stand_in.ask("create table public.t (g varchar(9), n int)")
    with pytest.raises(ProgrammingError) as raised:
        stand_in.ask(statement)
    said: dict[str, Any] = raised.value.args[0]
    assert "[limit]" in said["M"]
