"""Expressions whose value on Redshift is documented, and is another on PostgreSQL or DuckDB."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal

import pytest
from redshift_connector import Cursor

from tests.redshift.connection import Redshift


@pytest.fixture(scope="module")
def cursor(redshift_module: Redshift) -> Iterator[Cursor]:
    with closing(redshift_module.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("create table public.t (g varchar(1), n int)")
        cursor.execute("insert into public.t values ('a', 1), ('a', 2), ('b', 4), ('b', null)")
        yield cursor


def value(cursor: Cursor, sql: str) -> object:
    found = cursor.execute(sql).fetchall()
    assert len(found) == 1
    return found[0][0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # numbers
        ("7 / 2", 3),
        ("cast(1.5 as numeric)", Decimal(2)),
        ("cast('12.345' as decimal(10, 2))", Decimal("12.35")),
        ("round(2.5::double precision, 0)", 3.0),
        ("trunc(-1.7)", Decimal(-1)),
        ("mod(7, 3)", 1),
        ("strtol('ff', 16)", 255),
        # texts
        ("len('é')", 1),
        ("octet_length('é')", 2),
        ("'a' || null", None),
        ("concat('a', null)", None),
        ("nvl(null, 'x')", "x"),
        ("ifnull(null, 'x')", "x"),
        ("nvl2(null, 'x', 'y')", "y"),
        ("nvl2(1, 'x', 'y')", "x"),
        ("decode(2, 1, 'a', 2, 'b', 'c')", "b"),
        ("decode(null, null, 'a', 'b')", "a"),
        ("decode(3, 1, 'a')", None),
        ("charindex('c', 'abc')", 3),
        ("split_part('a-b', '-', 3)", ""),
        ("regexp_replace('aa', 'a', 'b')", "bb"),
        ("regexp_substr('abc', 'x')", ""),
        ("'a\\\\nb'", "a\\nb"),
        ("'it''s'", "it's"),
        ("'éé'::varchar(3)", "é"),
        ("cast('abc' as varchar(2))", "ab"),
        ("left('abc', 2)", "ab"),
        ("md5('a')", "0cc175b9c0f1b6a831c399e269772661"),
        ("left(sha2('a', 256), 8)", "ca978112"),
        # dates
        ("dateadd(month, 1, '2024-01-31'::timestamp)", datetime(2024, 2, 29)),
        ("dateadd('day', -1, '2024-03-01'::date)", datetime(2024, 2, 29)),
        ("dateadd(qtr, 1, '2024-01-31'::timestamp)", datetime(2024, 4, 30)),
        ("datediff(year, '2023-12-31'::date, '2024-01-01'::date)", 1),
        ("datediff(month, '2024-01-31'::date, '2024-02-01'::date)", 1),
        ("datediff(hour, '2024-01-01 00:59'::timestamp, '2024-01-01 01:00'::timestamp)", 1),
        ("datediff(day, '2024-03-01'::date, '2024-02-28'::date)", -2),
        ("datediff(s, '2024-01-01 00:00:00.9'::timestamp, '2024-01-01 00:00:01'::timestamp)", 1),
        ("date_trunc('month', '2024-02-29'::date)", datetime(2024, 2, 1)),
        ("date_trunc('week', '2024-02-29'::timestamp)", datetime(2024, 2, 26)),
        ("extract(year from '2024-02-29'::timestamp)", 2024),
        ("date_part(dow, '2024-02-29'::timestamp)", 4),
        ("extract(epoch from '1970-01-02'::timestamp)", 86400),
        ("last_day('2024-02-01'::date)", date(2024, 2, 29)),
        ("add_months('2024-02-29'::date, 12)", datetime(2025, 2, 28)),
        ("months_between('2024-03-31'::date, '2024-02-29'::date)", 1.0),
        ("trunc('2024-02-29 12:00'::timestamp)", date(2024, 2, 29)),
        (
            "convert_timezone('Europe/Berlin', '2024-07-01 12:00'::timestamp)",
            datetime(2024, 7, 1, 14),
        ),
        ("to_char('2024-02-29'::date, 'YYYY-MM')", "2024-02"),
        ("timestamp 'epoch' + 86400 * interval '1 second'", datetime(1970, 1, 2)),
        ("getdate() >= sysdate - interval '1 day'", True),
        # JSON
        ("json_extract_path_text('{\"a\": {\"b\": 1}}', 'a', 'b')", "1"),
        ("json_extract_path_text('{\"a\": 1}', 'x')", None),
        ("json_extract_path_text('no', 'x', true)", None),
        ("json_extract_array_element_text('[1, 2]', 1)", "2"),
        ("json_array_length('[1, 2]')", 2),
        ("is_valid_json('{\"a\": 1}')", True),
        ("is_valid_json('no')", False),
        ("json_typeof(json_parse('[1]'))", "array"),
        ("json_serialize(json_parse('[1]'))", "[1]"),
        ("get_array_length(array(1, 2))", 2),
        # the rest
        ("convert(integer, '7')", 7),
        ("case when 'a' like 'A' then 1 else 2 end", 2),
        ("1 = 1", True),
        ("cast(1 as boolean)", True),
        ("cast('2024-01-01 01:02:03' as timestamp)", datetime(2024, 1, 1, 1, 2, 3)),
    ],
)
def test_value(cursor: Cursor, expression: str, expected: object) -> None:
    assert value(cursor, f"select {expression}") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select avg(n) from public.t", 2),
        ("select listagg(n, ',') within group (order by n desc) from public.t", "4,2,1"),
        ("select listagg(distinct g) within group (order by g) from public.t", "ab"),
        ("select median(n) from public.t", 2.0),
        ("select approximate count(distinct g) from public.t", 2),
        ("select percentile_cont(0.5) within group (order by n) from public.t", 2.0),
        ("select top 1 n from public.t order by n desc nulls last", 4),
        ("select n from public.t order by n desc limit 1", None),  # NULL comes first
        ("select g from public.t minus select 'b'", "a"),
        ("select bool_or(n > 3) from public.t", True),
        (
            "select n from public.t where n is not null"
            " qualify row_number() over (partition by g order by n desc) = 1 and g = 'a'",
            2,
        ),
        (
            "with a as (select * from public.t qualify row_number() over (order by n) = 3)"
            " select n from a",
            4,
        ),
        (
            "select max(total) from (select sum(n) over (partition by g order by n rows unbounded"
            " preceding) as total from public.t) as x",
            4,
        ),
        ("select count(*) from (select lag(n) over (order by n) as m from public.t) as x", 4),
        ("select ratio_to_report(n) over (partition by g) from public.t where n = 4", 1.0),
        ("select sum(n) from public.t group by g having sum(n) = 3", 3),
        ("select case when 1=1 then 2end", 2),
    ],
)
def test_query(cursor: Cursor, query: str, expected: object) -> None:
    assert value(cursor, query) == expected


def test_a_function_of_ones_own(redshift: Redshift) -> None:
    redshift.ask("create schema f")
    redshift.ask(
        "create function f.f_twice(integer) returns integer stable as $$ select nvl($1, 0) * 2 $$"
        " language sql"
    )
    assert redshift.ask("select f.f_twice(4)") == [(8,)]
