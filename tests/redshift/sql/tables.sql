-- What is done and kept beside a table: its keys, and why a load into it failed.
create function rs.remember(
    name text, style text, dist text, sorted text, keys text[], refresh bool
) returns void language plpgsql as $$
declare
    found regclass := name::regclass;
    key text;
begin
    foreach key in array keys || array_remove(array[dist], null) loop
        if not exists (
            select from pg_catalog.pg_attribute
            where attrelid = found and attname = key and attnum > 0 and not attisdropped
        ) then
            raise exception 'column "%" named in key does not exist', key using errcode = '42703';
        end if;
    end loop;
    if style = 'KEY' and dist is null then
        raise exception 'DISTSTYLE KEY needs a DISTKEY' using errcode = '42601';
    end if;
    if dist is not null and coalesce(style, 'KEY') <> 'KEY' then
        raise exception 'cannot specify both DISTSTYLE % and DISTKEY', style using errcode = '42601';
    end if;
    if coalesce(style, 'KEY') not in ('AUTO', 'EVEN', 'ALL', 'KEY') then
        raise exception 'DISTSTYLE % is unknown', style using errcode = '42601';
    end if;
    insert into rs.tables as t
    values (
        found, coalesce(style, case when dist is null then 'AUTO' else 'KEY' end), dist, sorted,
        keys, refresh
    )
    on conflict (relation) do update set
        dist_style = coalesce(
            remember.style, case when dist is null then t.dist_style else 'KEY' end
        ),
        dist_key = case
            when remember.style is not null or dist is not null then dist else t.dist_key
        end,
        sort_style = sorted,
        sort_keys = case when keys = '{}' then t.sort_keys else keys end;
end
$$;

-- CREATE TABLE ... (LIKE source) takes the source's keys.
create function rs.remember_like(name text, source text) returns void language sql as $$
    insert into rs.tables
    select name::regclass, dist_style, dist_key, sort_style, sort_keys, auto_refresh
    from rs.tables where relation = source::regclass
    on conflict (relation) do nothing
$$;

-- ALTER COLUMN TYPE VARCHAR(n).
create function rs.resize(name text, col text, size int) returns void language plpgsql as $$
begin
    if not exists (
        select from pg_catalog.pg_attribute
        where attrelid = name::regclass and attname = col and atttypid = 'varchar'::regtype
    ) then
        raise exception 'target column "%" is no VARCHAR', col using errcode = '0A000';
    end if;
    execute format('alter table %s alter column %I type varchar(%s)', name, col, size);
end
$$;

create function rs.drop_column(name text, col text) returns void language plpgsql as $$
begin
    if exists (
        select from rs.tables
        where relation = name::regclass and (dist_key = col or col = any(sort_keys))
    ) then
        raise exception 'cannot drop sortkey or distkey column "%"', col using errcode = '0A000';
    end if;
    execute format('alter table %s drop column %I', name, col);
end
$$;

create function rs.note_load_error(
    name text, query text, process text, file text, line text, col text, kind text, length text,
    raw_line text, raw_value text, code text, reason text, message text
) returns void language sql as $$
    insert into rs.load_errors values (
        100, 0, to_regclass(name)::oid::int, clock_timestamp()::timestamp, process::int,
        query::bigint, file, line::bigint, col, kind, length, 0, raw_line, raw_value, code::int,
        reason, message
    )
$$;

-- The database as it was made. What it holds is dropped, other sessions are ended.
create function rs.reset() returns void language plpgsql as $$
declare
    one text;
begin
    perform pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid();
    for one in
        select quote_ident(nspname) from pg_namespace
        where nspname !~ '^(pg_|information_schema$|rs$|rs_late$)'
    loop
        execute 'drop schema ' || one || ' cascade';
    end loop;
    for one in select oid::regprocedure from pg_proc where pronamespace = 'rs_late'::regnamespace
    loop
        execute 'drop function ' || one || ' cascade';
    end loop;
    delete from rs.tables;
    delete from rs.load_errors;
    create schema public;
    grant usage, create on schema public to public;
end
$$;
