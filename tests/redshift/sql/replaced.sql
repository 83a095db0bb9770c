-- What PostgreSQL has under the same name with another meaning: its own is renamed, then replaced.
alter function pg_catalog.version() rename to pg_version;
create function pg_catalog.version() returns text stable language sql as $$
    select 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017'
        || ' (Red Hat 3.4.2-6.fc3), Redshift 1.0.999999 (EMULATED)'
$$;

-- AVG of integers is a whole number (guide, "AVG function").
alter aggregate pg_catalog.avg(int2) rename to pg_avg;
alter aggregate pg_catalog.avg(int4) rename to pg_avg;
alter aggregate pg_catalog.avg(int8) rename to pg_avg;
create function rs.avg_step(int8[], int8) returns int8[] immutable strict language sql as $$
    select array[$1[1] + 1, $1[2] + $2]
$$;
create function rs.avg_end(int8[]) returns int8 immutable strict language sql as $$
    select $1[2] / nullif($1[1], 0)
$$;
create aggregate pg_catalog.avg(int2)
    (sfunc = int2_avg_accum, stype = int8[], finalfunc = rs.avg_end, initcond = '{0,0}');
create aggregate pg_catalog.avg(int4)
    (sfunc = int4_avg_accum, stype = int8[], finalfunc = rs.avg_end, initcond = '{0,0}');
create aggregate pg_catalog.avg(int8)
    (sfunc = rs.avg_step, stype = int8[], finalfunc = rs.avg_end, initcond = '{0,0}');

-- REGEXP_REPLACE replaces every match; REGEXP_SUBSTR without one is the empty text.
alter function pg_catalog.regexp_replace(text, text, text) rename to pg_regexp_replace;
alter function pg_catalog.regexp_replace(text, text, text, int4) rename to pg_regexp_replace;
create function pg_catalog.regexp_replace(text, text) returns text immutable strict language sql
as $$ select regexp_replace($1, $2, '', 'g') $$;
create function pg_catalog.regexp_replace(text, text, text) returns text
immutable strict language sql as $$ select regexp_replace($1, $2, $3, 'g') $$;
create function pg_catalog.regexp_replace(text, text, text, int4) returns text
immutable strict language sql as $$ select regexp_replace($1, $2, $3, $4, 0) $$;
alter function pg_catalog.regexp_substr(text, text) rename to pg_regexp_substr;
alter function pg_catalog.regexp_substr(text, text, int4, int4) rename to pg_regexp_substr;
create function pg_catalog.regexp_substr(text, text) returns text immutable strict language sql
as $$ select coalesce(pg_regexp_substr($1, $2), '') $$;
create function pg_catalog.regexp_substr(text, text, int4, int4) returns text
immutable strict language sql as $$ select coalesce(pg_regexp_substr($1, $2, $3, $4), '') $$;

-- There is no cast of BOOLEAN to VARCHAR.
create function rs.no_cast(bool) returns text immutable strict language plpgsql as $$
begin
    raise exception 'cannot cast type boolean to character varying' using errcode = '42846';
end
$$;
update pg_cast set castfunc = 'rs.no_cast'::regproc
where castsource = 'bool'::regtype
    and casttarget in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype);

-- A VARCHAR's length is in bytes: a cast cuts, an assignment fails unless blanks are all there is
-- to cut. The type's own coercion is replaced, so this holds wherever a length is.
create function rs.cut(given varchar, size int) returns varchar immutable strict language plpgsql
as $$
declare
    bytes bytea := convert_to(given, 'UTF8');
begin
    while size > 0 and get_byte(bytes, size) & 192 = 128 loop
        size := size - 1;
    end loop;
    return convert_from(substring(bytes for size), 'UTF8');
end
$$;
create function rs.too_long(size int) returns varchar immutable strict language plpgsql as $$
begin
    raise exception 'value too long for type character varying(%)', size using errcode = '22001';
end
$$;
create function rs.fit(given varchar, modifier int, is_explicit bool) returns varchar
immutable strict language sql as $$
    select case
        when modifier < 4 or octet_length(given) <= modifier - 4 then given
        when is_explicit or octet_length(rtrim(given)) <= modifier - 4
            then rs.cut(given, modifier - 4)
        else rs.too_long(modifier - 4)
    end
$$;
update pg_cast set castfunc = 'rs.fit'::regproc
where castsource = 'varchar'::regtype and casttarget = 'varchar'::regtype;
