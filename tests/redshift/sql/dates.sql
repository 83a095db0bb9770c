-- Date and time functions. A date part comes under its full name: the proxy has looked it up.
create function pg_catalog.getdate() returns timestamp stable language sql as $$
    select date_trunc('second', statement_timestamp()::timestamp)
$$;
create function pg_catalog.rs_sysdate() returns timestamp stable language sql as $$
    select transaction_timestamp()::timestamp
$$;

create function rs.step(part text, count numeric) returns interval immutable strict language sql
as $$
    select trunc(count) * case part
        when 'quarter' then interval '3 months'
        when 'milliseconds' then interval '1 millisecond'
        when 'microseconds' then interval '1 microsecond'
        else ('1 ' || part)::interval
    end
$$;
create function pg_catalog.dateadd(text, numeric, timestamp) returns timestamp
immutable strict language sql as $$ select $3 + rs.step($1, $2) $$;
create function pg_catalog.dateadd(text, numeric, date) returns timestamp
immutable strict language sql as $$ select $3::timestamp + rs.step($1, $2) $$;
create function pg_catalog.dateadd(text, numeric, timestamptz) returns timestamptz
stable strict language sql as $$ select $3 + rs.step($1, $2) $$;
create function pg_catalog.dateadd(text, numeric, text) returns timestamp
immutable strict language sql as $$ select $3::timestamp + rs.step($1, $2) $$;

-- How many boundaries of the part lie between (guide, "DATEDIFF function"); a week begins on
-- Sunday, which is assumed.
create function rs.whole(part text, at timestamp) returns numeric immutable strict language sql
as $$
    select case part
        when 'year' then extract(year from at)
        when 'quarter' then extract(year from at) * 4 + extract(quarter from at)
        when 'month' then extract(year from at) * 12 + extract(month from at)
        when 'week' then floor((at::date - date '2000-01-02') / 7.0)
        when 'day' then (at::date - date '2000-01-01')::numeric
        when 'hour' then floor(extract(epoch from at) / 3600)
        when 'minute' then floor(extract(epoch from at) / 60)
        when 'second' then floor(extract(epoch from at))
        when 'milliseconds' then floor(extract(epoch from at) * 1000)
        when 'microseconds' then floor(extract(epoch from at) * 1000000)
        when 'decade' then floor(extract(year from at) / 10)
        when 'century' then extract(century from at)
    end
$$;
create function pg_catalog.datediff(text, timestamp, timestamp) returns bigint
immutable strict language sql as $$ select (rs.whole($1, $3) - rs.whole($1, $2))::bigint $$;
create function pg_catalog.datediff(text, date, date) returns bigint
immutable strict language sql as $$ select datediff($1, $2::timestamp, $3::timestamp) $$;
create function pg_catalog.datediff(text, timestamptz, timestamptz) returns bigint
stable strict language sql as $$ select datediff($1, $2::timestamp, $3::timestamp) $$;
create function pg_catalog.datediff(text, text, text) returns bigint
immutable strict language sql as $$ select datediff($1, $2::timestamp, $3::timestamp) $$;

create function pg_catalog.date_trunc(text, date) returns timestamp
immutable strict language sql as $$ select date_trunc($1, $2::timestamp) $$;

-- EXTRACT and DATE_PART of a timestamp are whole; milliseconds are those within the second.
create function pg_catalog.rs_extract(text, timestamp) returns int immutable strict language sql
as $$
    select case $1
        when 'milliseconds' then (date_part($1, $2)::bigint % 1000)::int
        when 'microseconds' then (date_part($1, $2)::bigint % 1000000)::int
        else trunc(date_part($1, $2))::int
    end
$$;
create function pg_catalog.rs_extract(text, date) returns int immutable strict language sql
as $$ select rs_extract($1, $2::timestamp) $$;
create function pg_catalog.rs_extract(text, timestamptz) returns float8 stable strict language sql
as $$ select date_part($1, $2) $$;
create function pg_catalog.rs_extract(text, interval) returns int immutable strict language sql
as $$ select trunc(date_part($1, $2))::int $$;

create function pg_catalog.last_day(timestamp) returns date immutable strict language sql as $$
    select (date_trunc('month', $1) + interval '1 month' - interval '1 day')::date
$$;
create function pg_catalog.add_months(timestamp, int) returns timestamp
immutable strict language sql as $$
    select case
        when $1::date = last_day($1)
            then last_day(date_trunc('month', $1) + $2 * interval '1 month') + $1::time
        else $1 + $2 * interval '1 month'
    end
$$;
create function pg_catalog.months_between(timestamp, timestamp) returns float8
immutable strict language sql as $$
    select datediff('month', $2, $1) + case
        when $1::date = last_day($1) and $2::date = last_day($2) then 0
        else (date_part('day', $1) - date_part('day', $2)) / 31.0
    end
$$;
create function pg_catalog.convert_timezone(text, text, timestamp) returns timestamp
immutable strict language sql as $$ select $3 at time zone $1 at time zone $2 $$;
create function pg_catalog.convert_timezone(text, timestamp) returns timestamp
immutable strict language sql as $$ select $2 at time zone 'UTC' at time zone $1 $$;
create function pg_catalog.trunc(timestamp) returns date immutable strict language sql
as $$ select $1::date $$;
